// An ensemble seen as one dictionary (arXiv 2505.16077, Proposition 3.1): one decoder and one bias that turn the ensemble's codes into its reconstruction.
import { decoderNorms } from "./encode.ts";
import { type Ensemble, ensembleWidth, memberOffsets } from "./ensemble.ts";

export interface CombinedDecoder {
  /** [J·F, d]: the members' decoder rows below each other, divided by their norms where a member rescales. */
  readonly W_dec: Float32Array;
  /** [d]: Σ_j α_j b_dec,j; for bagging the members' mean. */
  readonly b_dec: Float32Array;
}

/**
 * x̂ = codes · W_dec + b_dec, with codes that carry α_j.
 * Throws RangeError where a member normalises each token (constant_norm_rescale, layer_norm): its bias depends on the token.
 */
export function combinedDecoder(ensemble: Ensemble): CombinedDecoder {
  const d = ensemble.members[0]!.config.d_in;
  const W_dec = new Float32Array(ensembleWidth(ensemble) * d);
  const b_dec = new Float64Array(d);
  const offsets = memberOffsets(ensemble);
  ensemble.members.forEach(({ config, weights }, member) => {
    if (config.normalize_activations === "constant_norm_rescale" || config.normalize_activations === "layer_norm") {
      throw new RangeError(`member ${member} normalises each token (${config.normalize_activations}): no one decoder`);
    }
    const norms = config.rescale_acts_by_decoder_norm ? decoderNorms(weights, d) : null;
    const start = offsets[member]! * d;
    for (let at = 0; at < weights.W_dec.length; at++) {
      W_dec[start + at] = weights.W_dec[at]! / (norms?.[Math.floor(at / d)] ?? 1);
    }
    for (let j = 0; j < d; j++) b_dec[j]! += ensemble.weights[member]! * weights.b_dec[j]!;
  });
  return { W_dec, b_dec: new Float32Array(b_dec) };
}
