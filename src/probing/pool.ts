// Texts as mean vectors: pooled activations and pooled sparse codes of each text, computed once. Ablation is linear, so nothing per token is kept (ablation.ts).
import { setImmediate as eventLoopTurn } from "node:timers/promises";
import type { Encoder, SparseCodes } from "../engine/engine.ts";
import type { Rows } from "./examples.ts";

/** What is kept of a set of texts for one ensemble. */
export interface PooledTexts {
  /** x̄ [texts, d]: mean over a text's tokens, in float64. */
  readonly activations: Rows;
  /** f̄ [texts, J·F]: mean codes, α_j applied; sums in float64, kept in float32. A feature that never fires in a text is left out. */
  readonly codes: SparseCodes;
  /** Tokens of each text that went into its mean; 0 of a text that has none. */
  readonly tokens: Uint32Array;
}

/** Tokens encoded at a time: enough to keep an engine busy, few enough to bound its memory. */
const TOKENS_AT_A_TIME = 2048;

/** Codes of no tokens. */
const NOTHING: SparseCodes = {
  rows: 0,
  width: 0,
  offsets: Uint32Array.of(0),
  indices: new Uint32Array(),
  values: new Float32Array(),
};

/** Takes texts in order, any number at a time; `result` gives all of them. */
export class TextPooler {
  readonly #encoder: Encoder;
  readonly #d: number;
  readonly #means: Float64Array[] = [];
  readonly #tokens: number[] = [];
  readonly #offsets: number[] = [0];
  readonly #indices: Uint32Array[] = [];
  readonly #values: Float32Array[] = [];
  readonly #sums: Float64Array;

  /** `width`: features of the encoder's ensemble. */
  constructor(encoder: Encoder, d: number, width: number) {
    this.#encoder = encoder;
    this.#d = d;
    this.#sums = new Float64Array(width);
  }

  /**
   * Activations of some texts' tokens, one text after the other: x [Σ lengths, d]. Special tokens are left out by the caller.
   * A text without tokens has no mean: its row is zeros and its `tokens` 0, for whoever uses the rows to leave out.
   */
  async add(x: Float32Array, lengths: ArrayLike<number>): Promise<void> {
    const d = this.#d;
    let row = 0;
    let before: (() => void) | undefined;
    for (let text = 0; text < lengths.length; ) {
      const first = text;
      let tokens = 0;
      do {
        tokens += lengths[text++]!;
      } while (text < lengths.length && tokens + lengths[text]! <= TOKENS_AT_A_TIME);
      const part = x.subarray(row * d, (row + tokens) * d);
      const coming = tokens > 0 ? this.#encoder.codes(part, tokens) : Promise.resolve(NOTHING);
      // The texts before are pooled while the engine is at these; a failure is thrown where it is awaited.
      coming.catch(() => {});
      if (before) {
        await eventLoopTurn();
        before();
      }
      const codes = await coming;
      const end = text;
      before = () => {
        for (let at = 0, t = first; t < end; at += lengths[t++]!) this.#poolOne(part, codes, at, lengths[t]!);
      };
      row += tokens;
    }
    before?.();
    if (row * d !== x.length) throw new RangeError(`${x.length / d} rows of activations for ${row} tokens`);
  }

  #poolOne(x: Float32Array, codes: SparseCodes, from: number, tokens: number): void {
    const d = this.#d;
    const mean = new Float64Array(d);
    for (let row = from; row < from + tokens; row++) for (let j = 0, at = row * d; j < d; j++) mean[j]! += x[at + j]!;
    for (let j = 0; j < d; j++) mean[j]! /= Math.max(1, tokens);
    const sums = this.#sums;
    const touched: number[] = [];
    for (let at = codes.offsets[from]!; at < codes.offsets[from + tokens]!; at++) {
      const feature = codes.indices[at]!;
      if (sums[feature] === 0) touched.push(feature);
      sums[feature]! += codes.values[at]!;
    }
    const indices = Uint32Array.from(touched).sort();
    const values = Float32Array.from(indices, (feature) => sums[feature]! / tokens);
    for (const feature of indices) sums[feature] = 0;
    this.#means.push(mean);
    this.#tokens.push(tokens);
    this.#indices.push(indices);
    this.#values.push(values);
    this.#offsets.push(this.#offsets.at(-1)! + indices.length);
  }

  result(): PooledTexts {
    const rows = this.#tokens.length;
    const offsets = Uint32Array.from(this.#offsets);
    const entries = offsets[rows]!;
    const values = new Float64Array(rows * this.#d);
    const codes = {
      rows,
      width: this.#sums.length,
      offsets,
      indices: new Uint32Array(entries),
      values: new Float32Array(entries),
    };
    for (let t = 0; t < rows; t++) {
      values.set(this.#means[t]!, t * this.#d);
      codes.indices.set(this.#indices[t]!, offsets[t]!);
      codes.values.set(this.#values[t]!, offsets[t]!);
    }
    return { activations: { rows, d: this.#d, values }, codes, tokens: Uint32Array.from(this.#tokens) };
  }
}

/** enc(0) [J·F]: what the ensemble makes of a zero vector; SAEBench encodes its padding, which is such vectors. */
export async function codesOfZero(encoder: Encoder, d: number, width: number): Promise<Float64Array> {
  const codes = await encoder.codes(new Float32Array(d), 1);
  const result = new Float64Array(width);
  for (let at = 0; at < codes.indices.length; at++) result[codes.indices[at]!] = codes.values[at]!;
  return result;
}
