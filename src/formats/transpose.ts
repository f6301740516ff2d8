// What every weight of a large SAE goes through: matrices turned, whole or some rows at a time, and numbers looked at. What is slow is memory, not arithmetic.

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

/** An exponent of all ones: NaN or an infinity. One more in its last place, and it carries into the sign. */
const EXPONENT = 0x7f800000;
const LAST_PLACE = 0x00800000;

/** Whether all are numbers. Every weight of a large SAE goes through here: whole numbers, no branches. */
export function allFinite(values: Float32Array): boolean {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  let signs = 0;
  for (let at = 0; at < bits.length; at++) signs |= (bits[at]! & EXPONENT) + LAST_PLACE;
  return signs >= 0;
}

/**
 * Some whole rows of a matrix, from row `first` on, into its transpose, whose rows are `stride` long. Whether all are
 * numbers (allFinite), since what is waited for here is memory. Eight by eight, two such squares beside each other: a line
 * of the cache is read once, and as many lines are written as it holds of one place.
 */
export function turnRows(
  values: Float32Array,
  columns: number,
  result: Float32Array,
  stride: number,
  first: number,
): boolean {
  const from = new Int32Array(values.buffer, values.byteOffset, values.length);
  const to = new Int32Array(result.buffer, result.byteOffset, result.length);
  const rows = values.length / columns;
  const whole = columns - (columns % 8);
  let signs = 0;
  for (let c0 = 0; c0 < whole; c0 += 16) {
    const c1 = Math.min(whole, c0 + 16);
    for (let r0 = 0; r0 < rows; r0 += 8) {
      const r1 = Math.min(rows, r0 + 8);
      for (let c = c0; c < c1; c += 8) {
        let read = r0 * columns + c;
        let write = c * stride + first + r0;
        for (let r = r0; r < r1; r++, read += columns, write++) {
          const v0 = from[read]!;
          const v1 = from[read + 1]!;
          const v2 = from[read + 2]!;
          const v3 = from[read + 3]!;
          const v4 = from[read + 4]!;
          const v5 = from[read + 5]!;
          const v6 = from[read + 6]!;
          const v7 = from[read + 7]!;
          to[write] = v0;
          to[write + stride] = v1;
          to[write + 2 * stride] = v2;
          to[write + 3 * stride] = v3;
          to[write + 4 * stride] = v4;
          to[write + 5 * stride] = v5;
          to[write + 6 * stride] = v6;
          to[write + 7 * stride] = v7;
          signs |= ((v0 & EXPONENT) + LAST_PLACE) | ((v1 & EXPONENT) + LAST_PLACE);
          signs |= ((v2 & EXPONENT) + LAST_PLACE) | ((v3 & EXPONENT) + LAST_PLACE);
          signs |= ((v4 & EXPONENT) + LAST_PLACE) | ((v5 & EXPONENT) + LAST_PLACE);
          signs |= ((v6 & EXPONENT) + LAST_PLACE) | ((v7 & EXPONENT) + LAST_PLACE);
        }
      }
    }
  }
  for (let c = whole; c < columns; c++) {
    for (let r = 0; r < rows; r++) {
      const value = from[r * columns + c]!;
      to[c * stride + first + r] = value;
      signs |= (value & EXPONENT) + LAST_PLACE;
    }
  }
  return signs >= 0;
}
