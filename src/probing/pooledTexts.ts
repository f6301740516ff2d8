// Pooled texts in one piece: training and test texts, pooled apart, under one numbering of rows.
import type { PooledTexts } from "./pool.ts";

/** Parts of one ensemble, one after the other. Throws RangeError where their widths differ. */
export function joinPooled(parts: readonly PooledTexts[]): PooledTexts {
  const { d } = parts[0]!.activations;
  const { width } = parts[0]!.codes;
  const sum = (size: (part: PooledTexts) => number): number => parts.reduce((total, part) => total + size(part), 0);
  const rows = sum((part) => part.codes.rows);
  const entries = sum((part) => part.codes.indices.length);
  const values = new Float64Array(rows * d);
  const tokens = new Uint32Array(rows);
  const codes = {
    rows,
    width,
    offsets: new Uint32Array(rows + 1),
    indices: new Uint32Array(entries),
    values: new Float32Array(entries),
  };
  let row = 0;
  let entry = 0;
  for (const part of parts) {
    if (part.activations.d !== d || part.codes.width !== width)
      throw new RangeError(`pooled texts of widths ${part.activations.d}, ${part.codes.width} beside ${d}, ${width}`);
    values.set(part.activations.values, row * d);
    tokens.set(part.tokens, row);
    codes.indices.set(part.codes.indices, entry);
    codes.values.set(part.codes.values, entry);
    for (let t = 0; t < part.codes.rows; t++) codes.offsets[row + t + 1] = entry + part.codes.offsets[t + 1]!;
    row += part.codes.rows;
    entry += part.codes.indices.length;
  }
  return { activations: { rows, d, values }, codes, tokens };
}
