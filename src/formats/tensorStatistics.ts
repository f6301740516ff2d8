// What a tensor of a safetensors file holds, in numbers: read in pieces, so that a large one needs little memory.
import type { Safetensors } from "./safetensors.ts";
import { eachPiece } from "./tensorPieces.ts";

export interface TensorStatistics {
  readonly elements: number;
  /** NaN and infinities; left out of all else. */
  readonly notFinite: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Square root of the sum of squares. */
  readonly norm: number;
  readonly zeros: number;
  /** Counts in equal bins from min to max. */
  readonly histogram: readonly number[];
}

const BINS = 48;

/** Two passes: sums, then the histogram. Throws InputError for a dtype that holds no numbers we can convert (F8). */
export async function tensorStatistics(
  file: Safetensors,
  name: string,
  signal?: AbortSignal,
): Promise<TensorStatistics> {
  let [elements, notFinite, zeros, sum, squares] = [0, 0, 0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  await eachPiece(file, name, { signal }, (values) => {
    elements += values.length;
    for (const value of values) {
      if (!Number.isFinite(value)) {
        notFinite++;
        continue;
      }
      if (value === 0) zeros++;
      if (value < min) min = value;
      if (value > max) max = value;
      sum += value;
      squares += value * value;
    }
  });
  const counted = elements - notFinite;
  if (counted === 0) [min, max] = [0, 0];
  const histogram = new Array<number>(BINS).fill(0);
  const scale = max > min ? BINS / (max - min) : 0;
  await eachPiece(file, name, { signal }, (values) => {
    for (const value of values) {
      if (Number.isFinite(value)) histogram[Math.min(BINS - 1, Math.floor((value - min) * scale))]!++;
    }
  });
  return {
    elements,
    notFinite,
    min,
    max,
    mean: counted > 0 ? sum / counted : 0,
    norm: Math.sqrt(squares),
    zeros,
    histogram,
  };
}
