// The part of the engines' contract that is SAELens' own trainer: five golden steps of every architecture under two optimisers.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Engine, entries, type MemberState, type TrainerConfig } from "../../../src/engine/engine.ts";
import type { SaeWeights } from "../../../src/sae/sae.ts";
import { assertRelative, assertWithin, largestMagnitude } from "./closeness.ts";
import {
  goldenBatches,
  goldenCoefficient,
  goldenRows,
  goldenRun,
  goldenStart,
  goldenTensors,
  weights as goldenWeights,
  parameter,
  type Tensors,
} from "./goldenTraining.ts";
import { architectures } from "./randomCases.ts";

/** Declares these tests for an engine that `engine()` gives. Tolerances: losses relative, parameters absolute. */
export function goldenStepsContract(
  engine: () => Engine,
  goldenTolerance: { readonly loss: number; readonly parameter: number },
): void {
  describe("golden steps of SAELens' own trainer", () => {
    for (const architecture of architectures) {
      for (const optimiser of ["adam_default", "adam_beta1_0"]) {
        test(`${architecture}, ${optimiser}`, async () => {
          const run = goldenRun(`${architecture}.${optimiser}`);
          const init = await goldenTensors("sae_lens", `${architecture}.adam_default.safetensors`);
          const expected = await goldenTensors("sae_lens", `${architecture}.${optimiser}.safetensors`);
          const start = goldenStart(run, goldenWeights(init, "init.", run.config.sae.architecture));
          const trainer = await engine().createTrainer(run.config, [start]);
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
            assertMoments(state!, expected, s);
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

/** Both moments where the file has them; an engine that updates rows lazily (last_updated) holds them as of another step. */
function assertMoments(state: MemberState, expected: Tensors, s: number): void {
  if (state.last_updated) return;
  for (const moment of ["exp_avg", "exp_avg_sq"] as const) {
    for (const [name, values] of entries(state[moment] ?? ({} as SaeWeights))) {
      const wanted = parameter(expected, `step${s}.${moment}.`, name);
      if (wanted) assertWithin(values, wanted, 2e-5 * largestMagnitude(wanted), `${moment} of ${name} after step ${s}`);
    }
  }
}
