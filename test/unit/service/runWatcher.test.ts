// Run folders as rows of a view: what is damaged is shown as what it is, and breaks neither its own other parts nor another row.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { mock, test } from "node:test";
import { parseExperiment } from "../../../src/jobs/experiment.ts";
import { RunFolder } from "../../../src/jobs/runFolder.ts";
import type { RunEntry, SeenRuns, WatchedPlaces } from "../../../src/protocol/service.ts";
import { readReportTable } from "../../../src/service/reportRows.ts";
import { RunWatcher, readRun, stateOf } from "../../../src/service/runWatcher.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const root = temporaryFolder();

/** A workspace with one run that is done, and golden ensembles in it. */
async function finishedRun(ensembles: Record<string, string> = {}): Promise<{ workspace: string; run: string }> {
  const workspace = mkdtempSync(join(root, "w-"));
  const { run } = await finishedExperiment(join(workspace, "tiny.sae.jsonc"));
  for (const [name, source] of Object.entries(ensembles))
    cpSync(golden("evaluation", source), join(run, "ensembles", name), { recursive: true });
  return { workspace, run };
}

/** An experiment file, and a run of it that is done. */
async function finishedExperiment(
  file: string,
  keys: { output_path?: string } = {},
  runFolder?: string,
): Promise<{ file: string; run: string }> {
  const folder = dirname(file);
  mkdirSync(join(folder, "model"), { recursive: true });
  writeFileSync(join(folder, "text.txt"), "Once upon a time.\n");
  const settings = {
    model_name: "model",
    hook_name: "blocks.1.hook_resid_post",
    dataset_path: "text.txt",
    sae: { architecture: "topk", d_sae: 64, k: 4 },
    ...keys,
  };
  writeFileSync(file, JSON.stringify(settings));
  const experiment = parseExperiment(JSON.stringify(settings), file, { ...(runFolder && { runFolder }) });
  const run = await RunFolder.open(experiment, ["train"]);
  await run.update({ state: "done", ended: Date.now() });
  await run.close();
  return { file, run: run.folder };
}

/** What a watcher that is asked once tells of these places. */
function lookAt(places: Partial<WatchedPlaces>): RunEntry[] {
  return seenAt(places).runs;
}

function seenAt(places: Partial<WatchedPlaces>): SeenRuns {
  const seen: SeenRuns[] = [];
  const watcher = new RunWatcher(
    (runs) => seen.push(runs),
    (error) => assert.fail(error),
  );
  watcher.watch({ folders: [], experiments: [], runs: [], ...places });
  watcher.stop();
  assert.equal(seen.length, 1);
  return seen[0]!;
}

test("a broken record is a damaged row; its ensembles and the other runs stand as they are", async () => {
  const { workspace, run } = await finishedRun({ bagging: "bagging_a" });
  const other = await finishedRun();
  writeFileSync(join(run, "run.json"), "{");
  const runs = lookAt({ folders: [workspace, other.workspace] });
  const [damaged, whole] = [run, other.run].map((folder) => runs.find((entry) => entry.folder === folder)!);
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

test("an ensemble's numbers are those of its own seed set, as in a comparison; the report's are means", async () => {
  const { run } = await finishedRun({ bagging: "bagging_a", "bagging-1": "bagging_b" });
  const seedsOf = (name: string) =>
    (JSON.parse(readFileSync(join(run, "ensembles", name, "ensemble.json"), "utf8")) as { seeds: number[] }).seeds;
  const evaluated = ["bagging", "bagging-1"].map((name, i) => ({
    seeds: seedsOf(name),
    metrics: { explained_variance: { value: 0.8 + i / 10 } },
  }));
  const metrics = { explained_variance: { value: 0.85 } };
  const write = (runs: typeof evaluated) =>
    writeFileSync(
      join(run, "report.json"),
      JSON.stringify({ methods: [{ method: "bagging", label: "bagging", metrics, runs }] }),
    );
  write(evaluated);
  assert.deepEqual(
    readRun(run).ensembles.map(({ name, explainedVariance }) => [name, explainedVariance]),
    [
      ["bagging", 0.8],
      ["bagging-1", 0.9],
    ],
  );
  const { over, rows } = readReportTable(run)!;
  assert.match(over, /^Means over 2 seed sets/);
  assert.equal(rows[0]!.cells[0]!.value, 0.85);
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

test("a run whose folder of ensembles can't be read is a damaged row; the other runs stand as they are", async () => {
  const { workspace, run } = await finishedRun();
  const other = await finishedRun({ bagging: "bagging_a" });
  writeFileSync(join(run, "ensembles"), "a file");
  const runs = lookAt({ folders: [workspace, other.workspace] });
  const [damaged, whole] = [run, other.run].map((folder) => runs.find((entry) => entry.folder === folder)!);
  assert.equal(damaged!.state, "damaged");
  assert.match(damaged!.reason!, /ensembles: found a file, expected a folder of ensembles/);
  assert.deepEqual(damaged!.ensembles, []);
  assert.equal(whole!.ensembles.length, 1);
});

test("a look that fails is told of, and the next one comes all the same", async () => {
  const { workspace, run } = await finishedRun();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const told: string[] = [];
    let failing = true;
    const watcher = new RunWatcher(
      ({ runs }) => {
        if (failing) throw new Error("nobody listens");
        told.push(...runs.map(({ folder }) => folder));
      },
      ({ message }) => told.push(message),
    );
    assert.throws(() => watcher.watch({ folders: [workspace], experiments: [], runs: [] }), /nobody listens/);
    mock.timers.tick(2000);
    assert.deepEqual(told, ["nobody listens"]);
    failing = false;
    mock.timers.tick(2000);
    assert.deepEqual(told, ["nobody listens", run]);
    watcher.stop();
  } finally {
    mock.timers.reset();
  }
});

test("imported SAEs are told of until their experiment has a run", async () => {
  const { workspace } = await finishedRun();
  const file = join(workspace, "imported", "bag.sae.jsonc");
  mkdirSync(join(workspace, "imported", "runs", "bag"), { recursive: true });
  writeFileSync(file, '{ "sae": { "architecture": "imported", "paths": ["bag"] } }');
  const experiments = [join(workspace, "tiny.sae.jsonc"), file, join(workspace, "gone.sae.jsonc")];
  const look = () => seenAt({ folders: [workspace], experiments });
  assert.deepEqual(look().imports, [file]);
  assert.equal(look().runs.length, 1);
  writeFileSync(join(workspace, "imported", "runs", "bag", "run.json"), "{}");
  assert.deepEqual(look().imports, []);
  assert.equal(look().runs.length, 2);
});

test("runs that lie elsewhere are found by their experiment's file, or by their folder", async () => {
  const workspace = mkdtempSync(join(root, "w-"));
  const elsewhere = mkdtempSync(join(root, "e-"));
  const deep = await finishedExperiment(join(workspace, "experiments", "pythia", "deep.sae.jsonc"));
  const out = await finishedExperiment(join(workspace, "out.sae.jsonc"), { output_path: join(elsewhere, "out") });
  const asked = await finishedExperiment(join(workspace, "asked.sae.jsonc"), {}, join(elsewhere, "a", "b", "asked"));
  const found = (places: Partial<WatchedPlaces>) =>
    lookAt({ folders: [workspace], ...places })
      .map(({ folder }) => folder)
      .sort();
  assert.deepEqual(found({}), []);
  const experiments = [deep, out, asked].map(({ file }) => file);
  assert.deepEqual(found({ experiments }), [deep.run, out.run].sort());
  assert.deepEqual(found({ experiments, runs: [asked.run, deep.run] }), [deep.run, out.run, asked.run].sort());
  // While it is edited, nobody's run is gone; and a run that is asked to lie elsewhere is looked for there.
  writeFileSync(deep.file, '{ "model_name": ');
  assert.deepEqual(found({ experiments }), [deep.run, out.run].sort());
  writeFileSync(out.file, '{ "output_path": "nowhere" }');
  utimesSync(out.file, new Date(), new Date(Date.now() + 10_000));
  assert.deepEqual(found({ experiments }), [deep.run]);
});

test("an index says when it was written: rows of the one before are known by it", async () => {
  const { run } = await finishedRun({ bagging: "bagging_a" });
  assert.equal(readRun(run).ensembles[0]!.indexTime, null);
  const index = join(run, "ensembles", "bagging", "index.sqlite");
  writeFileSync(index, "no database");
  assert.equal(readRun(run).ensembles[0]!.indexTime, statSync(index).mtimeMs);
  utimesSync(index, new Date(), new Date(Date.now() + 10_000));
  assert.equal(readRun(run).ensembles[0]!.indexTime, statSync(index).mtimeMs);
});
