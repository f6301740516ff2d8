// The reference engine's gradients against SAELens' autograd, for every architecture and switch that the contract has.
import { test } from "node:test";
import { entries } from "../../../../src/engine/engine.ts";
import { computeGradients } from "../../../../src/engine/reference/lossGradients.ts";
import { assertRelative, assertWithin, largestMagnitude } from "../closeness.ts";
import {
  type GoldenRun,
  goldenBatches,
  goldenCoefficient,
  goldenRows,
  goldenRun,
  goldenTensors,
  parameter,
  type Tensors,
  weights,
} from "../goldenTraining.ts";
import { architectures } from "../randomCases.ts";

const batches = await goldenBatches();

function check(run: GoldenRun, s: number, from: Tensors, prefix: string, expected: Tensors, dead: Uint8Array): void {
  const architecture = run.config.sae.architecture;
  const start = weights(from, prefix, architecture);
  // As the trainer does before its forward pass.
  start.threshold = start.threshold?.map((value) => Math.max(0, value)) as Float32Array;
  if (!start.threshold) delete start.threshold;
  const step = run.steps[s]!;
  const result = computeGradients({
    config: run.config,
    weights: start,
    x: batches[s]!,
    rows: goldenRows,
    sparsity_coefficient: goldenCoefficient(step.coefficients),
    dead,
  });
  for (const [name, loss] of Object.entries(step.losses)) assertRelative(result.losses[name]!, loss, 1e-5, name);
  for (const [name] of entries(start)) {
    const grad = parameter(expected, `step${s}.grad.`, name)!;
    // lp_norm 0.5: the derivative grows without bound near 0 (INDEX.md).
    const tolerance = run.config.lp_norm === 1 ? 1e-5 : 3e-5;
    assertWithin(result.gradients[name]!, grad, tolerance * largestMagnitude(grad), `step ${s}, gradient of ${name}`);
  }
}

for (const architecture of architectures) {
  test(`gradients of ${architecture} equal SAELens' at each of five steps`, async () => {
    const run = goldenRun(`${architecture}.adam_default`);
    const tensors = await goldenTensors("sae_lens", `${architecture}.adam_default.safetensors`);
    for (let s = 0; s < run.steps.length; s++) {
      const prefix = s === 0 ? "init." : `step${s - 1}.param.`;
      check(run, s, tensors, prefix, tensors, deadBefore(tensors, s, run));
    }
  });
}

for (const name of [
  "one_step.topk.rescale_false",
  "one_step.topk.no_b_dec_to_input",
  "one_step.topk.aux_loss_coefficient_1_32",
  "one_step.batchtopk.rescale_false",
  "one_step.standard.lp_norm_0.5_no_b_dec",
]) {
  test(`gradients of ${name} equal SAELens'`, async () => {
    const run = goldenRun(name);
    const init = await goldenTensors("sae_lens", `${name.split(".")[1]}.adam_default.safetensors`);
    check(run, 0, init, "init.", await goldenTensors("sae_lens", `${name}.safetensors`), deadBefore(init, 0, run));
  });
}

/** Dead mask of step s, from the counters after step s − 1. */
function deadBefore(tensors: Tensors, s: number, run: GoldenRun): Uint8Array {
  const dead = new Uint8Array(run.config.sae.d_sae);
  if (s === 0) {
    for (const i of run.forced_dead) dead[i] = 1;
    return dead;
  }
  const since = tensors.get(`step${s - 1}.n_forward_passes_since_fired`)!.values;
  return dead.map((_, i) => (since[i]! > run.config.dead_feature_window ? 1 : 0));
}
