// A device that takes steps ahead gets batch n + 1 before the numbers of batch n are there, never across a checkpoint, and comes to the same bits.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine, Trainer } from "../../../src/engine/engine.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { completeTrainingSaeConfig, trainingSaeSchema } from "../../../src/sae/trainingConfig.ts";
import { trainEnsemble } from "../../../src/training/trainEnsemble.ts";
import type { OpenActivations, TrainingPlan, TrainingState } from "../../../src/training/trainingRun.ts";
import { trainingSettingsSchema } from "../../../src/training/trainingSettings.ts";
import { SyntheticSource } from "./syntheticSource.ts";

const STEPS = 8;
const SAVED_AT = 5;
const rows = 32;
const plan: TrainingPlan = {
  method: "bagging",
  n_members: 2,
  sae: completeTrainingSaeConfig(trainingSaeSchema.parse({ architecture: "topk", d_sae: 16, k: 3 }), 8),
  settings: trainingSettingsSchema.parse({ training_tokens: STEPS * rows, train_batch_size_tokens: rows, lr: 3e-3 }),
  seeds: [1, 2],
  hook: "test",
  metadata: {},
  provenance: {},
};
const open: OpenActivations = async (cursor) => new SyntheticSource({ d_in: 8, total: 100_000 }, cursor);

/** Computes as the reference engine does, and answers a step only when the next one has been given, or nothing may be given before its answer. */
function lateEngine(events: string[], answersAlone: ReadonlySet<number>): Engine {
  const reference = createReferenceEngine();
  const createTrainer: Engine["createTrainer"] = async (...args) => {
    const inner = await reference.createTrainer(...args);
    let given = 0;
    const waiting: (() => void)[] = [];
    let last: Promise<unknown> = Promise.resolve();
    const trainer: Trainer = {
      takesAhead: true,
      step: (x, count, input) => {
        const n = ++given;
        events.push(`given ${n}`);
        for (const answer of waiting.splice(0)) answer();
        const reports = last.then(() => inner.step(x, count, input));
        last = reports;
        const next = answersAlone.has(n) ? Promise.resolve() : new Promise<void>((resolve) => waiting.push(resolve));
        return Promise.all([reports, next]).then(([numbers]) => numbers);
      },
      state: () => inner.state(),
      close: () => inner.close(),
    };
    return trainer;
  };
  return {
    name: "late",
    description: "answers late",
    createTrainer,
    createEncoder: (ensemble) => reference.createEncoder(ensemble),
    close: async () => {},
  };
}

test("batch n + 1 is given before the numbers of batch n are waited for, but not across a checkpoint", async () => {
  const events: string[] = [];
  const saved: TrainingState[] = [];
  const hooks = (into: string[]) => ({
    onStep: ({ step }: { step: number }) => void into.push(`reported ${step}`),
    checkpoint: {
      due: (done: number) => done === SAVED_AT,
      save: async (state: TrainingState) => {
        into.push(`saved ${state.step}`);
        saved.push(state);
      },
    },
  });
  const late = await trainEnsemble(lateEngine(events, new Set([SAVED_AT, STEPS])), plan, open, hooks(events));
  assert.deepEqual(events, [
    ...["given 1", "given 2", "reported 1", "given 3", "reported 2", "given 4", "reported 3", "given 5", "reported 4"],
    ...["reported 5", "saved 5"],
    ...["given 6", "given 7", "reported 6", "given 8", "reported 7", "reported 8"],
  ]);
  const straight = await trainEnsemble(createReferenceEngine(), plan, open, hooks([]));
  assert.deepEqual(late, straight);
  const whoever = { engine: "", engine_description: "" };
  assert.deepEqual({ ...saved[0]!, ...whoever }, { ...saved[1]!, ...whoever });
});

test("stopped with a step under way, it is reported before the run is saved", async () => {
  const events: string[] = [];
  const stop = new AbortController();
  let state: TrainingState | undefined;
  // Steps 3 and 4 were given when the second is reported, and nothing follows them.
  const outcome = await trainEnsemble(lateEngine(events, new Set([4])), plan, open, {
    onStep: ({ step }) => {
      events.push(`reported ${step}`);
      if (step === 2) stop.abort();
    },
    checkpoint: {
      due: () => false,
      save: async (own) => {
        state = own;
      },
    },
    signal: stop.signal,
  });
  assert.equal(outcome.finished, false);
  assert.deepEqual(events.slice(-3), ["given 4", "reported 3", "reported 4"]);
  assert.equal(state?.step, 4);
  const resumed = await trainEnsemble(createReferenceEngine(), plan, open, {}, state);
  assert.deepEqual(resumed, await trainEnsemble(createReferenceEngine(), plan, open));
});
