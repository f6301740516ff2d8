// Codes of members side by side in each row, chunks of rows one below the other: how an engine brings together what its members found.

/** Codes of some rows by one member, indices counted from the member's first feature. */
export interface CodePart {
  /** [rows] */
  readonly counts: Uint32Array;
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

/** `chunks`: by chunk and member. */
export function joinCodes(
  chunks: readonly (readonly CodePart[])[],
  memberOffsets: readonly number[],
  rows: number,
): { offsets: Uint32Array; indices: Uint32Array; values: Float32Array } {
  let total = 0;
  for (const parts of chunks) for (const part of parts) total += part.indices.length;
  const offsets = new Uint32Array(rows + 1);
  const indices = new Uint32Array(total);
  const values = new Float32Array(total);
  let at = 0;
  let row = 0;
  for (const parts of chunks) {
    const cursors = parts.map(() => 0);
    for (let t = 0; t < parts[0]!.counts.length; t++) {
      for (const [m, part] of parts.entries()) {
        for (let end = cursors[m]! + part.counts[t]!; cursors[m]! < end; cursors[m]!++) {
          indices[at] = memberOffsets[m]! + part.indices[cursors[m]!]!;
          values[at++] = part.values[cursors[m]!]!;
        }
      }
      offsets[++row] = at;
    }
  }
  return { offsets, indices, values };
}
