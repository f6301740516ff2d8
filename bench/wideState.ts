// Whether an SAE whose weights and optimiser state pass 4 GiB trains right: steps of one that lies over several 32-bit memories, against a small one with the same latents scattered through it. Needs some 16 GiB of free memory. Usage: node bench/wideState.ts
import { freemem } from "node:os";
import { SeededRandom } from "../src/data/seededRandom.ts";
import { createCpuEngine } from "../src/engine/cpu/cpuEngine.ts";
import type { MemberState, TrainerConfig } from "../src/engine/engine.ts";
import { newMemberState } from "../src/engine/memberState.ts";
import type { SaeWeights } from "../src/sae/sae.ts";
import { stepConfig } from "./trainStep.ts";

const [d, WIDE, NARROW, ROWS, STEPS] = [768, 380_000, 300, 64, 5];
const LEAST_FREE = 16 * 2 ** 30;
/** Latents that are not the small SAE's never fire: their rows are zero and this is their bias. */
const NEVER = -1e9;

if (freemem() < LEAST_FREE)
  throw new Error(`needs 16 GiB of free memory, ${(freemem() / 2 ** 30).toFixed(1)} are free`);

const random = new SeededRandom(1);
const normal = (n: number, scale: number) => Float32Array.from({ length: n }, () => random.normal() * scale);
const config = (d_sae: number): TrainerConfig => stepConfig({ d_in: d, d_sae, k: 16, adam_beta1: 0 });
/** Where the small SAE's latents lie in the wide one: the first, the last, and evenly between. */
const places = Array.from({ length: NARROW }, (_, i) => Math.round((i * (WIDE - 1)) / (NARROW - 1)));

const narrow: SaeWeights = {
  W_enc: normal(NARROW * d, 0.05),
  b_enc: normal(NARROW, 0.1),
  W_dec: normal(NARROW * d, 0.05),
  b_dec: normal(d, 0.1),
};
const wide: SaeWeights = {
  W_enc: new Float32Array(WIDE * d),
  b_enc: new Float32Array(WIDE).fill(NEVER),
  W_dec: new Float32Array(WIDE * d),
  b_dec: narrow.b_dec.slice(),
};
for (const [i, place] of places.entries()) {
  for (const name of ["W_enc", "W_dec"] as const)
    wide[name]!.set(narrow[name]!.subarray(i * d, (i + 1) * d), place * d);
  wide.b_enc![place] = narrow.b_enc![i]!;
}
const batches = Array.from({ length: STEPS }, () => normal(ROWS * d, 1));

async function train(d_sae: number, weights: SaeWeights): Promise<MemberState> {
  const engine = await createCpuEngine();
  const settings = config(d_sae);
  const trainer = await engine.createTrainer(settings, [newMemberState(weights, settings.adam_beta1)]);
  for (const [step, x] of batches.entries()) {
    const [report] = await trainer.step(x, ROWS, { lr: 1e-3, sparsity_coefficient: 0 });
    console.log(`d_sae ${d_sae}, step ${step + 1}: loss ${report!.loss}, L0 ${report!.l0}`);
  }
  const [state] = await trainer.state();
  await trainer.close();
  await engine.close();
  return state!;
}

const small = await train(NARROW, narrow);
const large = await train(WIDE, wide);
const latent = (values: Float32Array, i: number, width: number) => values.subarray(i * width, (i + 1) * width);
let [most, size, moved] = [0, 0, 0];
const isPlace = new Set(places);
for (const [set, a, b] of [
  ["weights", small.weights, large.weights],
  ["exp_avg_sq", small.exp_avg_sq, large.exp_avg_sq],
] as const) {
  for (const name of ["W_enc", "W_dec", "b_enc"] as const) {
    const width = name === "b_enc" ? 1 : d;
    [most, size] = [0, 0];
    for (const [i, place] of places.entries()) {
      const [one, other] = [latent(a[name]!, i, width), latent(b[name]!, place, width)];
      for (let j = 0; j < width; j++) {
        most = Math.max(most, Math.abs(one[j]! - other[j]!));
        size = Math.max(size, Math.abs(one[j]!));
      }
    }
    const still = name === "b_enc" && set === "weights" ? NEVER : 0;
    for (let i = 0; i < WIDE; i++)
      if (!isPlace.has(i)) for (const value of latent(b[name]!, i, width)) if (value !== Math.fround(still)) moved++;
    console.log(`${set} ${name}: largest difference ${most.toExponential(2)}, of ${size.toExponential(2)}`);
    if (!(most <= 1e-5 * size)) process.exitCode = 1;
  }
}
const bytes = 4 * 2 * (2 * d + 1) * WIDE;
console.log(
  `${moved} numbers of the latents that never fire have moved; weights and second moments are ${(bytes / 2 ** 30).toFixed(2)} GiB`,
);
if (moved > 0) process.exitCode = 1;
