// What an ensemble makes of activations, by definition: its members' codes side by side and its reconstruction (arXiv 2505.16077). Slow; engines do the same fast.
import { decode, encode } from "./encode.ts";
import { type Ensemble, ensembleWidth, memberOffsets } from "./ensemble.ts";

export interface EnsembleOutput {
  /** [rows, J·F], α_j applied. */
  readonly codes: Float32Array;
  /** [rows, d] */
  readonly reconstruction: Float32Array;
}

/** Bagging: every member encodes x. Boosting: member j encodes r_j = x − Σ_{l<j} x̂_l, the reconstructions summed in float64. */
export function encodeEnsemble(ensemble: Ensemble, x: Float32Array, rows: number): EnsembleOutput {
  const width = ensembleWidth(ensemble);
  const offsets = memberOffsets(ensemble);
  const codes = new Float32Array(rows * width);
  const sum = new Float64Array(x.length);
  ensemble.members.forEach((member, j) => {
    const input = ensemble.method === "boosting" ? residual(x, sum) : x;
    const own = encode(member, input, rows);
    const out = decode(member, own, rows, input);
    const weight = ensemble.weights[j]!;
    const F = member.config.d_sae;
    for (let t = 0; t < rows; t++) {
      for (let i = 0; i < F; i++) codes[t * width + offsets[j]! + i] = weight * own[t * F + i]!;
    }
    for (let at = 0; at < sum.length; at++) sum[at]! += weight * out[at]!;
  });
  return { codes, reconstruction: new Float32Array(sum) };
}

function residual(x: Float32Array, reconstruction: Float64Array): Float32Array {
  return x.map((value, at) => value - reconstruction[at]!);
}
