// An ensemble seen as one dictionary (arXiv 2505.16077, Proposition 3.1): one decoder and one bias that turn the ensemble's codes into its reconstruction.
import { decoderNorms } from "./encode.ts";
import { type Ensemble, ensembleWidth, memberOffsets } from "./ensemble.ts";
import { normalisesTokens } from "./normalise.ts";
import type { NormalizeActivations } from "./sae.ts";

export interface CombinedDecoder {
  /** [J·F, d]: the members' decoder rows below each other, divided by their norms where a member rescales. */
  readonly W_dec: Float32Array;
  /** [d]: Σ_j α_j b_dec,j; for bagging the members' mean. */
  readonly b_dec: Float32Array;
}

/** The first member that normalises each token: its bias depends on the token, so no one decoder stands for it. null: none. */
export function normalisingMember({ members }: Ensemble): { member: number; how: NormalizeActivations } | null {
  const member = members.findIndex(({ config }) => normalisesTokens(config.normalize_activations));
  return member < 0 ? null : { member, how: members[member]!.config.normalize_activations };
}

/** Throws RangeError where a member normalises each token. */
export function requireOneDecoder(ensemble: Ensemble): void {
  const normalising = normalisingMember(ensemble);
  if (normalising)
    throw new RangeError(`member ${normalising.member} normalises each token (${normalising.how}): no one decoder`);
}

/**
 * x̂ = codes · W_dec + b_dec, with codes that carry α_j.
 * Throws RangeError where a member normalises each token (normalisingMember).
 */
export function combinedDecoder(ensemble: Ensemble): CombinedDecoder {
  requireOneDecoder(ensemble);
  const d = ensemble.members[0]!.config.d_in;
  const b_dec = new Float64Array(d);
  ensemble.members.forEach(({ weights }, member) => {
    for (let j = 0; j < d; j++) b_dec[j]! += ensemble.weights[member]! * weights.b_dec[j]!;
  });
  return { W_dec: combinedRows(ensemble), b_dec: new Float32Array(b_dec) };
}

/**
 * The combined W_dec [J·F, d] alone. Where members normalise each token it is what codes in units of the activation
 * (activationUnits.ts) multiply.
 */
export function combinedRows(ensemble: Ensemble): Float32Array {
  const d = ensemble.members[0]!.config.d_in;
  const W_dec = new Float32Array(ensembleWidth(ensemble) * d);
  const offsets = memberOffsets(ensemble);
  ensemble.members.forEach(({ config, weights }, member) => {
    const norms = config.rescale_acts_by_decoder_norm ? decoderNorms(weights, d) : null;
    const start = offsets[member]! * d;
    for (let at = 0; at < weights.W_dec.length; at++) {
      W_dec[start + at] = weights.W_dec[at]! / (norms?.[Math.floor(at / d)] ?? 1);
    }
  });
  return W_dec;
}
