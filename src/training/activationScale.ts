// The one factor by which expected_average_only_in scales activations: estimated once before training, folded into the weights at its end.
import type { ActivationSource } from "../data/activationSource.ts";
import { TrainingError, type TrainingHooks } from "./trainingRun.ts";

/**
 * √d / mean‖x‖ over at most `batches` batches (SAELens: n_batches_for_norm_estimate), summed in float64.
 * Null where the signal stopped it between batches.
 */
export async function estimateScalingFactor(
  source: ActivationSource,
  rows: number,
  batches: number,
  hooks: Pick<TrainingHooks, "signal" | "onEstimate"> = {},
): Promise<number | null> {
  const d = source.d_in;
  let norms = 0;
  let count = 0;
  for (let b = 0; b < batches; b++) {
    if (hooks.signal?.aborted) return null;
    const batch = await source.next(rows);
    if (!batch) break;
    for (let t = 0; t < batch.rows; t++) {
      let squares = 0;
      for (let j = t * d; j < (t + 1) * d; j++) squares += batch.x[j]! ** 2;
      norms += Math.sqrt(squares);
    }
    count += batch.rows;
    hooks.onEstimate?.(b + 1, batches);
  }
  if (!(norms > 0)) {
    throw new TrainingError(
      `the mean norm of ${count} activations is ${norms / count}: expected_average_only_in can't scale them`,
    );
  }
  return (Math.sqrt(d) * count) / norms;
}

/** x·factor in float32, as SAELens does it; x itself is left alone. */
export function scaled(x: Float32Array, factor: number | null): Float32Array {
  if (factor === null) return x;
  const single = Math.fround(factor);
  const result = new Float32Array(x.length);
  for (let at = 0; at < x.length; at++) result[at] = x[at]! * single;
  return result;
}
