// Runs inspectionSuite.ts inside a real VS Code's extension host, on a workspace with a small trained ensemble, and reports each of its checks as a test.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { unavailable } from "../../scripts/realVsCode.ts";
import type { HostResult } from "./checks.ts";
import { runInHost } from "./runInHost.ts";

const program = join(import.meta.dirname, "..", "..", "dist", "sae-ensembles.js");

/** The demo's model with just enough training that features fire. */
const experiment = {
  model_name: "demo",
  hook_name: "blocks.2.hook_resid_post",
  dataset_path: "demo",
  context_size: 128,
  exclude_special_tokens: true,
  training_tokens: 20_000,
  train_batch_size_tokens: 1024,
  lr: 2e-3,
  sae: { architecture: "topk", expansion_factor: 2, k: 16 },
  ensembles: { methods: ["bagging"], n_members: 2 },
  index: { methods: ["bagging"], tokens: 10_000 },
};

describe("inspection inside the extension host", {
  skip: unavailable && `SKIPPED: ${unavailable}`,
  timeout: 600_000,
}, () => {
  const state = mkdtempSync(join(tmpdir(), "sae-host-"));
  const workspace = join(state, "workspace");
  let results: readonly HostResult[] = [];

  before(async () => {
    mkdirSync(workspace, { recursive: true });
    writeFileSync(join(workspace, "tiny.sae.jsonc"), JSON.stringify(experiment));
    for (const job of ["harvest", "train", "index"])
      execFileSync(process.execPath, [program, job, "tiny.sae.jsonc"], { cwd: workspace, stdio: "ignore" });
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
