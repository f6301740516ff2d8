// How other formats lay weights out otherwise than Hugging Face's files, undone: one function for each change. Values in, values out, row-major.

/** Values of a tensor of this shape, arranged anew. */
export type Arrangement = (values: Float32Array, shape: readonly number[]) => Float32Array;

/**
 * Rows 2i and 2i+1 of every head become its rows i and i + width/2: ggml's rotary pairing of the llama architecture. Biases
 * are matrices of one column here.
 */
export function halves(width: number): Arrangement {
  return (values, shape) =>
    byRow(values, shape[0]!, (row) => {
      const inHead = row % width;
      return row - inHead + (inHead >> 1) + (inHead & 1) * (width / 2);
    });
}

/** Rows of all queries, all keys, all values become each head's queries, keys and values (GPT-NeoX). */
export function headByHead(heads: number): Arrangement {
  return (values, shape) => {
    const width = shape[0]! / (3 * heads);
    return byRow(values, shape[0]!, (row) => {
      const kind = Math.floor(row / (heads * width));
      const head = Math.floor(row / width) % heads;
      return (head * 3 + kind) * width + (row % width);
    });
  };
}

/** [out, in] to [in, out], as GPT-2 has its maps. */
export const transposed: Arrangement = (values, [rows, columns]) => {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows!; row++)
    for (let column = 0; column < columns!; column++) out[column * rows! + row] = values[row * columns! + column]!;
  return out;
};

/** Gemma's norm weights are stored as what they multiply with; Hugging Face's files have them less 1. */
export const lessOne: Arrangement = (values) => values.map((x) => x - 1);

function byRow(values: Float32Array, rows: number, place: (row: number) => number): Float32Array {
  const columns = values.length / rows;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    out.set(values.subarray(row * columns, (row + 1) * columns), place(row) * columns);
  return out;
}
