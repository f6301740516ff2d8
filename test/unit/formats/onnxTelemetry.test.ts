// onnxruntime's builds report their use from 1.30 on, and write a device id into the user's cache. Not in ours.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

describe("a session of onnxruntime leaves nothing in the user's folders", () => {
  for (const what of ["model", "engine", "products"]) {
    test(what, () => {
      const home = mkdtempSync(join(tmpdir(), "sae-home-"));
      try {
        const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
        const folders = { HOME: home, XDG_CACHE_HOME: join(home, "cache"), LOCALAPPDATA: home };
        execFileSync(process.execPath, [join(import.meta.dirname, "onnxSessions.ts"), what], {
          env: { ...env, ...folders },
        });
        assert.deepEqual(readdirSync(home, { recursive: true }), []);
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    });
  }
});
