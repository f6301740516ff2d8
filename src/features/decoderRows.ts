// Decoder rows of an ensemble by global feature index, as its codes use them.
import { type Ensemble, memberOffsets } from "../sae/ensemble.ts";

/** A member's features and where they begin. */
export interface MemberRange {
  readonly first: number;
  readonly size: number;
}

export function memberRanges(ensemble: Ensemble): MemberRange[] {
  const offsets = memberOffsets(ensemble);
  return ensemble.members.map((member, j) => ({ first: offsets[j]!, size: member.config.d_sae }));
}

/**
 * Rows [from, to) of the members' W_dec side by side, [to − from, d], written into `out`. "unit": of norm 1 (zero rows stay
 * zero); "effective": what one unit of code adds to the reconstruction before it is un-normalised, which is the unit row
 * where the member rescales by decoder norm.
 */
export function decoderRows(
  ensemble: Ensemble,
  from: number,
  to: number,
  form: "unit" | "effective",
  out: Float32Array,
): Float32Array {
  let feature = from;
  for (const [j, range] of memberRanges(ensemble).entries()) {
    const { config, weights } = ensemble.members[j]!;
    const d = config.d_in;
    const unit = form === "unit" || config.rescale_acts_by_decoder_norm === true;
    for (; feature < to && feature < range.first + range.size; feature++) {
      const start = (feature - range.first) * d;
      const at = (feature - from) * d;
      let scale = 1;
      if (unit) {
        let square = 0;
        for (let c = 0; c < d; c++) square += weights.W_dec[start + c]! ** 2;
        scale = square > 0 ? 1 / Math.sqrt(square) : 0;
      }
      for (let c = 0; c < d; c++) out[at + c] = weights.W_dec[start + c]! * scale;
    }
  }
  return out;
}
