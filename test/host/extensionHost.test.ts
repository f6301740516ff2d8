// Runs suite.ts inside a real VS Code's extension host and reports each of its checks as a test.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { unavailable } from "../../scripts/realVsCode.ts";
import { parseExperiment } from "../../src/jobs/experiment.ts";
import { RunFolder } from "../../src/jobs/runFolder.ts";
import type { RunRecord } from "../../src/jobs/runRecord.ts";
import type { HostResult } from "./checks.ts";
import { runInHost } from "./runInHost.ts";

/** The record of a run that harvested and ended. */
const finished = {
  format_version: 1,
  name: "finished",
  state: "done",
  reason: null,
  jobs: ["harvest"],
  job: "harvest",
  pid: 1,
  host: "elsewhere",
  created: 0,
  started: 0,
  ahead: null,
  heartbeat: 1000,
  ended: 1000,
  worked: 0,
  progress: null,
  stages: {},
} satisfies RunRecord;

describe("inside the extension host", {
  skip: unavailable && `SKIPPED: ${unavailable}`,
  timeout: 600_000,
}, () => {
  const state = mkdtempSync(join(tmpdir(), "sae-host-"));
  const workspace = join(state, "workspace");
  let results: readonly HostResult[] = [];

  before(async () => {
    mkdirSync(join(workspace, ".vscode"), { recursive: true });
    const task = { label: "train it", type: "sae-ensembles", experiment: "missing.sae.jsonc" };
    writeFileSync(join(workspace, ".vscode", "tasks.json"), JSON.stringify({ version: "2.0.0", tasks: [task] }));
    mkdirSync(join(workspace, "runs", "finished"), { recursive: true });
    writeFileSync(join(workspace, "runs", "finished", "run.json"), JSON.stringify(finished));
    process.env["SAE_HOST_LATE_RUN"] = await lateRun(join(workspace, "deep", "er", "late.sae.jsonc"));
    results = await runInHost({ suite: "suite.ts", state, workspace });
  });

  /** Folder of a run that is done, of an experiment file that is written later: the suite puts both in their places. */
  async function lateRun(file: string): Promise<string> {
    const settings = {
      model_name: "demo",
      hook_name: "blocks.2.hook_resid_post",
      dataset_path: "demo",
      sae: { architecture: "topk", d_sae: 64, k: 4 },
    };
    const experiment = parseExperiment(JSON.stringify(settings), file, { runFolder: join(state, "late") });
    const run = await RunFolder.open(experiment, ["train"]);
    await run.update({ state: "done", ended: Date.now() });
    await run.close();
    return run.folder;
  }

  test("every check passes", async (context) => {
    assert.ok(results.length > 5);
    for (const { name, error } of results) await context.test(name, () => assert.equal(error, null, error ?? ""));
  });
});
