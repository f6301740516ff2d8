// How an SAE normalises each activation before encoding and undoes it after decoding (SAELens' normalize_activations at inference).
import type { NormalizeActivations } from "./sae.ts";

/** SAELens adds it to the deviation going in, and leaves it out coming back. */
const LAYER_NORM_EPS = 1e-5;

/** Normalised rows, and per row what undoes it: x̂ = out·scale + shift. */
export interface Normalised {
  /** [rows, d] */
  readonly x: Float64Array;
  /** [rows] */
  readonly scale: Float64Array;
  /** [rows] */
  readonly shift: Float64Array;
}

/** "expected_average_only_in" is folded into the weights when training ends, so it does nothing here. */
export function normalise(x: Float32Array, rows: number, d: number, how: NormalizeActivations): Normalised {
  const result = { x: new Float64Array(rows * d), scale: new Float64Array(rows), shift: new Float64Array(rows) };
  for (let t = 0; t < rows; t++) {
    const row = x.subarray(t * d, (t + 1) * d);
    const { factor, scale, shift } = normalisation(row, how);
    result.scale[t] = scale;
    result.shift[t] = shift;
    for (let j = 0; j < d; j++) result.x[t * d + j] = (row[j]! - shift) * factor;
  }
  return result;
}

/** Of one row [d]: normalised it is (x − shift)·factor, and out·scale + shift undoes that. */
export function normalisation(
  row: ArrayLike<number>,
  how: NormalizeActivations,
): { readonly factor: number; readonly scale: number; readonly shift: number } {
  const d = row.length;
  let squares = 0;
  if (how === "constant_norm_rescale") {
    for (let j = 0; j < d; j++) squares += row[j]! * row[j]!;
    // A row of zeros has no direction: it stays zero, and so does its reconstruction (SAELens: NaN).
    return { factor: squares > 0 ? Math.sqrt(d / squares) : 0, scale: Math.sqrt(squares / d), shift: 0 };
  }
  if (how !== "layer_norm") return { factor: 1, scale: 1, shift: 0 };
  let mean = 0;
  for (let j = 0; j < d; j++) mean += row[j]! / d;
  for (let j = 0; j < d; j++) squares += (row[j]! - mean) ** 2;
  const deviation = Math.sqrt(squares / (d - 1));
  return { factor: 1 / (deviation + LAYER_NORM_EPS), scale: deviation, shift: mean };
}

/** Whether each token is scaled by a number of its own, so that a code's share of the reconstruction depends on its token. */
export function normalisesTokens(how: NormalizeActivations): boolean {
  return how === "constant_norm_rescale" || how === "layer_norm";
}
