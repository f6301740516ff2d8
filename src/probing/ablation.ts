// Taking features out of pooled activations: x̄' = x̄ − Σ_{i∈S} f̄_i W_dec,i, exactly what ablating them at every token and pooling afterwards gives. The error of the SAE stays in.
import type { CodeColumns } from "./codeColumns.ts";
import type { Rows } from "./examples.ts";

/**
 * SAEBench's padding (`saebench_compatible`): its texts are padded to `length` tokens with zero vectors, and its ablation
 * takes the codes of those out as well: ((L−n)/n)·enc(0)_i W_dec,i more.
 */
export interface EncodedPadding {
  /** (L − n)/n of each of the columns' texts; L the padded length, n the tokens in the mean. */
  readonly share: Float64Array;
  /** enc(0) [F] */
  readonly codesOfZero: Float64Array;
}

/** Throws RangeError for a text longer than that: SAEBench cuts its texts there, and a share below 0 would put features in. */
export function encodedPadding(length: number, tokens: ArrayLike<number>, codesOfZero: Float64Array): EncodedPadding {
  for (let t = 0; t < tokens.length; t++)
    if (tokens[t]! > length)
      throw new RangeError(`text ${t} has ${tokens[t]} tokens, more than the ${length} padded to`);
  return { share: Float64Array.from(tokens, (n) => (length - n) / n), codesOfZero };
}

/** Features once each, ascending, so that the order of flags changes no bit. Throws RangeError for one that isn't there. */
export function sortedFeatures(features: Iterable<number>, width: number): Uint32Array {
  // By marks: a set and a sort of a hundred thousand would take longer than the scoring.
  const marked = new Uint8Array(width);
  let count = 0;
  for (const feature of features) {
    if (!(feature < width)) throw new RangeError(`feature ${feature} of an ensemble of ${width}`);
    count += 1 - marked[feature]!;
    marked[feature] = 1;
  }
  const sorted = new Uint32Array(count);
  for (let feature = 0, at = 0; at < count; feature++) if (marked[feature] === 1) sorted[at++] = feature;
  return sorted;
}

/**
 * A probe's logits after the features are taken out, without making x̄': each falls by f̄_i·(w·W_dec,i).
 * `base`: the probe's logits of the columns' texts; `projection`: w·W_dec,i. Cost: the entries of the features' columns.
 */
export function ablatedLogits(
  base: Float64Array,
  columns: CodeColumns,
  projection: Float64Array,
  features: Iterable<number>,
  padding?: EncodedPadding,
): Float64Array {
  const { offsets, texts, values, width } = columns;
  const result = base.slice();
  let ofZero = 0;
  for (const i of sortedFeatures(features, width)) {
    const weight = projection[i]!;
    for (let at = offsets[i]!; at < offsets[i + 1]!; at++) result[texts[at]!]! -= values[at]! * weight;
    if (padding) ofZero += padding.codesOfZero[i]! * weight;
  }
  if (padding && ofZero !== 0) for (let t = 0; t < result.length; t++) result[t]! -= padding.share[t]! * ofZero;
  return result;
}

/** x̄' of the columns' texts: `rows` are their rows in `x`. The result's rows are numbered as the columns' texts. */
export function ablatedRows(
  x: Rows,
  rows: Uint32Array,
  columns: CodeColumns,
  W_dec: Float32Array,
  features: Iterable<number>,
  padding?: EncodedPadding,
): Rows {
  const { d } = x;
  const { offsets, texts, values, width } = columns;
  const result = new Float64Array(rows.length * d);
  for (let t = 0; t < rows.length; t++) result.set(x.values.subarray(rows[t]! * d, (rows[t]! + 1) * d), t * d);
  const ofZero = new Float64Array(d);
  for (const i of sortedFeatures(features, width)) {
    for (let at = offsets[i]!; at < offsets[i + 1]!; at++) {
      const start = texts[at]! * d;
      const code = values[at]!;
      for (let j = 0; j < d; j++) result[start + j]! -= code * W_dec[i * d + j]!;
    }
    if (padding) for (let j = 0; j < d; j++) ofZero[j]! += padding.codesOfZero[i]! * W_dec[i * d + j]!;
  }
  if (padding)
    for (let at = 0; at < result.length; at++) result[at]! -= padding.share[Math.floor(at / d)]! * ofZero[at % d]!;
  return { rows: rows.length, d, values: result };
}
