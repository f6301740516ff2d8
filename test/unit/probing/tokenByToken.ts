// Ablation at every token by the definition of decode: what pooled ablation is held to. Not a test.
import { decode, encode } from "../../../src/sae/encode.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";

/** What the features make of every token's reconstruction, [rows, d]. */
export function shareOfFeatures(features: ReadonlySet<number>, ensemble: Ensemble, x: Float32Array): Float64Array {
  const { method, members, weights } = ensemble;
  const rows = x.length / members[0]!.config.d_in;
  const share = new Float64Array(x.length);
  const residual = x.slice();
  let first = 0;
  for (const [j, member] of members.entries()) {
    const F = member.config.d_sae;
    const input = method === "boosting" ? residual.slice() : x;
    const codes = encode(member, input, rows);
    const whole = decode(member, codes, rows, input);
    const without = decode(
      member,
      codes.map((code, at) => (features.has(first + (at % F)) ? 0 : code)),
      rows,
      input,
    );
    for (let at = 0; at < share.length; at++) {
      share[at]! += weights[j]! * (whole[at]! - without[at]!);
      residual[at]! -= weights[j]! * whole[at]!;
    }
    first += F;
  }
  return share;
}
