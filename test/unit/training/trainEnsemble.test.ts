// Training end to end on synthetic activations with the reference engine: it learns, it is what each method says, and an interrupted run ends with the same bits.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ActivationSource } from "../../../src/data/activationSource.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import { loadEnsemble, saveEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { completeTrainingSaeConfig, trainingSaeSchema } from "../../../src/sae/trainingConfig.ts";
import { loadCheckpoint, saveCheckpoint } from "../../../src/training/checkpoint.ts";
import { trainEnsemble } from "../../../src/training/trainEnsemble.ts";
import {
  type OpenActivations,
  TrainingError,
  type TrainingHooks,
  type TrainingMethod,
  type TrainingPlan,
  type TrainingState,
  type TrainingStepEvent,
} from "../../../src/training/trainingRun.ts";
import { trainingSettingsSchema } from "../../../src/training/trainingSettings.ts";
import { temporaryFolder } from "../fixtures.ts";
import { SyntheticSource } from "./syntheticSource.ts";

const d_in = 8;
const engine = createReferenceEngine();

function plan(
  method: TrainingMethod,
  sae: Record<string, unknown>,
  steps: number,
  settings: Record<string, unknown> = {},
): TrainingPlan {
  const n_members = method === "single" ? 1 : 3;
  return {
    method,
    n_members,
    sae: completeTrainingSaeConfig(trainingSaeSchema.parse({ d_sae: 16, ...sae }), d_in),
    settings: trainingSettingsSchema.parse({
      training_tokens: steps * 32,
      train_batch_size_tokens: 32,
      lr: 3e-3,
      dead_feature_window: 10,
      ...settings,
    }),
    seeds: method === "bagging" || method === "boosting" ? [11, 12, 13] : [11],
    hook: "blocks.0.hook_resid_post",
    metadata: { model_name: "synthetic", hook_name: "blocks.0.hook_resid_post" },
    provenance: { why: "a test" },
  };
}

const open: OpenActivations = async (cursor) => new SyntheticSource({ d_in, total: 100_000 }, cursor);

async function trained(p: TrainingPlan, hooks: TrainingHooks = {}, source = open): Promise<Ensemble> {
  const outcome = await trainEnsemble(engine, p, source, hooks);
  assert.ok(outcome.finished);
  return outcome.ensemble;
}

/** Share of the variance that an ensemble explains of activations that it was not trained on. */
async function explained(ensemble: Ensemble): Promise<number> {
  const rows = 256;
  const source = new SyntheticSource({ d_in, total: 200_000 }, { at: 150_000 });
  const { x } = (await source.next(rows))!;
  const { reconstruction } = encodeEnsemble(ensemble, x, rows);
  let error = 0;
  let variance = 0;
  for (let j = 0; j < d_in; j++) {
    let mean = 0;
    for (let t = 0; t < rows; t++) mean += x[t * d_in + j]! / rows;
    for (let t = 0; t < rows; t++) {
      variance += (x[t * d_in + j]! - mean) ** 2;
      error += (x[t * d_in + j]! - reconstruction[t * d_in + j]!) ** 2;
    }
  }
  return 1 - error / variance;
}

const architectures = [
  { architecture: "standard", l1_coefficient: 0.05, l1_warm_up_steps: 20 },
  { architecture: "topk", k: 3 },
  { architecture: "batchtopk", k: 3 },
  { architecture: "matryoshka_batchtopk", k: 3, matryoshka_widths: [4, 8] },
  { architecture: "jumprelu", l0_coefficient: 0.05, l0_warm_up_steps: 20 },
  { architecture: "gated", l1_coefficient: 0.05 },
];

for (const sae of architectures) {
  test(`a ${sae.architecture} SAE learns: the loss falls and held-out variance is explained`, async () => {
    const losses: number[] = [];
    const ensemble = await trained(plan("single", sae, 300), {
      onStep: (event) => losses.push(event.members[0]!.mse!),
    });
    assert.equal(losses.length, 300);
    assert.ok(losses.at(-1)! < 0.5 * losses[0]!, `${losses[0]} → ${losses.at(-1)}`);
    const share = await explained(ensemble);
    assert.ok(share > 0.6, `explained variance ${share}`);
    assert.equal(ensemble.method, "single");
    assert.notEqual(ensemble.members[0]!.config.architecture, "batchtopk", "in its inference form");
    const folder = `${temporaryFolder()}/ensemble`;
    await saveEnsemble(folder, ensemble);
    assert.deepEqual((await loadEnsemble(folder)).members[0]!.weights, ensemble.members[0]!.weights);
  });
}

test("which share of the latents is dead is not said before one can be", async () => {
  const shares: number[] = [];
  await trained(plan("single", { architecture: "topk", k: 3 }, 14), {
    onStep: (event) => shares.push(event.members[0]!.dead!),
  });
  // More than 10 steps without firing, counted before the step: step 12 is the first.
  assert.deepEqual(shares.map(Number.isFinite), [...Array(11).fill(false), true, true, true]);
});

test("bagging: each member ends as if trained alone, on one reading of the data", async () => {
  let opened = 0;
  const p = plan("bagging", { architecture: "topk", k: 3 }, 20);
  const bagging = await trained(p, {}, (cursor) => {
    opened += 1;
    return open(cursor);
  });
  assert.equal(opened, 1);
  assert.deepEqual(bagging.weights, [1 / 3, 1 / 3, 1 / 3]);
  for (const [m, seed] of p.seeds.entries()) {
    const alone = await trained({ ...p, method: "single", n_members: 1, seeds: [seed] });
    assert.deepEqual(bagging.members[m]!.weights, alone.members[0]!.weights);
  }
});

test("boosting: every member starts from the data's beginning, lowers what is left, and earlier ones stay as they were", async () => {
  const p = plan("boosting", { architecture: "topk", k: 2 }, 150);
  const events: TrainingStepEvent[] = [];
  const boosting = await trained(p, { onStep: (event) => events.push(event) });
  assert.deepEqual(boosting.weights, [1, 1, 1]);
  assert.deepEqual([...new Set(events.map((event) => event.members[0]!.member))], [0, 1, 2]);
  assert.deepEqual([events.at(-1)!.stepsDone, events.at(-1)!.stepsInAll], [450, 450]);
  const alone = await trained({ ...p, method: "single", n_members: 1, seeds: [11] });
  assert.deepEqual(boosting.members[0]!.weights, alone.members[0]!.weights);
  const shares: number[] = [];
  for (const n of [1, 2, 3]) {
    shares.push(
      await explained({ ...boosting, members: boosting.members.slice(0, n), weights: [1, 1, 1].slice(0, n) }),
    );
  }
  assert.ok(shares[1]! > shares[0]! && shares[2]! > shares[1]!, `explained variance with 1, 2, 3 members: ${shares}`);
});

test("expanded: one SAE with the ensemble's features and active features", async () => {
  const expanded = await trained(plan("expanded", { architecture: "topk", k: 2 }, 5));
  assert.equal(expanded.method, "single");
  assert.deepEqual([expanded.members[0]!.config.d_sae, expanded.members[0]!.config.k], [48, 6]);
  assert.deepEqual((expanded.provenance["training"] as { method: string }).method, "expanded");
});

for (const sae of [
  { architecture: "batchtopk", k: 3 },
  { architecture: "matryoshka_batchtopk", k: 3, matryoshka_widths: [4, 8] },
  { architecture: "jumprelu", l0_coefficient: 0.05 },
]) {
  test(`expected_average_only_in (${sae.architecture}): trained on scaled activations, folded at the end`, async () => {
    const batches = { n_batches_for_norm_estimate: 10 };
    for (const method of ["single", "boosting"] as const) {
      const p = plan(method, { ...sae, normalize_activations: "expected_average_only_in" }, 30, batches);
      let factor = 0;
      const save = async (state: TrainingState): Promise<void> => {
        factor = state.scaling_factor!;
      };
      const folded = await trained(p, { checkpoint: { due: () => true, save } });
      assert.ok(folded.members.every((member) => member.config.normalize_activations === "none"));

      // The same training on activations that were scaled beforehand.
      const single = Math.fround(factor);
      const prescaled = await trained(plan(method, sae, 30, batches), {}, async (cursor) =>
        scaledSource(await open(cursor), single),
      );
      const { x } = (await new SyntheticSource({ d_in, total: 1000 }).next(40))!;
      const ours = encodeEnsemble(folded, x, 40);
      const theirs = encodeEnsemble(
        prescaled,
        x.map((value) => value * single),
        40,
      );
      for (let at = 0; at < x.length; at++) {
        assert.ok(Math.abs(ours.reconstruction[at]! - theirs.reconstruction[at]! / factor) < 1e-4);
      }
      assert.ok(ours.codes.some((code) => code > 0));
      let norms = 0;
      const estimate = (await new SyntheticSource({ d_in, total: 100_000 }).next(320))!.x;
      for (let t = 0; t < 320; t++) norms += Math.hypot(...estimate.subarray(t * d_in, (t + 1) * d_in));
      assert.ok(Math.abs(factor - (Math.sqrt(d_in) * 320) / norms) < 1e-6);
    }
  });
}

test("b_dec_init geometric_median starts b_dec inside the data, and the first batch is still trained on", async () => {
  const states: TrainingState[] = [];
  const hooks = {
    checkpoint: { due: (steps: number) => steps === 1, save: async (state: TrainingState) => void states.push(state) },
  };
  await trained(plan("single", { architecture: "topk", k: 3, b_dec_init: "geometric_median" }, 3), hooks);
  const [state] = states;
  assert.equal(state!.tokens, 32);
  assert.deepEqual(state!.cursor, { at: 32 });
  const mean = state!.members[0]!.weights.b_dec.reduce((sum, value) => sum + Math.abs(value), 0) / d_in;
  assert.ok(mean > 0.1, `b_dec is ${mean} on average, a step away from the median`);
});

for (const [method, sae] of [
  ["single", { architecture: "batchtopk", k: 3, normalize_activations: "expected_average_only_in" }],
  ["bagging", { architecture: "topk", k: 3 }],
  ["bagging", { architecture: "matryoshka_batchtopk", k: 3, matryoshka_widths: [4, 8] }],
  ["expanded", { architecture: "matryoshka_batchtopk", k: 2, matryoshka_widths: [4, 8] }],
  [
    "boosting",
    {
      architecture: "jumprelu",
      l0_coefficient: 0.05,
      l0_warm_up_steps: 9,
      normalize_activations: "expected_average_only_in",
    },
  ],
  ["boosting", { architecture: "topk", k: 2, b_dec_init: "geometric_median" }],
  ["expanded", { architecture: "gated", l1_coefficient: 0.05 }],
] as const) {
  test(`${method} ${sae.architecture}: broken off at any step and continued from its checkpoints, it ends with the same bits`, async () => {
    const steps = 12;
    const p = plan(method, sae, steps, { lr_warm_up_steps: 3, lr_decay_steps: 4, n_batches_for_norm_estimate: 5 });
    const inAll = method === "boosting" ? 3 * steps : steps;
    const expected = await trained(p);
    for (const crashes of [[1], [5, 9], [inAll - 1], [12, 13, 25]]) {
      const folder = temporaryFolder();
      for (const crashAfter of [...crashes.filter((at) => at < inAll), null]) {
        const from = await loadCheckpoint(folder);
        let goesOnAt: number | undefined;
        const outcome = trainEnsemble(
          engine,
          p,
          open,
          {
            checkpoint: {
              due: (stepsDone) => stepsDone % 4 === 0,
              save: async (state) => void (await saveCheckpoint(folder, state)),
            },
            onStep: (event) => {
              goesOnAt ??= event.stepsDone;
              // As a killed process: no chance to save.
              if (event.stepsDone === crashAfter) throw new Error("killed");
            },
          },
          from?.state,
        );
        if (crashAfter === null) {
          const ended = await outcome;
          assert.ok(ended.finished);
          assert.deepEqual(ended.ensemble, expected, `broken off after ${crashes}`);
          const last = crashes.filter((at) => at < inAll).at(-1) ?? 0;
          // Every fourth step was saved before the next began, so no more than four are done again.
          assert.equal(
            goesOnAt ?? inAll,
            last === 0 ? 1 : 4 * Math.floor((last - 1) / 4) + 1,
            "it goes on behind its last checkpoint",
          );
        } else {
          await assert.rejects(outcome, /killed/);
        }
      }
    }
  });

  test(`${method} ${sae.architecture}: stopped by its signal at any step, it saves and continues to the same bits`, async () => {
    const p = plan(method, sae, 6, { n_batches_for_norm_estimate: 5 });
    const expected = await trained(p);
    for (const stopAfter of [0, 1, 5, 6]) {
      const folder = temporaryFolder();
      const controller = new AbortController();
      if (stopAfter === 0) controller.abort();
      const checkpoint = {
        due: () => false,
        save: async (state: TrainingState) => void (await saveCheckpoint(folder, state)),
      };
      const onStep = (event: TrainingStepEvent): void => {
        if (event.stepsDone === stopAfter) controller.abort();
      };
      const first = await trainEnsemble(engine, p, open, { checkpoint, onStep, signal: controller.signal });
      if (first.finished) {
        assert.ok(method !== "boosting" && stopAfter >= 5, "only a run at its end finishes in spite of the signal");
        continue;
      }
      assert.ok(first.stepsDone - stopAfter <= 1, `stopped ${first.stepsDone - stopAfter} steps after the signal`);
      const from = await loadCheckpoint(folder);
      // Stopped before the estimate of the scale, there was nothing to save.
      assert.equal(from === null, stopAfter === 0 && "normalize_activations" in sae);
      const again = await trainEnsemble(engine, p, open, { checkpoint }, from?.state);
      assert.ok(again.finished);
      assert.deepEqual(again.ensemble, expected);
    }
  });
}

test("the estimate of the scale stops at its signal, with its source closed", async () => {
  const sae = { architecture: "batchtopk", k: 3, normalize_activations: "expected_average_only_in" } as const;
  const controller = new AbortController();
  const sources: SyntheticSource[] = [];
  let batches = 0;
  const stopping = async (): Promise<SyntheticSource> => {
    const source = new SyntheticSource({ d_in, total: 100_000 });
    const next = source.next.bind(source);
    source.next = (rows) => {
      if (++batches === 3) controller.abort();
      return next(rows);
    };
    sources.push(source);
    return source;
  };
  const p = plan("single", sae, 5, { n_batches_for_norm_estimate: 1000 });
  assert.deepEqual(await trainEnsemble(engine, p, stopping, { signal: controller.signal }), {
    finished: false,
    stepsDone: 0,
  });
  assert.equal(batches, 3);
  assert.deepEqual(
    sources.map(({ isClosed }) => isClosed),
    [true],
  );
});

test("a state goes on under keys that have come since with their defaults, and under no other value of them", async () => {
  const states: TrainingState[] = [];
  const checkpoint = {
    due: (done: number) => done === 2,
    save: async (state: TrainingState) => void states.push(structuredClone(state)),
  };
  const p = plan("single", { architecture: "topk", k: 3 }, 4);
  const whole = await trained(p, { checkpoint });
  // As a version wrote it that knew fewer keys.
  const { sae, settings, ...rest } = states[0]!.plan as { sae: object; settings: object };
  const { decoder_norm: _, ...olderSae } = sae as TrainingPlan["sae"];
  const { n_restart_cycles: __, ...olderSettings } = settings as TrainingPlan["settings"];
  const older = { ...states[0]!, fingerprint: "other", plan: { sae: olderSae, settings: olderSettings, ...rest } };
  const outcome = await trainEnsemble(engine, p, open, {}, older);
  assert.ok(outcome.finished);
  assert.deepEqual(outcome.ensemble.members, whole.members);
  for (const other of [
    plan("single", { architecture: "topk", k: 3, decoder_norm: "unit" }, 4),
    plan("single", { architecture: "topk", k: 3 }, 4, { n_restart_cycles: 2 }),
  ])
    await assert.rejects(trainEnsemble(engine, other, open, {}, older), /another experiment/);
});

test("a state of another experiment is refused", async () => {
  const states: TrainingState[] = [];
  const checkpoint = { due: () => true, save: async (state: TrainingState) => void states.push(state) };
  const p = plan("single", { architecture: "topk", k: 3 }, 3);
  await trained(p, { checkpoint });
  await assert.rejects(trainEnsemble(engine, { ...p, seeds: [99] }, open, {}, states[0]), /another experiment/);
});

test("data that ends early is said, and what was trained is kept", async () => {
  const warnings: string[] = [];
  const p = plan("single", { architecture: "topk", k: 3 }, 10);
  const short: OpenActivations = async (cursor) => new SyntheticSource({ d_in, total: 100 }, cursor);
  const outcome = await trainEnsemble(engine, p, short, { onWarning: (message) => warnings.push(message) });
  assert.ok(outcome.finished);
  assert.equal(outcome.stepsDone, 4, "three full batches and the last four rows");
  assert.match(warnings[0]!, /ended after 100 of 320 tokens/);
});

test("no activations, activations of another width and a loss that is no number are errors that say so", async () => {
  const p = plan("single", { architecture: "topk", k: 3 }, 10);
  const empty: OpenActivations = async () => new SyntheticSource({ d_in, total: 0 });
  await assert.rejects(trainEnsemble(engine, p, empty), /no activations/);
  const wide: OpenActivations = async () => new SyntheticSource({ d_in: 9, total: 100 });
  await assert.rejects(trainEnsemble(engine, p, wide), /width 9.*d_in 8/);
  const broken: OpenActivations = async (cursor) => scaledSource(await open(cursor), Number.NaN);
  await assert.rejects(
    trainEnsemble(engine, p, broken),
    (error: unknown) => error instanceof TrainingError && /NaN at step 1/.test(error.message),
  );
  await assert.rejects(trainEnsemble(engine, { ...p, seeds: [1, 2] }, open), /2 seeds for 1/);
});

test("sources are closed, whatever happens", async () => {
  const sources: SyntheticSource[] = [];
  const watched: OpenActivations = async (cursor) => {
    const source = new SyntheticSource({ d_in, total: 100_000 }, cursor);
    sources.push(source);
    return source;
  };
  const p = plan("boosting", { architecture: "topk", k: 3, normalize_activations: "expected_average_only_in" }, 3, {
    n_batches_for_norm_estimate: 2,
  });
  await trained(p, {}, watched);
  assert.equal(sources.length, 4);
  const onStep = (): void => {
    throw new Error("a hook failed");
  };
  await assert.rejects(trainEnsemble(engine, p, watched, { onStep }), /a hook failed/);
  assert.ok(sources.every((source) => source.isClosed));
});

function scaledSource(source: ActivationSource, factor: number): ActivationSource {
  return {
    d_in: source.d_in,
    next: async (rows) => {
      const batch = await source.next(rows);
      return batch && { x: batch.x.map((value) => value * factor), rows: batch.rows };
    },
    cursor: () => source.cursor(),
    close: () => source.close(),
  };
}
