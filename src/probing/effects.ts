// How much each feature matters to a probe, and the n that matter most (SHIFT, arXiv 2403.19647; SCR and TPP as in SAEBench, arXiv 2503.09532).
import type { SparseCodes } from "../engine/engine.ts";
import type { Examples } from "./examples.ts";
import { requireBothLabels } from "./examples.ts";

/** f̄⁺ − f̄⁻ [F]: difference of the two classes' mean pooled codes over the examples' rows. */
export function classDifference(codes: SparseCodes, { rows, labels }: Pick<Examples, "rows" | "labels">): Float64Array {
  requireBothLabels(labels, "comparing two classes' codes");
  const counts = [0, 0];
  for (const label of labels) counts[label]!++;
  const sums = [new Float64Array(codes.width), new Float64Array(codes.width)];
  for (let t = 0; t < rows.length; t++) {
    const row = rows[t]!;
    const sum = sums[labels[t]!]!;
    for (let at = codes.offsets[row]!; at < codes.offsets[row + 1]!; at++)
      sum[codes.indices[at]!]! += codes.values[at]!;
  }
  return sums[1]!.map((sum, i) => sum / counts[1]! - sums[0]![i]! / counts[0]!);
}

/** w·W_dec,i [F] for decoder rows [F, d]: what one unit of a feature adds to a probe's logit. */
export function decoderProjection(W_dec: Float32Array, w: Float64Array): Float64Array {
  const d = w.length;
  const result = new Float64Array(W_dec.length / d);
  for (let i = 0; i < result.length; i++) {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += W_dec[i * d + j]! * w[j]!;
    result[i] = sum;
  }
  return result;
}

/** SCR: |(f̄⁺_i − f̄⁻_i)·(w·W_dec,i)|. */
export function scrEffects(difference: Float64Array, projection: Float64Array): Float64Array {
  return difference.map((value, i) => Math.abs(value * projection[i]!));
}

/** TPP: max(f̄⁺_i − f̄⁻_i, 0)·(w·W_dec,i), with its sign. */
export function tppEffects(difference: Float64Array, projection: Float64Array): Float64Array {
  return difference.map((value, i) => Math.max(value, 0) * projection[i]!);
}

/** The n features of the largest effects, fewer where fewer are positive, the largest first; ties by index. */
export function topFeatures(effects: Float64Array, n: number): Uint32Array {
  const positive: number[] = [];
  for (let i = 0; i < effects.length; i++) if (effects[i]! > 0) positive.push(i);
  return largest(effects, positive, n);
}

/**
 * SAEBench's choice: as many features as there are effects other than 0, at most n; the largest signed effects of all. Where
 * negative effects are counted in, features of no effect are chosen; torch leaves open which, here those of the lowest index.
 */
export function topFeaturesSaeBench(effects: Float64Array, n: number): Uint32Array {
  let others = 0;
  for (const effect of effects) if (effect !== 0) others++;
  return largest(
    effects,
    Array.from(effects, (_, i) => i),
    Math.min(n, others),
  );
}

function largest(effects: Float64Array, candidates: number[], n: number): Uint32Array {
  // −0 and 0 are a tie: their difference is 0.
  return Uint32Array.from(candidates.sort((a, b) => effects[b]! - effects[a]! || a - b).slice(0, n));
}
