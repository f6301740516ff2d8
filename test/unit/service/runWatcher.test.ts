// Run folders as rows of a view: what is damaged is shown as what it is, and breaks neither its own other parts nor another row.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseExperiment } from "../../../src/jobs/experiment.ts";
import { RunFolder } from "../../../src/jobs/runFolder.ts";
import type { RunEntry } from "../../../src/protocol/service.ts";
import { RunWatcher, readRun, stateOf } from "../../../src/service/runWatcher.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const root = temporaryFolder();

/** A workspace with one run that is done, and golden ensembles in it. */
async function finishedRun(ensembles: Record<string, string> = {}): Promise<{ workspace: string; run: string }> {
  const workspace = mkdtempSync(join(root, "w-"));
  mkdirSync(join(workspace, "model"));
  writeFileSync(join(workspace, "text.txt"), "Once upon a time.\n");
  const settings = {
    model_name: "model",
    hook_name: "blocks.1.hook_resid_post",
    dataset_path: "text.txt",
    sae: { architecture: "topk", d_sae: 64, k: 4 },
  };
  const experiment = parseExperiment(JSON.stringify(settings), join(workspace, "tiny.sae.jsonc"));
  const folder = await RunFolder.open(experiment, ["train"]);
  await folder.update({ state: "done", ended: Date.now() });
  await folder.close();
  for (const [name, source] of Object.entries(ensembles))
    cpSync(golden("evaluation", source), join(folder.folder, "ensembles", name), { recursive: true });
  return { workspace, run: folder.folder };
}

test("a broken record is a damaged row; its ensembles and the other runs stand as they are", async () => {
  const { workspace, run } = await finishedRun({ bagging: "bagging_a" });
  const other = await finishedRun();
  writeFileSync(join(run, "run.json"), "{");
  const seen: RunEntry[][] = [];
  const watcher = new RunWatcher((runs) => seen.push(runs));
  watcher.watch([workspace, other.workspace]);
  watcher.stop();
  const [damaged, whole] = [run, other.run].map((folder) => seen[0]!.find((entry) => entry.folder === folder)!);
  assert.equal(damaged!.state, "damaged");
  assert.match(damaged!.reason!, /run\.json: found broken JSON/);
  assert.deepEqual(
    damaged!.ensembles.map(({ name, damage }) => [name, damage]),
    [["bagging", ""]],
  );
  assert.equal(whole!.state, "done");
  assert.deepEqual(stateOf(run), { state: "damaged", reason: damaged!.reason });
});

test("a damaged ensemble, a damaged index and a broken report each say so, and the rest is read", async () => {
  const { run } = await finishedRun({
    bagging: "bagging_a",
    boosting: "boosting_a",
    "bagging.2026-11-22-203005": "bagging_b",
  });
  const folder = (name: string) => join(run, "ensembles", name);
  writeFileSync(join(folder("boosting"), "ensemble.json"), '{ "method": 3 }');
  writeFileSync(join(folder("bagging"), "index.sqlite"), "no database");
  writeFileSync(
    join(folder("bagging"), "annotations.json"),
    '{ "format_version": 1, "features": { "0/1": { "flagged": true }, "1/2": { "label": "x" } } }',
  );
  writeFileSync(join(run, "report.json"), "broken");
  const { state, ensembles } = readRun(run);
  assert.equal(state, "done");
  const [bagging, aside, boosting] = ensembles;
  assert.deepEqual(
    [bagging!.damage, bagging!.indexed, bagging!.indexable, bagging!.annotated, bagging!.replaced],
    ["", false, true, 2, null],
  );
  assert.match(bagging!.indexDamage, /index\.sqlite: found a file of another kind/);
  assert.deepEqual([aside!.replaced, aside!.indexable, aside!.indexDamage], ["2026-11-22 20:30 UTC", false, ""]);
  assert.notEqual(boosting!.damage, "");
});

test("a run whose process was killed has failed, with the last words of its output", async () => {
  const { run } = await finishedRun();
  const record = JSON.parse(readFileSync(join(run, "run.json"), "utf8")) as object;
  writeFileSync(join(run, "run.json"), JSON.stringify({ ...record, state: "running", ended: null }));
  writeFileSync(join(run, "output.log"), "train bagging: 10 / 100 tokens\nFATAL ERROR: heap out of memory\n");
  const { state, reason } = stateOf(run);
  assert.equal(state, "failed");
  assert.match(reason!, /ended without a word.*FATAL ERROR: heap out of memory; resume goes on/);
});
