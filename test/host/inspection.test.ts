// Runs inspectionSuite.ts inside a real VS Code's extension host, on a workspace with a small trained ensemble, and reports each of its checks as a test.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { unavailable } from "../../scripts/realVsCode.ts";
import { runTiny, writeTinyExperiment } from "../tinyRun.ts";
import type { HostResult } from "./checks.ts";
import { runInHost } from "./runInHost.ts";

describe("inspection inside the extension host", {
  skip: unavailable && `SKIPPED: ${unavailable}`,
  timeout: 600_000,
}, () => {
  const state = mkdtempSync(join(tmpdir(), "sae-host-"));
  const workspace = join(state, "workspace");
  let results: readonly HostResult[] = [];

  before(async () => {
    writeTinyExperiment(workspace, {
      training_tokens: 20_000,
      ensembles: { methods: ["bagging"], n_members: 2 },
      index: { methods: ["bagging"], tokens: 10_000 },
    });
    runTiny(workspace);
    tellWhatIsAsked(join(state, "user"), join(state, "asked.log"));
    results = await runInHost({ suite: "inspectionSuite.ts", state, workspace });
  });

  test("every check passes", async (context) => {
    assert.ok(results.length > 5);
    for (const { name, error, notes } of results) {
      for (const line of notes) context.diagnostic(line);
      await context.test(name, () => assert.equal(error, null, error ?? ""));
    }
  });
});

/** Has the service started by a script that writes down all that it is asked: the suite reads it there. */
function tellWhatIsAsked(userData: string, log: string): void {
  const script = join(userData, "..", "node.sh");
  writeFileSync(log, "");
  writeFileSync(script, `#!/bin/sh\ntee -a '${log}' | '${process.execPath}' "$@"\n`, { mode: 0o755 });
  mkdirSync(join(userData, "Machine"), { recursive: true });
  writeFileSync(join(userData, "Machine", "settings.json"), JSON.stringify({ "saeEnsembles.runs.nodePath": script }));
  process.env["SAE_HOST_ASKED"] = log;
}
