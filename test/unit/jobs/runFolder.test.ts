// The run folder: what it keeps, whom it refuses, and what others see of it.
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { parseExperiment, readExperiment } from "../../../src/jobs/experiment.ts";
import { RunBusyError, RunFolder } from "../../../src/jobs/runFolder.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { experimentOfRun, findRuns, readRunStatus, runsAmong, workingTime } from "../../../src/jobs/runRecord.ts";
import type { RunEvent } from "../../../src/protocol/runEvents.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

const root = temporaryFolder();

function experiment(folder: string, change: object = {}) {
  mkdirSync(join(folder, "model"), { recursive: true });
  if (!existsSync(join(folder, "text.txt"))) writeFileSync(join(folder, "text.txt"), "Once upon a time.\n");
  const value = {
    model_name: "model",
    hook_name: "blocks.1.hook_resid_post",
    dataset_path: "text.txt",
    sae: { architecture: "topk", d_sae: 64, k: 4 },
    ...change,
  };
  return parseExperiment(JSON.stringify(value), join(folder, "tiny.sae.jsonc"));
}

/** A run that has trained something. */
async function begin(folder: string): Promise<void> {
  const run = await RunFolder.open(experiment(folder), ["train"]);
  await run.finishStage("train single", 1);
  await run.close();
}

const fresh = () => mkdtempSync(join(root, "e-"));

test("a run that two paths lead to is one run, by the first of them", async () => {
  const folder = fresh();
  await begin(folder);
  const [run] = findRuns(folder);
  const link = join(fresh(), "link");
  symlinkSync(folder, link, "junction");
  const linked = join(link, relative(folder, run!));
  assert.deepEqual(runsAmong([run!, linked]), [run]);
  assert.deepEqual(runsAmong([linked, run!]), [linked]);
});

test("a run is found, read and understood by others while it works and after", async () => {
  const folder = fresh();
  const run = await RunFolder.open(experiment(folder), ["harvest", "train"]);
  assert.deepEqual(findRuns(folder), [run.folder]);
  await run.update({ progress: { stage: "harvest", done: 1, total: 2, unit: "tokens", rate: null, eta: null } });
  const status = readRunStatus(run.folder);
  assert.equal(status.state, "running");
  assert.equal(status.record.pid, process.pid);
  assert.deepEqual(status.record.jobs, ["harvest", "train"]);
  assert.equal(status.record.progress?.done, 1);
  await run.update({ state: "done", ended: Date.now() });
  await run.close();
  assert.equal(readRunStatus(run.folder).state, "done");
  assert.deepEqual(experimentOfRun(run.folder), experiment(folder));
  assert.ok(readdirSync(run.folder).every((name) => !name.endsWith(".tmp")));
});

test("a resumed run's working time has what came before its stop, and no waiting in the queue", async () => {
  const folder = fresh();
  const again = async (change: Parameters<RunFolder["update"]>[0], state?: "queued") => {
    const run = await RunFolder.open(experiment(folder), ["train"], state);
    await run.update(change);
    await run.close();
    return workingTime(run.record);
  };
  assert.equal(await again({ state: "stopped", started: 1000, ended: 61_000 }), 60_000);
  // A record of before didn't hold it.
  const file = join(folder, "runs", "tiny", "run.json");
  const { worked: _, ...old } = JSON.parse(readFileSync(file, "utf8")) as { worked: number };
  writeFileSync(file, JSON.stringify(old));
  assert.equal(await again({ started: 0 }, "queued"), 60_000);
  assert.equal(await again({ state: "failed", started: 0, ended: 5000 }), 65_000);
  assert.equal(await again({ state: "done", started: 0, ended: 2000 }), 67_000);
  // What is asked for afterwards, concepts say, comes on top.
  assert.equal(await again({ state: "done", started: 0, ended: 3000 }), 70_000);
});

test("a run whose process is gone counts as failed, and says how to go on", async () => {
  const run = await RunFolder.open(experiment(fresh()), ["train"]);
  await run.close();
  assert.match(readFileSync(run.paths.run, "utf8"), /"state": "running"/);
  const { state, reason } = readRunStatus(run.folder);
  assert.equal(state, "failed");
  assert.match(reason!, /ended without a word; resume goes on/);
});

test("a record that could not be written once is written the next time", async () => {
  const run = await RunFolder.open(experiment(fresh()), ["train"]);
  // Nothing is renamed over a folder.
  rmSync(run.paths.run);
  mkdirSync(run.paths.run);
  await assert.rejects(run.update({ job: "train" }));
  rmdirSync(run.paths.run);
  await run.update({ state: "done" });
  await run.close();
  assert.equal(readRunStatus(run.folder).state, "done");
});

test("a full disk is said in words in the record as well", async () => {
  const folder = fresh();
  const tiny = readExperiment(writeTinyExperiment(folder));
  const onEvent = (event: RunEvent) => {
    if (event.type !== "state" || event.state !== "running") return;
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
  await assert.rejects(runJobs(tiny, ["harvest"], { onEvent }), /ENOSPC/);
  const { state, reason } = readRunStatus(tiny.paths.runFolder);
  assert.equal(state, "failed");
  assert.match(reason!, /^the disk is full: ENOSPC.*make room, and the same command goes on/);
});

test("two cannot work on one run", async () => {
  const folder = fresh();
  const run = await RunFolder.open(experiment(folder), ["train"]);
  await assert.rejects(RunFolder.open(experiment(folder), ["train"]), RunBusyError);
  await run.close();
  await (await RunFolder.open(experiment(folder), ["train"])).close();
});

test("finished stages are remembered with the settings that they were done with", async () => {
  const folder = fresh();
  const run = await RunFolder.open(experiment(folder), ["train"]);
  await run.finishStage("harvest", { seed: 1, lr: 2 });
  await run.close();
  const again = await RunFolder.open(experiment(folder), ["train"]);
  assert.equal(again.isFinished("harvest", { lr: 2, seed: 1 }), true);
  assert.equal(again.isFinished("harvest", { lr: 3, seed: 1 }), false);
  assert.equal(again.isFinished("train", { lr: 2, seed: 1 }), false);
  await again.close();
});

test("other training settings are refused by name, before anything is written", async () => {
  const folder = fresh();
  await begin(folder);
  const before = readFileSync(join(folder, "runs/tiny/experiment.json"), "utf8");
  for (const [change, where, message] of [
    [{ lr: 0.001 }, "lr", /found 0\.001, expected 0\.0003, with which the run in .* began/],
    [{ sae: { architecture: "topk", d_sae: 64, k: 5 } }, "sae.k", /found 5, expected 4/],
    [{ ensembles: { n_members: 3 } }, "ensembles.n_members", /found 3, expected 8/],
  ] as const) {
    const open = RunFolder.open(experiment(folder, change), ["train"]);
    await assert.rejects(open, (error: { where: string; message: string }) => {
      assert.equal(error.where, where);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(readFileSync(join(folder, "runs/tiny/experiment.json"), "utf8"), before);
});

test("a run that made nothing yet takes other settings and other texts", async () => {
  const folder = fresh();
  const run = await RunFolder.open(experiment(folder), ["train"]);
  await run.finishStage("harvest held-out", 1);
  await run.close();
  appendFileSync(join(folder, "text.txt"), "More.\n");
  await (await RunFolder.open(experiment(folder, { lr: 0.001 }), ["train"])).close();
  assert.equal(experimentOfRun(join(folder, "runs/tiny")).settings.lr, 0.001);
});

test("methods, seed sets, evaluation and index may change between jobs", async () => {
  const folder = fresh();
  await (await RunFolder.open(experiment(folder), ["train"])).close();
  const change = {
    ensembles: { methods: ["single", "boosting"], seed_sets: 2 },
    evaluation: { test_tokens: 5 },
    index: { tokens: 7 },
    n_checkpoints: 3,
    threads: 1,
  };
  await (await RunFolder.open(experiment(folder, change), ["train"])).close();
  assert.equal(experimentOfRun(join(folder, "runs/tiny")).settings.ensembles.seed_sets, 2);
});

test("a text that changed under a run is noticed, at the same length too; a copy of it is the same", async () => {
  const folder = fresh();
  await begin(folder);
  const text = join(folder, "text.txt");
  const before = readFileSync(text);
  writeFileSync(text, before.toString("latin1").replace(/./, "!"), "latin1");
  await assert.rejects(
    RunFolder.open(experiment(folder), ["train"]),
    /text\.txt: found 18 bytes \(sample [0-9a-f]{12}\), expected the 18 bytes \(sample [0-9a-f]{12}\)/,
  );
  writeFileSync(text, before);
  await (await RunFolder.open(experiment(folder), ["train"])).close();
  appendFileSync(text, "More.\n");
  await assert.rejects(
    RunFolder.open(experiment(folder), ["train"]),
    /text\.txt: found 24 bytes .*, expected the 18 bytes/,
  );
});

test("a model that changed under a run is noticed", async () => {
  const folder = fresh();
  mkdirSync(join(folder, "model"));
  writeFileSync(join(folder, "model", "model.safetensors"), "1234");
  await begin(folder);
  writeFileSync(join(folder, "model", "model.safetensors"), "12345");
  await assert.rejects(
    RunFolder.open(experiment(folder), ["train"]),
    /model\.safetensors: found 5 bytes .*, expected the 4 bytes/,
  );
});

test("a damaged record is an InputError that names the file", async () => {
  const run = await RunFolder.open(experiment(fresh()), ["train"]);
  await run.close();
  writeFileSync(run.paths.run, "{");
  assert.throws(() => readRunStatus(run.folder), /run\.json: found broken JSON/);
  writeFileSync(run.paths.run, "{}");
  assert.throws(
    () => readRunStatus(run.folder),
    /run\.json, format_version: found nothing, expected 1 \(a run folder\)$/,
  );
  assert.throws(() => readRunStatus(join(root, "none")), /none: found no such folder, expected a run folder/);
});

test("labelled texts that nothing could read again are not written; a record that has them opens all the same", async () => {
  const folder = fresh();
  await begin(folder);
  const good = experiment(folder);
  const file = join(good.paths.runFolder, "experiment.json");
  const before = readFileSync(file, "utf8");
  const n = { ...experiment(folder, { debias: { dataset_path: "bios.csv" } }).settings.debias!, n: [0] } as const;
  const bad = { ...good, settings: { ...good.settings, debias: { ...n, n: [0] as [number] } } };
  const opening = RunFolder.open(bad, ["debias"]);
  await assert.rejects(
    opening,
    /experiment\.json, settings\.debias\.n\.0: found 0, expected more than 0 \(a run folder\)$/,
  );
  assert.equal(readFileSync(file, "utf8"), before);
  writeFileSync(file, JSON.stringify({ ...JSON.parse(before), settings: bad.settings }));
  assert.equal(experimentOfRun(good.paths.runFolder).settings.debias, undefined);
  await (await RunFolder.open(good, ["train"])).close();
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")).settings, JSON.parse(before).settings);
  const lr = { ...good.settings, lr: "fast" };
  writeFileSync(file, JSON.stringify({ ...JSON.parse(before), settings: lr }));
  assert.throws(
    () => experimentOfRun(good.paths.runFolder),
    /settings\.lr: found "fast", expected a number \(a run folder\)$/,
  );
});

test("a file where the run folder should be is refused", async () => {
  const folder = fresh();
  writeFileSync(join(folder, "occupied"), "");
  const open = RunFolder.open(experiment(folder, { output_path: "occupied" }), ["train"]);
  await assert.rejects(open, /occupied: found a file, expected the run folder/);
});
