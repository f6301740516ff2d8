// Whether an SAE's matrices lie as they must, by the weights alone: a feature's encoder and decoder rows point the same way. A matrix read the wrong way round has the right shape and means nothing.
import type { Sae } from "./sae.ts";

/** Features looked at: enough that a mean cosine of chance is near 0. */
const SAMPLE = 512;
/** Mean cosine below which the rows have nothing to do with each other, and above which they do. Trained SAEs have 0.2 to 0.9. */
const UNRELATED = 0.05;
const RELATED = 0.15;

/** A warning that names the matrix, or null where nothing is to be said (weights that never were related say nothing). */
export function misreadMatrix({ config, weights: { W_enc, W_dec } }: Sae): string | null {
  if (config.d_out !== undefined) return null;
  const { d_in: d, d_sae: F } = config;
  const asRead = meanCosine(W_enc, W_dec, d, F, false, false);
  if (Math.abs(asRead) > UNRELATED) return null;
  const others = [
    { name: "W_enc seems", cosine: meanCosine(W_enc, W_dec, d, F, true, false) },
    { name: "W_dec seems", cosine: meanCosine(W_enc, W_dec, d, F, false, true) },
    { name: "W_enc and W_dec both seem", cosine: meanCosine(W_enc, W_dec, d, F, true, true) },
  ].sort((a, b) => b.cosine - a.cosine);
  const best = others[0]!;
  if (best.cosine < RELATED) return null;
  return `${best.name} to be stored the other way round: encoder and decoder rows of a feature have a mean cosine of ${asRead.toFixed(2)}, and of ${best.cosine.toFixed(2)} with it turned`;
}

/** Mean over features of cos(W_enc,i, W_dec,i); a turned matrix is the same numbers read as [d, F]. */
function meanCosine(
  W_enc: Float32Array,
  W_dec: Float32Array,
  d: number,
  F: number,
  turnEncoder: boolean,
  turnDecoder: boolean,
): number {
  const count = Math.min(F, SAMPLE);
  let sum = 0;
  for (let n = 0; n < count; n++) {
    const i = Math.floor((n * F) / count);
    let [product, encoder, decoder] = [0, 0, 0];
    for (let j = 0; j < d; j++) {
      const a = W_enc[turnEncoder ? j * F + i : i * d + j]!;
      const b = W_dec[turnDecoder ? j * F + i : i * d + j]!;
      product += a * b;
      encoder += a * a;
      decoder += b * b;
    }
    if (encoder > 0 && decoder > 0) sum += product / Math.sqrt(encoder * decoder);
  }
  return sum / count;
}
