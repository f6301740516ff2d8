// Rows of different lengths as runs of real tokens and back: what DecoderInputs says in numbers.
import type { TokenBatch } from "./languageModel.ts";

/** Rows that go through the model together: similar lengths, about as many tokens as the processor's cache likes. */
export interface RowRun {
  /** Real tokens of all rows. */
  readonly tokens: number;
  readonly rows: number;
  /** Longest row. */
  readonly length: number;
  /** [tokens] */
  readonly ids: Int32Array;
  /** [tokens] */
  readonly positions: Int32Array;
  /** [rows, length] */
  readonly padded: Int32Array;
  /** [tokens] */
  readonly places: Int32Array;
  /** [rows] */
  readonly last: Int32Array;
  /** [tokens]: where each token stands in the batch's own [rows, T]. */
  readonly source: Int32Array;
}

/**
 * Tokens of a run. Below it the matrix products lose speed, above it their operands leave the cache; and attention pays for
 * padding up to a run's longest row.
 */
const RUN_TOKENS = 384;

/**
 * Cuts a batch into runs, rows sorted by length; rows without tokens are in none.
 * Throws RangeError for lengths and ids that can't be, so that a caller's mistake doesn't become numbers.
 */
export function rowRuns(batch: TokenBatch, limits: { dVocab: number; contextSize: number }): RowRun[] {
  checkBatch(batch, limits);
  const { lengths } = batch;
  const order = Array.from(lengths.keys())
    .filter((row) => lengths[row]! > 0)
    .sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const runs: number[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const row of order) {
    if (tokens + lengths[row]! > RUN_TOKENS) {
      runs.push([]);
      tokens = 0;
    }
    runs.at(-1)!.push(row);
    tokens += lengths[row]!;
  }
  return runs.map((rows) => rowRun(batch, rows));
}

function checkBatch({ rows, length, ids, lengths }: TokenBatch, limits: { dVocab: number; contextSize: number }): void {
  if (lengths.length !== rows || ids.length !== rows * length) {
    throw new RangeError(
      `batch of ${rows} rows and length ${length} with ${lengths.length} lengths and ${ids.length} ids`,
    );
  }
  for (const [row, n] of lengths.entries()) {
    if (n < 0 || n > length) throw new RangeError(`a row of ${n} tokens in a batch of length ${length}`);
    if (n > limits.contextSize) {
      throw new RangeError(`a row of ${n} tokens, the model's context is ${limits.contextSize}`);
    }
    for (let position = 0; position < n; position++) {
      const id = ids[row * length + position]!;
      if (id >= 0 && id < limits.dVocab) continue;
      throw new RangeError(`token id ${id} at row ${row}, position ${position}: the vocabulary has ${limits.dVocab}`);
    }
  }
}

function rowRun(batch: TokenBatch, rows: readonly number[]): RowRun {
  const lengths = rows.map((row) => batch.lengths[row]!);
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  const length = Math.max(...lengths);
  const ids = new Int32Array(tokens);
  const positions = new Int32Array(tokens);
  const padded = new Int32Array(rows.length * length);
  const places = new Int32Array(tokens);
  const source = new Int32Array(tokens);
  let token = 0;
  for (const [target, row] of rows.entries()) {
    for (let position = 0; position < lengths[target]!; position++, token++) {
      ids[token] = batch.ids[row * batch.length + position]!;
      positions[token] = position;
      padded[target * length + position] = token;
      places[token] = target * length + position;
      source[token] = row * batch.length + position;
    }
  }
  return {
    tokens,
    rows: rows.length,
    length,
    ids,
    positions,
    padded,
    places,
    last: Int32Array.from(lengths, (n) => n - 1),
    source,
  };
}

/** A run's part [tokens, width] of the batch's values [rows, T, width]. */
export function packRun(run: RowRun, values: Float32Array, width: number): Float32Array {
  const packed = new Float32Array(run.tokens * width);
  for (const [token, place] of run.source.entries()) {
    packed.set(values.subarray(place * width, (place + 1) * width), token * width);
  }
  return packed;
}

/** And back: puts a run's values where they belong in [rows, T, width]. */
export function unpackRun(run: RowRun, packed: Float32Array, width: number, values: Float32Array): void {
  for (const [token, place] of run.source.entries()) {
    values.set(packed.subarray(token * width, (token + 1) * width), place * width);
  }
}
