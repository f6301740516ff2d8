// Changes to features at the hook: codes in, values at the hook out, x' = x + Σ (c'_i − c_i)·W_dec,i. The error term x − x̂ stays as it is.
import { decoderRows } from "../features/decoderRows.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { normalisation, normalisesTokens } from "../sae/normalise.ts";
import type { ReadRow } from "./keptRows.ts";

/** c' of every feature named, whether it fires or not; c carries α_j, as every code that is shown. */
export interface Intervention {
  readonly features: readonly number[];
  /** ablate: 0 · scale: value·c · set: value · add: c + value */
  readonly kind: "ablate" | "scale" | "set" | "add";
  /** Ignored by "ablate". */
  readonly value: number;
  /** At every token, or from the last one before the cursor on. */
  readonly from: "everywhere" | "here";
}

/** Codes and values at the hook of some tokens; offsets as in SparseCodes, perhaps not from 0. */
export type HookedTokens = Pick<ReadRow, "ids" | "x" | "offsets" | "indices" | "values">;

/** What interventions do at one ensemble's hook. */
export class Interventions {
  readonly #ensemble: Ensemble;
  readonly #list: readonly Intervention[];
  readonly #special: ReadonlySet<number>;
  readonly #rows = new Map<number, Float32Array>();

  /** Special tokens are left alone. Throws RangeError for a feature that isn't there or a value that is no number. */
  constructor(ensemble: Ensemble, list: readonly Intervention[], special: ReadonlySet<number>) {
    this.#ensemble = ensemble;
    this.#list = list;
    this.#special = special;
    for (const { features, kind, value } of list) {
      if (kind !== "ablate" && !Number.isFinite(value)) throw new RangeError(`${kind} by ${value}`);
      for (const feature of features) this.#decoderRow(feature);
    }
    const { members, method } = ensemble;
    const tokenwise = members.some(({ config }) => normalisesTokens(config.normalize_activations));
    if (list.length > 0 && tokenwise && method === "boosting")
      throw new RangeError("a boosting ensemble whose members normalise each token has no direction a feature");
  }

  get empty(): boolean {
    return this.#list.length === 0;
  }

  /**
   * Values at the hook after the interventions; `here` is the token from which "here" counts. The same array where nothing
   * changes, and `firstChanged` is then the number of tokens.
   */
  apply(tokens: HookedTokens, here: number): { x: Float32Array; firstChanged: number } {
    const n = tokens.ids.length;
    let x = tokens.x;
    let firstChanged = n;
    for (let t = 0; t < n; t++) {
      if (this.#special.has(tokens.ids[t]!)) continue;
      const delta = this.#delta(tokens, t, t >= here);
      if (!delta) continue;
      if (x === tokens.x) {
        x = tokens.x.slice();
        firstChanged = t;
      }
      for (let j = 0; j < delta.length; j++) x[t * delta.length + j]! += delta[j]!;
    }
    return { x, firstChanged };
  }

  /** Σ (c'_i − c_i)·W_dec,i of one token in float64, or null where no code changes. */
  #delta(tokens: HookedTokens, t: number, here: boolean): Float64Array | null {
    const changes = new Map<number, number>();
    const codes = new Map<number, number>();
    for (let at = tokens.offsets[t]!; at < tokens.offsets[t + 1]!; at++) {
      codes.set(tokens.indices[at]!, tokens.values[at]!);
    }
    for (const { features, kind, value, from } of this.#list) {
      if (from === "here" && !here) continue;
      for (const feature of new Set(features)) {
        const code = codes.get(feature) ?? 0;
        const now = changes.get(feature) ?? code;
        changes.set(
          feature,
          kind === "ablate" ? 0 : kind === "scale" ? value * now : kind === "set" ? value : now + value,
        );
      }
    }
    const d = this.#ensemble.members[0]!.config.d_in;
    let delta: Float64Array | null = null;
    for (const [feature, code] of changes) {
      const change = (code - (codes.get(feature) ?? 0)) * this.#scale(tokens, t, feature);
      if (change === 0) continue;
      delta ??= new Float64Array(d);
      const row = this.#decoderRow(feature);
      for (let j = 0; j < d; j++) delta[j]! += change * row[j]!;
    }
    return delta;
  }

  /** What undoing the normalisation multiplies the member's reconstruction of this token with. */
  #scale(tokens: HookedTokens, t: number, feature: number): number {
    let first = 0;
    for (const { config } of this.#ensemble.members) {
      if (feature < first + config.d_sae) {
        const { d_in: d, normalize_activations: how } = config;
        return normalisation(tokens.x.subarray(t * d, (t + 1) * d), how).scale;
      }
      first += config.d_sae;
    }
    return 1;
  }

  #decoderRow(feature: number): Float32Array {
    let row = this.#rows.get(feature);
    if (!row) {
      const width = this.#ensemble.members.reduce((sum, { config }) => sum + config.d_sae, 0);
      if (!(Number.isInteger(feature) && feature >= 0 && feature < width))
        throw new RangeError(`feature ${feature} of an ensemble of ${width}`);
      const d = this.#ensemble.members[0]!.config.d_in;
      row = decoderRows(this.#ensemble, feature, feature + 1, "effective", new Float32Array(d));
      this.#rows.set(feature, row);
    }
    return row;
  }
}
