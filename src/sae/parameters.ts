// Checks and turns that every layout's weights go through on their way in.
import { InputError } from "../formats/inputError.ts";

/** Throws InputError, with how many values are no numbers and where the first is. */
export function checkFinite(file: string, name: string, values: Float32Array): void {
  let first = -1;
  let count = 0;
  // Indexed, since this looks at every weight of a large SAE.
  for (let at = 0; at < values.length; at++) {
    if (Number.isFinite(values[at])) continue;
    if (first < 0) first = at;
    count++;
  }
  if (first < 0) return;
  throw new InputError({
    file,
    where: `tensor ${name}`,
    found: `${count} ${count === 1 ? "value that is" : "values that are"} not finite, the first (${values[first]}) at ${first}`,
    expected: "finite numbers",
  });
}

/** [rows, columns] → [columns, rows], in square tiles so that neither side leaves the cache. */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const tile = 32;
  const result = new Float32Array(values.length);
  for (let r0 = 0; r0 < rows; r0 += tile) {
    const r1 = Math.min(rows, r0 + tile);
    for (let c0 = 0; c0 < columns; c0 += tile) {
      const c1 = Math.min(columns, c0 + tile);
      for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) result[c * rows + r] = values[r * columns + c]!;
    }
  }
  return result;
}
