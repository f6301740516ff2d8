// Pooled codes by feature: for each feature, the texts in which it fires. Rows (engine.ts, SparseCodes) are how codes are made; columns are how flags are scored.
import type { SparseCodes } from "../engine/engine.ts";

export interface CodeColumns {
  /** Texts. */
  readonly rows: number;
  /** Features. */
  readonly width: number;
  /** [width + 1] */
  readonly offsets: Uint32Array;
  /** Positions among the texts, ascending within a feature. */
  readonly texts: Uint32Array;
  readonly values: Float32Array;
}

/** Columns of the given rows, in their order: texts are numbered by position in `rows`. */
export function codeColumns(codes: SparseCodes, rows: Uint32Array): CodeColumns {
  const offsets = new Uint32Array(codes.width + 1);
  for (const row of rows)
    for (let at = codes.offsets[row]!; at < codes.offsets[row + 1]!; at++) offsets[codes.indices[at]! + 1]!++;
  for (let i = 0; i < codes.width; i++) offsets[i + 1]! += offsets[i]!;
  const next = offsets.slice(0, codes.width);
  const texts = new Uint32Array(offsets[codes.width]!);
  const values = new Float32Array(texts.length);
  for (let t = 0; t < rows.length; t++) {
    const row = rows[t]!;
    for (let at = codes.offsets[row]!; at < codes.offsets[row + 1]!; at++) {
      const to = next[codes.indices[at]!]!++;
      texts[to] = t;
      values[to] = codes.values[at]!;
    }
  }
  return { rows: rows.length, width: codes.width, offsets, texts, values };
}
