// Rows of different lengths as one run of real tokens and back: what DecoderInputs says in numbers.
import type { TokenBatch } from "./languageModel.ts";

export interface RowLayout {
  /** Real tokens of all rows. */
  readonly tokens: number;
  /** Rows that have tokens. */
  readonly rows: number;
  /** Longest of them. */
  readonly length: number;
  /** [tokens] */
  readonly ids: Int32Array;
  /** [rows, length] */
  readonly padded: Int32Array;
  /** [tokens] */
  readonly places: Int32Array;
  /** [rows] */
  readonly last: Int32Array;
  /** [tokens]: where each token stands in the batch's own [rows, T]. */
  readonly source: Int32Array;
}

/** Throws RangeError for lengths and ids that can't be, so that a caller's mistake doesn't become numbers. */
export function rowLayout(batch: TokenBatch, limits: { dVocab: number; contextSize: number }): RowLayout {
  const { rows, length, lengths } = batch;
  if (lengths.length !== rows || batch.ids.length !== rows * length) {
    throw new RangeError(
      `batch of ${rows} rows and length ${length} with ${lengths.length} lengths and ${batch.ids.length} ids`,
    );
  }
  let tokens = 0;
  let longest = 0;
  for (const n of lengths) {
    if (n < 0 || n > length) throw new RangeError(`a row of ${n} tokens in a batch of length ${length}`);
    if (n > limits.contextSize)
      throw new RangeError(`a row of ${n} tokens, the model's context is ${limits.contextSize}`);
    tokens += n;
    longest = Math.max(longest, n);
  }
  const filled = Array.from(lengths).flatMap((n, row) => (n > 0 ? [row] : []));
  const ids = new Int32Array(tokens);
  const padded = new Int32Array(filled.length * longest);
  const places = new Int32Array(tokens);
  const source = new Int32Array(tokens);
  let token = 0;
  for (const [target, row] of filled.entries()) {
    for (let position = 0; position < lengths[row]!; position++, token++) {
      const id = batch.ids[row * length + position]!;
      if (id < 0 || id >= limits.dVocab) {
        throw new RangeError(`token id ${id} at row ${row}, position ${position}: the vocabulary has ${limits.dVocab}`);
      }
      ids[token] = id;
      padded[target * longest + position] = token;
      places[token] = target * longest + position;
      source[token] = row * length + position;
    }
  }
  const last = Int32Array.from(filled, (row) => lengths[row]! - 1);
  return { tokens, rows: filled.length, length: longest, ids, padded, places, last, source };
}

/** Values of the batch [rows, T, width] as one run of real tokens [tokens, width]. */
export function packRows(layout: RowLayout, values: Float32Array, width: number): Float32Array {
  const packed = new Float32Array(layout.tokens * width);
  for (const [token, place] of layout.source.entries()) {
    packed.set(values.subarray(place * width, (place + 1) * width), token * width);
  }
  return packed;
}

/** And back: [rows, T, width] with zeros where there is padding. */
export function unpackRows(layout: RowLayout, packed: Float32Array, width: number, places: number): Float32Array {
  if (layout.tokens === places) return packed;
  const values = new Float32Array(places * width);
  for (const [token, place] of layout.source.entries()) {
    values.set(packed.subarray(token * width, (token + 1) * width), place * width);
  }
  return values;
}
