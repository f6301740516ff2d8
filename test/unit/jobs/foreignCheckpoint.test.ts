// A checkpoint that isn't of the run's own training is refused with its file, what differs, and a way out.
import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { InputError } from "../../../src/formats/inputError.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { loadCheckpoint, saveCheckpoint } from "../../../src/training/checkpoint.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

const folder = temporaryFolder();

test("a checkpoint of another training names its file, the field that differs, and a way out", async () => {
  const own = join(folder, "own");
  mkdirSync(own);
  const experiment = readExperiment(writeTinyExperiment(own, { ensembles: { methods: ["single"] } }));
  const train = (signal: AbortSignal, onTrain = () => {}) =>
    runJobs(experiment, ["harvest", "train"], { signal, onEvent: ({ type }) => type === "train" && onTrain() });
  const controller = new AbortController();
  assert.equal(await train(controller.signal, () => controller.abort()), "stopped");
  const checkpoints = join(experiment.paths.runFolder, "checkpoints", "single");
  const { state, path } = (await loadCheckpoint(checkpoints))!;
  const { settings } = state.plan as { settings: object };
  const unaborted = new AbortController().signal;

  await saveCheckpoint(checkpoints, {
    ...state,
    fingerprint: "x",
    plan: { ...state.plan, settings: { ...settings, lr: 1 } },
  });
  await assert.rejects(train(unaborted), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.deepEqual([error.file, error.where, error.found], [join(path, "checkpoint.json"), "settings.lr", "1"]);
    assert.match(
      error.expected,
      /^0\.001, with which the run would go on \(to train anew, delete .*checkpoints.single\)$/,
    );
    return true;
  });

  const { plan: _, ...older } = state;
  await saveCheckpoint(checkpoints, { ...older, fingerprint: "x" });
  await assert.rejects(train(unaborted), /checkpoint\.json, fingerprint: found .*to train anew, delete /);

  rmSync(checkpoints, { recursive: true });
  await train(unaborted);
});
