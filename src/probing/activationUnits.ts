// Codes in the units of the activation. A member that normalises each token undoes that by a number of the token's own, so what a code adds to the activation is scale_t·c·W_dec,i: here codes are multiplied by that scale, and are linear in the activation like everybody else's.
import type { Encoded, Encoder, SparseCodes } from "../engine/engine.ts";
import { normalisingMember } from "../sae/combine.ts";
import { decoderNorms } from "../sae/encode.ts";
import { type Ensemble, memberOffsets } from "../sae/ensemble.ts";
import { normalisation, normalisesTokens } from "../sae/normalise.ts";

/**
 * The encoder with its codes in units of the activation, so that taking feature i out of token t takes code·W_dec,i away (W_dec:
 * combinedRows). The encoder itself where no member normalises each token. Closing it closes the encoder.
 */
export function inActivationUnits(ensemble: Ensemble, encoder: Encoder): Encoder {
  if (!normalisingMember(ensemble)) return encoder;
  const chain = ensemble.method === "boosting" ? new ResidualChain(ensemble) : null;
  const offsets = memberOffsets(ensemble);
  const scaled = (x: Float32Array, codes: SparseCodes): SparseCodes => {
    const d = x.length / codes.rows;
    const values = codes.values.slice();
    for (let t = 0; t < codes.rows; t++) {
      const row = x.subarray(t * d, (t + 1) * d);
      const scales = chain ? chain.scales(row, codes, t) : ownScales(ensemble, row);
      for (let at = codes.offsets[t]!, j = 0; at < codes.offsets[t + 1]!; at++) {
        while (codes.indices[at]! >= offsets[j + 1]!) j++;
        values[at]! *= scales[j]!;
      }
    }
    return positive({ ...codes, values });
  };
  return {
    async encode(x, rows): Promise<Encoded> {
      const { codes, reconstruction } = await encoder.encode(x, rows);
      return { codes: scaled(x, codes), reconstruction };
    },
    codes: async (x, rows) => scaled(x, await encoder.codes(x, rows)),
    close: () => encoder.close(),
  };
}

/** What undoing the normalisation multiplies each member's output with, where every member reads x itself. */
function ownScales({ members }: Ensemble, x: Float32Array): number[] {
  return members.map(({ config }) => normalisation(x, config.normalize_activations).scale);
}

/** Boosting: a member normalises the residual that the earlier ones leave, which their codes tell. */
class ResidualChain {
  readonly #ensemble: Ensemble;
  readonly #offsets: readonly number[];
  readonly #norms: readonly (Float64Array | null)[];
  readonly #last: number;

  constructor(ensemble: Ensemble) {
    const { members } = ensemble;
    this.#ensemble = ensemble;
    this.#offsets = memberOffsets(ensemble);
    this.#norms = members.map(({ config, weights }) =>
      config.rescale_acts_by_decoder_norm ? decoderNorms(weights, config.d_in) : null,
    );
    this.#last = members.findLastIndex(({ config }) => normalisesTokens(config.normalize_activations));
  }

  scales(x: Float32Array, codes: SparseCodes, t: number): number[] {
    const { members, weights: alphas } = this.#ensemble;
    const d = x.length;
    const residual = Float64Array.from(x);
    const scales = new Array<number>(members.length).fill(1);
    for (let j = 0, at = codes.offsets[t]!; j <= this.#last; j++) {
      const { config, weights } = members[j]!;
      const { scale, shift } = normalisation(residual, config.normalize_activations);
      scales[j] = scale;
      const [first, end] = [this.#offsets[j]!, this.#offsets[j + 1]!];
      for (let c = 0; c < d; c++) residual[c]! -= alphas[j]! * (scale * weights.b_dec[c]! + shift);
      for (; at < codes.offsets[t + 1]! && codes.indices[at]! < end; at++) {
        const i = codes.indices[at]! - first;
        const code = (codes.values[at]! * scale) / (this.#norms[j]?.[i] ?? 1);
        for (let c = 0; c < d; c++) residual[c]! -= code * weights.W_dec[i * d + c]!;
      }
    }
    return scales;
  }
}

/** Without the codes of tokens that have no deviation or norm: scaled by zero they are none. */
function positive(codes: SparseCodes): SparseCodes {
  if (codes.values.every((value) => value > 0)) return codes;
  const offsets = new Uint32Array(codes.rows + 1);
  const kept: number[] = [];
  for (let t = 0; t < codes.rows; t++) {
    for (let at = codes.offsets[t]!; at < codes.offsets[t + 1]!; at++) if (codes.values[at]! > 0) kept.push(at);
    offsets[t + 1] = kept.length;
  }
  return {
    ...codes,
    offsets,
    indices: Uint32Array.from(kept, (at) => codes.indices[at]!),
    values: Float32Array.from(kept, (at) => codes.values[at]!),
  };
}
