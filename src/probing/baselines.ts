// What any choice of features must beat: features taken at random, and no features at all but the attribute's mean difference projected out of the activations.
import { SeededRandom } from "../data/seededRandom.ts";
import type { SparseCodes } from "../engine/engine.ts";
import { type Examples, type Rows, requireBothLabels } from "./examples.ts";

/** n features drawn without replacement from those that fire in at least one text; all of them where there are fewer. */
export function randomFeatures(codes: SparseCodes, n: number, seed: number): Uint32Array {
  const fires = new Uint8Array(codes.width);
  for (const feature of codes.indices) fires[feature] = 1;
  const alive = Array.from(fires.keys()).filter((feature) => fires[feature] === 1);
  return Uint32Array.from(SeededRandom.derive(seed, "random features").shuffle(alive).slice(0, n));
}

/** What tells two classes apart by their means alone. */
export interface MeanDifference {
  /** [d] Mean of the rows with label 1 less the mean of those with label 0. */
  readonly direction: Float64Array;
  /** [d] Half-way between the two means; of a balanced set, the mean of its rows. */
  readonly middle: Float64Array;
}

export function meanDifference({ x, rows, labels }: Examples): MeanDifference {
  requireBothLabels(labels, "the difference of two classes' means");
  const counts = [0, 0];
  for (const label of labels) counts[label]!++;
  const means = counts.map(() => new Float64Array(x.d));
  for (let t = 0; t < rows.length; t++) {
    const mean = means[labels[t]!]!;
    for (let j = 0; j < x.d; j++) mean[j]! += x.values[rows[t]! * x.d + j]! / counts[labels[t]!]!;
  }
  const [zero, one] = means as [Float64Array, Float64Array];
  return {
    direction: one.map((value, j) => value - zero[j]!),
    middle: one.map((value, j) => (value + zero[j]!) / 2),
  };
}

/**
 * Every row without what sets it off from the middle along the direction: x − ((x − middle)·u)u, u = direction/‖direction‖.
 * Not x − (x·u)u: activations lie far from 0, so that would also take (middle·u)u from every row, and shift every logit of a
 * probe that was trained before. A zero direction takes nothing.
 */
export function projectOut(x: Rows, { direction, middle }: MeanDifference): Rows {
  const squares = direction.reduce((sum, value) => sum + value * value, 0);
  const values = x.values.slice();
  if (squares > 0) {
    for (let row = 0; row < x.rows; row++) {
      const start = row * x.d;
      let along = 0;
      for (let j = 0; j < x.d; j++) along += (values[start + j]! - middle[j]!) * direction[j]!;
      for (let j = 0; j < x.d; j++) values[start + j]! -= (along / squares) * direction[j]!;
    }
  }
  return { ...x, values };
}
