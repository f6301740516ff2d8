// What every engine must do, as one suite: golden steps, the same numbers as the reference engine, state, ensembles, encoding. Called by each engine's own test file.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import {
  type Encoded,
  type Engine,
  EngineError,
  entries,
  type MemberState,
  type StepReport,
  type TrainerConfig,
} from "../../../src/engine/engine.ts";
import { copyMemberState, newMemberState } from "../../../src/engine/memberState.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import { inferenceSae } from "../../../src/sae/fold.ts";
import type { Architecture, NormalizeActivations, Sae, SaeConfig, SaeWeights } from "../../../src/sae/sae.ts";
import { assertRelative, assertWithin, relativeDistance } from "./closeness.ts";
import { goldenRunsContract } from "./goldenRuns.ts";
import {
  defaultTrainerConfig,
  goldenBatches,
  goldenCoefficient,
  goldenRows,
  goldenRun,
  goldenStart,
  goldenTensors,
  weights as goldenWeights,
  parameter,
} from "./goldenTraining.ts";

const architectures: readonly Architecture[] = ["standard", "topk", "batchtopk", "jumprelu", "gated"];

export interface ContractOptions {
  /**
   * Against golden tensors: losses relative, parameters absolute (INDEX.md of the golden folder: 1e-5 and 2e-6 + 1e-3·lr·steps;
   * an engine that sums in float32 may be a little further away where Adam divides by a tiny gradient).
   */
  readonly golden?: { readonly loss: number; readonly parameter: number };
  /** Against the reference engine after 20 steps: losses relative, and ‖Δ‖/‖moved‖ of each parameter, how far it moved from its start. */
  readonly reference?: { readonly loss: number; readonly parameter: number };
  /** Codes and reconstructions, absolute at scale 1. */
  readonly encode?: number;
}

/** Declares the suite for one engine. */
export function engineContract(
  name: string,
  makeEngine: () => Promise<Engine> | Engine,
  options: ContractOptions = {},
): void {
  const goldenTolerance = options.golden ?? { loss: 1e-5, parameter: 2e-6 };
  const referenceTolerance = options.reference ?? { loss: 1e-4, parameter: 2e-3 };
  const encodeTolerance = options.encode ?? 1e-4;

  describe(`the ${name} engine keeps the contract`, () => {
    let engine: Engine;
    const reference = createReferenceEngine();
    before(async () => {
      engine = await makeEngine();
    });
    after(async () => {
      await engine.close();
    });

    describe("golden steps of SAELens' own trainer", () => {
      for (const architecture of architectures) {
        for (const optimiser of ["adam_default", "adam_beta1_0"]) {
          test(`${architecture}, ${optimiser}`, async () => {
            const run = goldenRun(`${architecture}.${optimiser}`);
            const init = await goldenTensors("sae_lens", `${architecture}.adam_default.safetensors`);
            const expected = await goldenTensors("sae_lens", `${architecture}.${optimiser}.safetensors`);
            const start = goldenStart(run, goldenWeights(init, "init.", architecture));
            const trainer = await engine.createTrainer(run.config, [start]);
            const batches = await goldenBatches();
            for (const [s, step] of run.steps.entries()) {
              const input = { lr: step.lr, sparsity_coefficient: goldenCoefficient(step.coefficients) };
              const [report] = await trainer.step(batches[s]!, goldenRows, input);
              assertRelative(report!.loss, step.loss, goldenTolerance.loss, `loss of step ${s}`);
              for (const [loss, value] of Object.entries(step.losses)) {
                assertRelative(report!.losses[loss] ?? Number.NaN, value, goldenTolerance.loss, `${loss} of step ${s}`);
              }
              assertRelative(report!.grad_norm, step.grad_norm_before_clipping, 2e-5, `gradient norm of step ${s}`);
              assert.equal(report!.l0, step.l0, `L0 of step ${s}`);
              assert.equal(report!.n_dead, step.n_dead, `dead latents of step ${s}`);
              const [state] = await trainer.state();
              if (step.topk_threshold_after !== undefined) {
                assertRelative(state!.topk_threshold, step.topk_threshold_after, 2e-6, `threshold after step ${s}`);
              }
              assert.deepEqual(
                [...state!.n_forward_passes_since_fired],
                [...expected.get(`step${s}.n_forward_passes_since_fired`)!.values],
                `counters after step ${s}`,
              );
              for (const [parameterName, values] of entries(state!.weights)) {
                const wanted = parameter(expected, `step${s}.param.`, parameterName);
                if (wanted) {
                  assertAdamWithin(
                    values,
                    wanted,
                    state!,
                    run.config,
                    parameterName,
                    goldenTolerance.parameter,
                    step.lr,
                    s,
                  );
                }
              }
            }
            await trainer.close();
          });
        }
      }
    });

    goldenRunsContract(() => engine, goldenTolerance.loss, 2 * goldenTolerance.parameter);

    describe("20 steps at odd shapes equal the reference engine's", () => {
      for (const shape of randomShapes) {
        test(shape.what, async () => {
          await compareWithReference(engine, reference, shape, referenceTolerance);
        });
      }
    });

    describe("state", () => {
      for (const architecture of architectures) {
        test(`${architecture}: a trainer made from a state goes on with the same bits, and taking it changes nothing`, async () => {
          const shape: Shape = { what: "", architecture, d: 12, F: 40, k: 3, rows: 23, members: 2, window: 3 };
          const { config, states, batch } = setUp(shape);
          const straight = await engine.createTrainer(config, states.map(copyMemberState));
          const broken = await engine.createTrainer(config, states.map(copyMemberState));
          for (let s = 0; s < 5; s++) {
            await straight.step(batch(s), shape.rows, stepInput(s));
            await broken.step(batch(s), shape.rows, stepInput(s));
          }
          const kept = await broken.state();
          const resumed = await engine.createTrainer(config, kept.map(copyMemberState));
          for (let s = 5; s < 12; s++) {
            const expected = await straight.step(batch(s), shape.rows, stepInput(s));
            assert.deepEqual(await broken.step(batch(s), shape.rows, stepInput(s)), expected, "after state()");
            assert.deepEqual(await resumed.step(batch(s), shape.rows, stepInput(s)), expected, "resumed");
          }
          const expected = await straight.state();
          assert.deepEqual(await broken.state(), expected);
          assert.deepEqual(await resumed.state(), expected);
          // What was taken is a copy: training on did not change it.
          assert.equal(kept[0]!.step, 5);
          await Promise.all([straight.close(), broken.close(), resumed.close()]);
        });
      }

      test("the same start and batches give the same bits", async () => {
        const shape: Shape = { what: "", architecture: "topk", d: 20, F: 64, k: 5, rows: 37, members: 1, window: 2 };
        const { config, states, batch } = setUp(shape);
        const runs: MemberState[][] = [];
        for (let run = 0; run < 2; run++) {
          const trainer = await engine.createTrainer(config, states.map(copyMemberState));
          for (let s = 0; s < 8; s++) await trainer.step(batch(s), shape.rows, stepInput(s));
          runs.push(await trainer.state());
          await trainer.close();
        }
        assert.deepEqual(runs[0], runs[1]);
      });
    });

    describe("ensembles", () => {
      for (const architecture of architectures) {
        test(`bagging: ${architecture} members trained together equal each trained alone`, async () => {
          const shape: Shape = { what: "", architecture, d: 12, F: 33, k: 3, rows: 17, members: 3, window: 2 };
          const { config, states, batch } = setUp(shape);
          const together = await engine.createTrainer(config, states.map(copyMemberState));
          const alone = await Promise.all(
            states.map((state) => engine.createTrainer(config, [copyMemberState(state)])),
          );
          let reports: StepReport[] = [];
          const aloneReports: StepReport[] = [];
          for (let s = 0; s < 6; s++) {
            reports = await together.step(batch(s), shape.rows, stepInput(s));
            for (const [m, trainer] of alone.entries()) {
              aloneReports[m] = (await trainer.step(batch(s), shape.rows, stepInput(s)))[0]!;
            }
          }
          assert.equal(reports.length, 3);
          const members = await together.state();
          for (const [m, trainer] of alone.entries()) {
            assertRelative(reports[m]!.loss, aloneReports[m]!.loss, 1e-5, `loss of member ${m}`);
            const [state] = await trainer.state();
            for (const [parameterName, values] of entries(members[m]!.weights)) {
              const moved = relativeDistance(values, state!.weights[parameterName]!);
              assert.ok(moved < 1e-5, `${parameterName} of member ${m}: ${moved}`);
            }
            await trainer.close();
          }
          await together.close();
        });
      }

      test("boosting: the target is what the frozen members leave over, along their chain", async () => {
        const shape: Shape = { what: "", architecture: "topk", d: 12, F: 33, k: 3, rows: 17, members: 3, window: 2 };
        const { config, states, batch } = setUp(shape);
        const frozenMembers = states
          .slice(0, 2)
          .map((state) => inferenceSae({ config: config.sae, weights: state.weights }));
        const frozen = ensembleOf("boosting", frozenMembers);
        const withFrozen = await engine.createTrainer(config, [copyMemberState(states[2]!)], frozen);
        const onResiduals = await engine.createTrainer(config, [copyMemberState(states[2]!)]);
        for (let s = 0; s < 6; s++) {
          const x = batch(s);
          const { reconstruction } = encodeEnsemble(frozen, x, shape.rows);
          const residual = x.map((value, at) => value - reconstruction[at]!);
          const [a] = await withFrozen.step(x, shape.rows, stepInput(s));
          const [b] = await onResiduals.step(residual, shape.rows, stepInput(s));
          assertRelative(a!.loss, b!.loss, 1e-4, `loss of step ${s}`);
          assertRelative(a!.explained_variance, b!.explained_variance, 1e-3, `explained variance of step ${s}`);
        }
        const [[a], [b]] = [await withFrozen.state(), await onResiduals.state()];
        for (const [parameterName, values] of entries(a!.weights)) {
          const distance = relativeDistance(values, b!.weights[parameterName]!);
          assert.ok(distance < 1e-3, `${parameterName}: ${distance}`);
        }
        await Promise.all([withFrozen.close(), onResiduals.close()]);
      });
    });

    describe("hard rows", () => {
      for (const architecture of architectures) {
        test(`${architecture}: rows of zeros, and rows with fewer than k positive pre-activations, train like the reference`, async () => {
          const shape: Shape = {
            what: "",
            architecture,
            d: 12,
            F: 24,
            k: 9,
            rows: 16,
            members: 1,
            window: 1,
            bias: -0.6,
          };
          await compareWithReference(engine, reference, shape, referenceTolerance, (x) => {
            x.fill(0, 0, 3 * shape.d);
            x.fill(0, 11 * shape.d, 12 * shape.d);
            return x;
          });
        });
      }

      test("a batch of zeros gives numbers, not NaN, in losses and parameters", async () => {
        for (const architecture of architectures) {
          const shape: Shape = { what: "", architecture, d: 12, F: 24, k: 4, rows: 16, members: 1, window: 1 };
          const { config, states } = setUp(shape);
          const trainer = await engine.createTrainer(config, states);
          for (let s = 0; s < 4; s++) {
            const [report] = await trainer.step(new Float32Array(16 * 12), 16, stepInput(s));
            assert.ok(Number.isFinite(report!.loss), `${architecture}: loss ${report!.loss}`);
          }
          const [state] = await trainer.state();
          for (const [parameterName, values] of entries(state!.weights)) {
            assert.ok(values.every(Number.isFinite), `${architecture}: ${parameterName}`);
          }
          await trainer.close();
        }
      });
    });

    describe("encoding equals the definition", () => {
      const normalisations: NormalizeActivations[] = ["none", "constant_norm_rescale", "layer_norm"];
      for (const architecture of ["standard", "topk", "jumprelu", "gated"] as const) {
        for (const normalize_activations of normalisations) {
          test(`${architecture}, ${normalize_activations}`, async () => {
            const sae = randomSae({ architecture, normalize_activations }, 5);
            await compareEncoding(engine, ensembleOf("single", [sae]), encodeTolerance);
          });
        }
      }
      test("topk that rescales by its decoder norms, and one that leaves b_dec out of its input", async () => {
        const rescaling = randomSae({ architecture: "topk", rescale_acts_by_decoder_norm: true }, 6);
        await compareEncoding(engine, ensembleOf("single", [rescaling]), encodeTolerance);
        const noBias = randomSae({ architecture: "topk", apply_b_dec_to_input: false }, 7);
        await compareEncoding(engine, ensembleOf("single", [noBias]), encodeTolerance);
      });
      test("negative and zero thresholds of jumprelu give no negative codes", async () => {
        const sae = randomSae({ architecture: "jumprelu" }, 8);
        sae.weights.threshold!.fill(0, 0, 10);
        sae.weights.threshold!.fill(-0.5, 10, 20);
        await compareEncoding(engine, ensembleOf("single", [sae]), encodeTolerance);
      });
      test("bagging carries α_j in its codes, members of different widths side by side", async () => {
        const members = [
          randomSae({ architecture: "topk", d_sae: 41 }, 9),
          randomSae({ architecture: "standard", d_sae: 16 }, 10),
          randomSae({ architecture: "gated", d_sae: 23 }, 11),
        ];
        await compareEncoding(engine, ensembleOf("bagging", members), encodeTolerance);
      });
      test("boosting encodes along the residual chain", async () => {
        const members = [12, 13, 14].map((seed) => randomSae({ architecture: "topk" }, seed));
        await compareEncoding(engine, ensembleOf("boosting", members), encodeTolerance);
      });
      test("any number of rows, one after the other: 1, 3, 0, 64", async () => {
        const ensemble = ensembleOf("boosting", [
          randomSae({ architecture: "topk" }, 15),
          randomSae({ architecture: "jumprelu" }, 16),
        ]);
        await compareEncoding(engine, ensemble, encodeTolerance, [1, 3, 0, 64]);
      });
      test("a batchtopk member that has no inference form yet is refused", async () => {
        const sae = randomSae({ architecture: "batchtopk" }, 17);
        await assert.rejects(engine.createEncoder(ensembleOf("single", [sae])), EngineError);
      });
    });
  });
}

interface Shape {
  readonly what: string;
  readonly architecture: Architecture;
  readonly d: number;
  readonly F: number;
  readonly k: number;
  readonly rows: number;
  readonly members: number;
  /** dead_feature_window. */
  readonly window: number;
  /** Added to the encoder's biases, so that few latents fire. */
  readonly bias?: number;
  readonly config?: Partial<TrainerConfig>;
  readonly sae?: Partial<SaeConfig>;
}

const randomShapes: Shape[] = [
  ...architectures.map(
    (architecture): Shape => ({
      what: `${architecture}: d 13, F 50, 19 rows`,
      architecture,
      d: 13,
      F: 50,
      k: 4,
      rows: 19,
      members: 1,
      window: 2,
    }),
  ),
  ...architectures.map(
    (architecture): Shape => ({
      what: `${architecture}: two members, d 24, F 72, 40 rows, beta1 0, no clipping`,
      architecture,
      d: 24,
      F: 72,
      k: 6,
      rows: 40,
      members: 2,
      window: 2,
      config: { adam_beta1: 0, max_grad_norm: null },
    }),
  ),
  {
    what: "topk: k of 1, beta1 0 with clipping",
    architecture: "topk",
    d: 8,
    F: 31,
    k: 1,
    rows: 9,
    members: 1,
    window: 2,
    config: { adam_beta1: 0 },
  },
  {
    what: "topk: beta1 0.9 without clipping",
    architecture: "topk",
    d: 16,
    F: 48,
    k: 4,
    rows: 32,
    members: 1,
    window: 3,
    config: { max_grad_norm: null },
  },
  { what: "topk: k of F", architecture: "topk", d: 8, F: 16, k: 16, rows: 11, members: 1, window: 2 },
  {
    what: "topk without rescaling",
    architecture: "topk",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    sae: { rescale_acts_by_decoder_norm: false },
  },
  {
    what: "topk without b_dec in the input",
    architecture: "topk",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    sae: { apply_b_dec_to_input: false },
  },
  {
    what: "topk, many dead latents for AuxK",
    architecture: "topk",
    d: 12,
    F: 80,
    k: 2,
    rows: 10,
    members: 1,
    window: 0,
  },
  {
    what: "topk without AuxK",
    architecture: "topk",
    d: 12,
    F: 80,
    k: 2,
    rows: 10,
    members: 1,
    window: 0,
    config: { aux_loss_coefficient: 0 },
  },
  {
    what: "topk as dictionary_learning: unit rows, its AuxK",
    architecture: "topk",
    d: 12,
    F: 60,
    k: 3,
    rows: 15,
    members: 1,
    window: 1,
    sae: { rescale_acts_by_decoder_norm: false },
    config: { decoder_norm: "unit", aux_loss_form: "dictionary_learning", aux_loss_coefficient: 1 / 32 },
  },
  {
    what: "batchtopk as dictionary_learning: unit rows, its AuxK",
    architecture: "batchtopk",
    d: 12,
    F: 60,
    k: 3,
    rows: 15,
    members: 1,
    window: 1,
    sae: { rescale_acts_by_decoder_norm: false },
    config: { decoder_norm: "unit", aux_loss_form: "dictionary_learning", aux_loss_coefficient: 1 / 32 },
  },
  {
    what: "batchtopk: a k that is not whole",
    architecture: "batchtopk",
    d: 12,
    F: 40,
    k: 2.5,
    rows: 7,
    members: 1,
    window: 2,
  },
  {
    what: "standard: lp_norm 0.8",
    architecture: "standard",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    config: { lp_norm: 0.8 },
  },
  {
    what: "jumprelu: unit rows",
    architecture: "jumprelu",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    config: { decoder_norm: "unit" },
  },
  {
    what: "gated: without b_dec in the input",
    architecture: "gated",
    d: 12,
    F: 40,
    k: 4,
    rows: 21,
    members: 1,
    window: 2,
    sae: { apply_b_dec_to_input: false },
  },
];

function stepInput(s: number): { lr: number; sparsity_coefficient: number } {
  return { lr: 1e-3, sparsity_coefficient: s === 0 ? 0 : 0.1 };
}

/** States, config and batches that depend on the shape alone. */
function setUp(shape: Shape): { config: TrainerConfig; states: MemberState[]; batch: (s: number) => Float32Array } {
  const { architecture, d, F, k, rows } = shape;
  const isTopk = architecture === "topk" || architecture === "batchtopk";
  const sae: SaeConfig = {
    architecture,
    d_in: d,
    d_sae: F,
    ...(isTopk ? { k, rescale_acts_by_decoder_norm: true } : {}),
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    dtype: "float32",
    metadata: {},
    ...shape.sae,
  };
  // A wide kernel for jumprelu, so that thresholds have gradients at these few rows.
  const config = {
    ...defaultTrainerConfig(sae),
    jumprelu_bandwidth: 0.3,
    dead_feature_window: shape.window,
    ...shape.config,
  };
  const states = Array.from({ length: shape.members }, (_, m) =>
    newMemberState(
      randomWeights(sae, SeededRandom.derive(100 + m, shape.what), shape.bias ?? 0, config.decoder_norm),
      config.adam_beta1,
    ),
  );
  // Directions that the data prefers, so that there is something to learn.
  const random = SeededRandom.derive(7, "directions", shape.what);
  const directions = Float32Array.from({ length: 6 * d }, () => random.normal());
  const batch = (s: number): Float32Array => {
    const own = SeededRandom.derive(8, shape.what, s);
    const x = new Float32Array(rows * d);
    for (let t = 0; t < rows; t++) {
      const direction = own.integer(6);
      const strength = 0.5 + own.uniform();
      for (let j = 0; j < d; j++) x[t * d + j] = strength * directions[direction * d + j]! + 0.3 * own.normal() + 0.2;
    }
    return x;
  };
  return { config, states, batch };
}

function randomWeights(sae: SaeConfig, random: SeededRandom, bias: number, decoderNorm: "free" | "unit"): SaeWeights {
  const { d_in: d, d_sae: F } = sae;
  const normal = (length: number, scale: number, mean = 0): Float32Array =>
    Float32Array.from({ length }, () => mean + scale * random.normal());
  const W_dec = normal(F * d, 1 / Math.sqrt(d));
  for (let i = 0; i < F; i++) {
    const row = W_dec.subarray(i * d, (i + 1) * d);
    const norm = Math.hypot(...row);
    const wanted = decoderNorm === "unit" ? 1 : 0.5 + random.uniform();
    for (let j = 0; j < d; j++) row[j] = (row[j]! / norm) * wanted;
  }
  const base = { W_enc: normal(F * d, 1 / Math.sqrt(d)), W_dec, b_dec: normal(d, 0.1) };
  switch (sae.architecture) {
    case "gated":
      return { ...base, b_gate: normal(F, 0.1, bias), b_mag: normal(F, 0.1, bias), r_mag: normal(F, 0.2) };
    case "jumprelu":
      return {
        ...base,
        b_enc: normal(F, 0.1, bias),
        threshold: Float32Array.from({ length: F }, () => 0.3 * random.uniform()),
      };
    default:
      return { ...base, b_enc: normal(F, 0.1, bias) };
  }
}

async function compareWithReference(
  engine: Engine,
  reference: Engine,
  shape: Shape,
  tolerance: { loss: number; parameter: number },
  change: (x: Float32Array) => Float32Array = (x) => x,
): Promise<void> {
  const { config, states, batch } = setUp(shape);
  const [ours, theirs] = [
    await engine.createTrainer(config, states.map(copyMemberState)),
    await reference.createTrainer(config, states.map(copyMemberState)),
  ];
  for (let s = 0; s < 20; s++) {
    const x = change(batch(s));
    const [got, wanted] = [
      await ours.step(x, shape.rows, stepInput(s)),
      await theirs.step(x.slice(), shape.rows, stepInput(s)),
    ];
    for (const [m, want] of wanted.entries()) {
      const at = `member ${m}, step ${s}`;
      const have = got[m]!;
      assertRelative(have.loss, want.loss, tolerance.loss, `${at}: loss`);
      assert.deepEqual(Object.keys(have.losses).sort(), Object.keys(want.losses).sort());
      for (const [loss, value] of Object.entries(want.losses)) {
        assertRelative(have.losses[loss]!, value, 10 * tolerance.loss, `${at}: ${loss}`);
      }
      assertRelative(have.l0, want.l0, 1e-6 + 1 / (shape.rows * Math.max(1, want.l0) * 2), `${at}: L0`);
      assertWithin(
        [have.explained_variance],
        [want.explained_variance],
        10 * tolerance.loss,
        `${at}: explained variance`,
      );
      if (config.max_grad_norm === null)
        assert.ok(Number.isNaN(have.grad_norm), `${at}: no clipping, no gradient norm`);
      else assertRelative(have.grad_norm, want.grad_norm, 10 * tolerance.loss, `${at}: gradient norm`);
      assert.equal(have.n_dead, want.n_dead, `${at}: dead latents`);
    }
  }
  const [got, wanted] = [await ours.state(), await theirs.state()];
  for (const [m, want] of wanted.entries()) {
    assert.equal(got[m]!.step, 20);
    assert.deepEqual(got[m]!.n_forward_passes_since_fired, want.n_forward_passes_since_fired, `member ${m}: counters`);
    assertRelative(got[m]!.topk_threshold, want.topk_threshold, tolerance.loss, `member ${m}: threshold`);
    for (const [name, values] of entries(want.weights)) {
      const start = states[m]!.weights[name]!;
      const moved = Math.max(1e-6, distance(values, start));
      const apart = distance(got[m]!.weights[name]!, values) / moved;
      assert.ok(
        apart <= tolerance.parameter,
        `member ${m}, ${name}: ${apart} of how far it moved, allowed ${tolerance.parameter}`,
      );
    }
  }
  await Promise.all([ours.close(), theirs.close()]);
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let squares = 0;
  for (let at = 0; at < b.length; at++) squares += (a[at]! - b[at]!) ** 2;
  return Math.sqrt(squares);
}

/**
 * Parameters after a step, except where Adam divides by a gradient that is nothing but rounding: there a parameter may be off
 * by up to lr a step (MANIFEST.json: where |clipped grad| < 1e-7, seen here by the second moment).
 */
function assertAdamWithin(
  values: Float32Array,
  wanted: Float32Array,
  state: MemberState,
  config: TrainerConfig,
  name: keyof SaeWeights,
  tolerance: number,
  lr: number,
  s: number,
): void {
  const allowed = tolerance + 1e-3 * lr * (s + 1);
  const second = state.exp_avg_sq[name]!;
  const noise = (1 - config.adam_beta2) * 1e-14;
  for (let at = 0; at < wanted.length; at++) {
    if (second[at]! < noise) continue;
    const apart = Math.abs(values[at]! - wanted[at]!);
    assert.ok(
      apart <= allowed,
      `${name} after step ${s}, entry ${at}: ${values[at]} for ${wanted[at]}, allowed ${allowed}`,
    );
  }
}

function randomSae(settings: Partial<SaeConfig>, seed: number): Sae {
  const architecture = settings.architecture ?? "topk";
  const config: SaeConfig = {
    d_in: 14,
    d_sae: 52,
    ...(architecture === "topk" || architecture === "batchtopk" ? { k: 5, rescale_acts_by_decoder_norm: false } : {}),
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    dtype: "float32",
    metadata: {},
    ...settings,
    architecture,
  };
  const weights = randomWeights(config, SeededRandom.derive(seed, "sae"), 0, "free");
  return { config, weights, ...(architecture === "batchtopk" ? { topk_threshold: 0.4 } : {}) };
}

function ensembleOf(method: Ensemble["method"], members: Sae[]): Ensemble {
  const weight = method === "bagging" ? 1 / members.length : 1;
  return {
    method,
    members,
    weights: members.map(() => weight),
    seeds: members.map((_, m) => m),
    hook: "test",
    provenance: {},
  };
}

async function compareEncoding(engine: Engine, ensemble: Ensemble, tolerance: number, sizes = [29]): Promise<void> {
  const encoder = await engine.createEncoder(ensemble);
  const d = ensemble.members[0]!.config.d_in;
  for (const rows of sizes) {
    const random = SeededRandom.derive(rows, "activations");
    const x = Float32Array.from({ length: rows * d }, () => 1.5 * random.normal() + 0.3);
    const before = x.slice();
    const wanted = encodeEnsemble(ensemble, x, rows);
    const got = await encoder.encode(x, rows);
    assert.deepEqual(x, before, "the caller's activations are left as they were");
    assertWithin(got.reconstruction, wanted.reconstruction, tolerance, `reconstruction of ${rows} rows`);
    assertWithin(denseCodes(got), wanted.codes, tolerance, `codes of ${rows} rows`);
  }
  await encoder.close();
}

/** Dense codes, after checking that the sparse ones are well formed. */
function denseCodes({ codes }: Encoded): Float32Array {
  const { rows, width, offsets, indices, values } = codes;
  assert.equal(offsets.length, rows + 1);
  assert.equal(offsets[rows], indices.length);
  assert.equal(indices.length, values.length);
  const dense = new Float32Array(rows * width);
  for (let t = 0; t < rows; t++) {
    for (let at = offsets[t]!; at < offsets[t + 1]!; at++) {
      assert.ok(at === offsets[t] || indices[at]! > indices[at - 1]!, "indices ascend within a row");
      assert.ok(values[at]! > 0, "only positive values are stored");
      dense[t * width + indices[at]!] = values[at]!;
    }
  }
  return dense;
}
