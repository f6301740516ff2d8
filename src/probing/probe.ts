// A linear probe and what it says of rows. How it is trained is trainProbe.ts.
import type { Examples, Rows } from "./examples.ts";

/** The label is 1 where x·w + b > 0. */
export interface Probe {
  /** [d] */
  readonly w: Float64Array;
  readonly b: number;
}

/** x·w + b of the given rows of `x`, in float64. */
export function logits(probe: Probe, x: Rows, rows: Uint32Array): Float64Array {
  const { w, b } = probe;
  const { d, values } = x;
  if (w.length !== d) throw new RangeError(`a probe of width ${w.length} for activations of width ${d}`);
  const result = new Float64Array(rows.length);
  for (let t = 0; t < rows.length; t++) {
    const start = rows[t]! * d;
    let sum = b;
    for (let j = 0; j < d; j++) sum += values[start + j]! * w[j]!;
    result[t] = sum;
  }
  return result;
}

/** Share of logits on the side of their label; NaN for no rows. */
export function accuracyOf(logits: Float64Array, labels: ArrayLike<number>): number {
  let right = 0;
  for (let t = 0; t < logits.length; t++) if (logits[t]! > 0 === (labels[t] === 1)) right++;
  return right / logits.length;
}

export function accuracy(probe: Probe, examples: Examples): number {
  return accuracyOf(logits(probe, examples.x, examples.rows), examples.labels);
}
