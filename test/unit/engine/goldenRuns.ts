// The part of the engines' contract that stands on golden files beside SAELens' five steps: dictionary_learning's trainers, boosting and bagging in plain torch, ties in TopK.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type Engine, entries, type TrainerConfig } from "../../../src/engine/engine.ts";
import { newMemberState } from "../../../src/engine/memberState.ts";
import { defaultTrainerConfig } from "../../../src/engine/trainerDefaults.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import type { Sae, SaeConfig } from "../../../src/sae/sae.ts";
import { golden } from "../fixtures.ts";
import { assertRelative, assertWithin } from "./closeness.ts";
import {
  dictionaryLearningWeights,
  goldenBatches,
  goldenRows,
  goldenTensors,
  parameter,
  type Tensors,
  weights,
} from "./goldenTraining.ts";

const topk: SaeConfig = {
  architecture: "topk",
  d_in: 24,
  d_sae: 96,
  k: 8,
  rescale_acts_by_decoder_norm: false,
  apply_b_dec_to_input: true,
  normalize_activations: "none",
  dtype: "float32",
  metadata: {},
};

/** Plain torch of golden/training/ensembles: no AuxK, no clipping, beta1 0. */
const plain: TrainerConfig = {
  ...defaultTrainerConfig(topk),
  aux_loss_coefficient: 0,
  adam_beta1: 0,
  max_grad_norm: null,
};

/** Declares these tests for an engine that `engine()` gives. `parameterTolerance`: absolute, for five steps of lr 1e-3. */
export function goldenRunsContract(engine: () => Engine, lossTolerance: number, parameterTolerance: number): void {
  describe("dictionary_learning's own trainers: unit decoder rows, AuxK over the residual's variance", () => {
    for (const name of ["topk", "batchtopk", "topk_few_dead"] as const) {
      test(name, async () => {
        const run = JSON.parse(readFileSync(golden("training", "dictionary_learning", "MANIFEST.json"), "utf8")).runs[
          name
        ];
        const tensors = await goldenTensors("dictionary_learning", `${name}.safetensors`);
        const config: TrainerConfig = {
          ...defaultTrainerConfig({ ...topk, architecture: name === "batchtopk" ? "batchtopk" : "topk" }),
          aux_loss_form: "dictionary_learning",
          aux_loss_coefficient: run.auxk_alpha,
          decoder_norm: "unit",
          // It takes its mask after counting, we before, as SAELens does. No latent but the forced ones is silent for three
          // batches here, so with this window both masks are the forced ones.
          dead_feature_window: 5,
        };
        const start = newMemberState(dictionaryLearningWeights(tensors, "init."), config.adam_beta1);
        start.weights.b_dec = tensors.get("geometric_median_of_batch_0")!.values.slice();
        for (const i of run.forced_dead) start.n_forward_passes_since_fired[i] = 10;
        const trainer = await engine().createTrainer(config, [start]);
        const batches = await goldenBatches();
        for (const [s, step] of run.steps.entries()) {
          const [report] = await trainer.step(batches[s]!, goldenRows, { lr: run.lr, sparsity_coefficient: 0 });
          assertRelative(report!.loss, step.loss, lossTolerance, `loss of step ${s}`);
          assertRelative(report!.losses["mse_loss"]!, step.l2_loss, lossTolerance, `l2 loss of step ${s}`);
          const aux = report!.losses["auxiliary_reconstruction_loss"]!;
          assertRelative(aux, step.auxk_loss_normalised * run.auxk_alpha, 10 * lossTolerance, `AuxK of step ${s}`);
          assertRelative(
            report!.grad_norm,
            step.grad_norm_before_clipping,
            10 * lossTolerance,
            `gradient norm of step ${s}`,
          );
          assert.equal(report!.n_dead, step.n_dead, `dead latents of step ${s}`);
          const [state] = await trainer.state();
          const expected = dictionaryLearningWeights(tensors, `step${s}.param.`);
          // Latents that AuxK alone moves have gradients so small that Adam makes rounding visible: relative to the step's size.
          for (const [parameterName, values] of entries(expected)) {
            assertWithin(
              state!.weights[parameterName]!,
              values,
              parameterTolerance,
              `${parameterName} after step ${s}`,
            );
          }
        }
        await trainer.close();
      });
    }
  });

  describe("ensembles in plain torch", () => {
    test("bagging: three members on the same batches, their mean on a held-out one", async () => {
      const tensors = await goldenTensors("ensembles", "bagging_3_members.safetensors");
      const starts = [0, 1, 2].map((m) => newMemberState(weights(tensors, `member_${m}.init.`, "topk"), 0));
      const trainer = await engine().createTrainer(plain, starts);
      const { losses } = manifestOf("bagging_3_members");
      await trainThreeSteps(trainer, (m, s, loss) =>
        assertRelative(loss, losses[m]![s]!, lossTolerance, `member ${m}, step ${s}`),
      );
      const states = await trainer.state();
      await trainer.close();
      for (const [m, { weights: got }] of states.entries())
        assertParameters(tensors, `member_${m}.step2.param.`, got, parameterTolerance);
      await assertTestBatch("bagging", states, tensors, [1 / 3, 1 / 3, 1 / 3]);
    });

    test("boosting: the second member trains on what the finished first leaves over", async () => {
      const tensors = await goldenTensors("ensembles", "boosting_2_members.safetensors");
      const config = { ...plain, decoder_norm: "unit" } as const;
      const { losses } = manifestOf("boosting_2_members");
      const finished: Sae[] = [];
      for (const m of [0, 1]) {
        const start = newMemberState(weights(tensors, `member_${m}.init.`, "topk"), 0);
        const frozen = m === 0 ? undefined : ensemble("boosting", finished, [1]);
        const trainer = await engine().createTrainer(config, [start], frozen);
        await trainThreeSteps(trainer, (_, s, loss) =>
          assertRelative(loss, losses[m]![s]!, lossTolerance, `member ${m}, step ${s}`),
        );
        const [state] = await trainer.state();
        await trainer.close();
        assertParameters(tensors, `member_${m}.step2.param.`, state!.weights, parameterTolerance);
        finished.push({ config: topk, weights: state!.weights });
      }
      await assertTestBatch("boosting", finished, tensors, [1, 1]);
    });
  });

  test("TopK's edge cases: fewer than k positive, none, zeros, ties, −0", async () => {
    const file = await readSafetensors(golden("training", "topk_edge_cases", "io.safetensors"));
    const pre = await tensorFloat32(file, "pre", [8, 10]);
    const expected = await tensorFloat32(file, "codes_saelens_topk");
    // An identity encoder makes the given pre-activations; the last row holds an infinity and needs no engine.
    const rows = 7;
    const identity = Float32Array.from({ length: 100 }, (_, at) => (at % 11 === 0 ? 1 : 0));
    const config: SaeConfig = { ...topk, d_in: 10, d_sae: 10, k: 4 };
    const sae: Sae = {
      config,
      weights: { W_enc: identity, W_dec: identity.slice(), b_dec: new Float32Array(10), b_enc: new Float32Array(10) },
    };
    const encoder = await engine().createEncoder(ensemble("single", [sae], [1]));
    const { codes } = await encoder.encode(pre.slice(0, rows * 10), rows);
    await encoder.close();
    for (let t = 0; t < rows; t++) {
      const row = Array.from(pre.slice(t * 10, (t + 1) * 10));
      const active = [...codes.indices.slice(codes.offsets[t]!, codes.offsets[t + 1]!)];
      // Our rule where torch promises nothing: ties to the lowest index.
      const wanted = row
        .map((value, i) => ({ value, i }))
        .sort((a, b) => b.value - a.value || a.i - b.i)
        .slice(0, 4)
        .filter(({ value }) => value > 0)
        .map(({ i }) => i)
        .sort((a, b) => a - b);
      assert.deepEqual(active, wanted, `row ${t}`);
      const theirs = Array.from(expected.slice(t * 10, (t + 1) * 10)).filter((code) => code > 0);
      const ours = active.map((i) => row[i]!);
      assert.deepEqual(ours.sort(), theirs.sort(), `row ${t}: the same values as torch keeps`);
    }
  });

  async function trainThreeSteps(
    trainer: Awaited<ReturnType<Engine["createTrainer"]>>,
    check: (member: number, step: number, loss: number) => void,
  ): Promise<void> {
    const batches = await goldenBatches();
    for (const s of [0, 1, 2]) {
      const reports = await trainer.step(batches[s]!, goldenRows, { lr: 1e-3, sparsity_coefficient: 0 });
      for (const [m, report] of reports.entries()) check(m, s, report.loss);
    }
  }

  async function assertTestBatch(
    method: Ensemble["method"],
    members: readonly { weights: Sae["weights"] }[],
    tensors: Tensors,
    alphas: number[],
  ): Promise<void> {
    const saes = members.map((member) => ({ config: topk, weights: member.weights }));
    const encoder = await engine().createEncoder(ensemble(method, saes, alphas));
    const { reconstruction, codes } = await encoder.encode(tensors.get("x_test")!.values, goldenRows);
    await encoder.close();
    assertWithin(reconstruction, tensors.get("test.reconstruction")!.values, 5e-5, "reconstruction of the test batch");
    const dense = new Float32Array(goldenRows * codes.width);
    for (let t = 0; t < goldenRows; t++) {
      for (let at = codes.offsets[t]!; at < codes.offsets[t + 1]!; at++)
        dense[t * codes.width + codes.indices[at]!] = codes.values[at]!;
    }
    for (const [m, alpha] of alphas.entries()) {
      const own = tensors.get(`test.codes_member_${m}`)!.values.map((code) => code * alpha);
      const ours = own.map((_, at) => dense[Math.floor(at / 96) * codes.width + m * 96 + (at % 96)]!);
      assertWithin(ours, own, 5e-5, `codes of member ${m}`);
    }
  }
}

function assertParameters(tensors: Tensors, prefix: string, got: Sae["weights"], tolerance: number): void {
  for (const [name, values] of entries(got))
    assertWithin(values, parameter(tensors, prefix, name)!, tolerance, prefix + name);
}

function ensemble(method: Ensemble["method"], members: readonly Sae[], alphas: readonly number[]): Ensemble {
  return {
    method,
    members: [...members],
    weights: alphas,
    seeds: members.map((_, m) => m),
    hook: "test",
    provenance: {},
  };
}

function manifestOf(name: string): { losses: number[][] } {
  return JSON.parse(readFileSync(golden("training", "ensembles", "MANIFEST.json"), "utf8")).runs[name];
}
