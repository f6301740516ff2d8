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
  const result = {
    x: new Float64Array(rows * d),
    scale: new Float64Array(rows).fill(1),
    shift: new Float64Array(rows),
  };
  for (let t = 0; t < rows; t++) {
    const row = x.subarray(t * d, (t + 1) * d);
    let factor = 1;
    if (how === "constant_norm_rescale") {
      let squares = 0;
      for (const value of row) squares += value * value;
      // A row of zeros has no direction: it stays zero, and so does its reconstruction (SAELens: NaN).
      factor = squares > 0 ? Math.sqrt(d / squares) : 0;
      result.scale[t] = Math.sqrt(squares / d);
    } else if (how === "layer_norm") {
      let mean = 0;
      for (const value of row) mean += value / d;
      let squares = 0;
      for (const value of row) squares += (value - mean) ** 2;
      const deviation = Math.sqrt(squares / (d - 1));
      factor = 1 / (deviation + LAYER_NORM_EPS);
      result.scale[t] = deviation;
      result.shift[t] = mean;
    }
    for (let j = 0; j < d; j++) result.x[t * d + j] = (row[j]! - result.shift[t]!) * factor;
  }
  return result;
}
