// The weights of an SAE before training, as SAELens draws them.
import { SeededRandom } from "../data/seededRandom.ts";
import type { SaeWeights } from "./sae.ts";
import type { TrainingSaeConfig } from "./trainingConfig.ts";

/**
 * W_dec [F, d] uniform on ±√(6/d) (torch's kaiming_uniform_), each row then scaled to decoder_init_norm unless that is null;
 * to 1 where decoder_norm is "unit". W_enc starts as a copy of the same rows and is not tied. Biases are zero, thresholds
 * jumprelu_init_threshold. The same seed gives the same bits; the stream is ours, not torch's.
 */
export function initialiseSae(config: TrainingSaeConfig, seed: number): SaeWeights {
  const { d_in: d, d_sae: F } = config;
  const random = SeededRandom.derive(seed, "initial weights");
  const bound = Math.sqrt(6 / d);
  const W_dec = new Float32Array(F * d);
  for (let at = 0; at < W_dec.length; at++) W_dec[at] = (2 * random.uniform() - 1) * bound;
  const norm = config.decoder_norm === "unit" ? 1 : config.decoder_init_norm;
  if (norm !== null) {
    for (let i = 0; i < F; i++) scaleTo(W_dec.subarray(i * d, (i + 1) * d), norm);
  }
  const base = { W_enc: W_dec.slice(), W_dec, b_dec: new Float32Array(d) };
  switch (config.architecture) {
    case "gated":
      return { ...base, b_gate: new Float32Array(F), b_mag: new Float32Array(F), r_mag: new Float32Array(F) };
    case "jumprelu":
      return {
        ...base,
        b_enc: new Float32Array(F),
        threshold: new Float32Array(F).fill(config.jumprelu_init_threshold),
      };
    default:
      return { ...base, b_enc: new Float32Array(F) };
  }
}

function scaleTo(row: Float32Array, norm: number): void {
  let squares = 0;
  for (const value of row) squares += value * value;
  // A row of zeros can't be drawn in practice, but dividing by zero would never be noticed.
  const factor = squares > 0 ? norm / Math.sqrt(squares) : 0;
  for (let j = 0; j < row.length; j++) row[j]! *= factor;
}
