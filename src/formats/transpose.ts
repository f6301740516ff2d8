// Matrices turned, whole or some rows at a time: what is slow about a large one is where its numbers lie, not the numbers.

/** [rows, columns] → [columns, rows]. */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  const together = 64;
  for (let row = 0; row < rows; row += together) {
    const some = values.subarray(row * columns, Math.min(rows, row + together) * columns);
    turnRows(some, columns, result, rows, row);
  }
  return result;
}

/**
 * Some whole rows of a matrix, from row `first` on, into its transpose, whose rows are `stride` long. Eight by eight, two
 * such squares beside each other: a line of the cache is read once, and as many lines are written as it holds of one place.
 */
export function turnRows(
  values: Float32Array,
  columns: number,
  result: Float32Array,
  stride: number,
  first: number,
): void {
  const rows = values.length / columns;
  const whole = columns - (columns % 8);
  for (let c0 = 0; c0 < whole; c0 += 16) {
    const c1 = Math.min(whole, c0 + 16);
    for (let r0 = 0; r0 < rows; r0 += 8) {
      const r1 = Math.min(rows, r0 + 8);
      for (let c = c0; c < c1; c += 8) {
        let from = r0 * columns + c;
        let to = c * stride + first + r0;
        for (let r = r0; r < r1; r++, from += columns, to++) {
          result[to] = values[from]!;
          result[to + stride] = values[from + 1]!;
          result[to + 2 * stride] = values[from + 2]!;
          result[to + 3 * stride] = values[from + 3]!;
          result[to + 4 * stride] = values[from + 4]!;
          result[to + 5 * stride] = values[from + 5]!;
          result[to + 6 * stride] = values[from + 6]!;
          result[to + 7 * stride] = values[from + 7]!;
        }
      }
    }
  }
  for (let c = whole; c < columns; c++) {
    for (let r = 0; r < rows; r++) result[c * stride + first + r] = values[r * columns + c]!;
  }
}
