// Largest cosines between decoder rows: within an ensemble (diversity) and between two (stability).
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";
import { forEachTile, type Rows, type TileOptions } from "./rowProducts.ts";

/** A feature is diverse if its cosine with every other feature is below this (arXiv 2505.16077). */
export const DIVERSITY_THRESHOLD = 0.7;

/** For every row the largest cosine and the row that has it. Cosines are float64; the choice among candidates within 1e-6 is the GEMM's. */
export interface LargestCosines {
  /** [n] */
  readonly cosine: Float64Array;
  /** [n]; −1 where there is no other row. */
  readonly index: Int32Array;
}

/** All members' decoder rows side by side, each scaled to norm 1 (a row of zeros stays one). [J·F, d] */
export function normalisedDecoderRows(ensemble: Ensemble): Rows {
  const n = ensembleWidth(ensemble);
  const d = ensemble.members[0]!.config.d_in;
  const values = new Float32Array(n * d);
  let at = 0;
  for (const { weights } of ensemble.members) {
    values.set(weights.W_dec, at);
    at += weights.W_dec.length;
  }
  for (let i = 0; i < n; i++) {
    const row = values.subarray(i * d, (i + 1) * d);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (norm > 0) for (let j = 0; j < d; j++) row[j] = row[j]! / norm;
  }
  return { values, n, d };
}

/** For every row of a the closest row of b, and the other way round, in one sweep. */
export async function largestCosines(
  a: Rows,
  b: Rows,
  options: TileOptions = {},
): Promise<{ ofA: LargestCosines; ofB: LargestCosines }> {
  const ofA = nothingYet(a.n);
  const ofB = nothingYet(b.n);
  await forEachTile(a, b, options, ({ values, row, rows, column, columns }) => {
    for (let r = 0, at = 0; r < rows; r++) {
      const i = row + r;
      let best = ofA.cosine[i]!;
      let bestIndex = ofA.index[i]!;
      for (let c = 0; c < columns; c++, at++) {
        const value = values[at]!;
        if (value > best) {
          best = value;
          bestIndex = column + c;
        }
        if (value > ofB.cosine[column + c]!) {
          ofB.cosine[column + c] = value;
          ofB.index[column + c] = i;
        }
      }
      ofA.cosine[i] = best;
      ofA.index[i] = bestIndex;
    }
  });
  recompute(ofA, a, b);
  recompute(ofB, b, a);
  return { ofA, ofB };
}

/** For every row the closest other row of the same set: only the diagonal is masked. */
export async function largestCosinesWithin(a: Rows, options: TileOptions = {}): Promise<LargestCosines> {
  const found = nothingYet(a.n);
  await forEachTile(a, a, { ...options, upperTriangle: true }, ({ values, row, rows, column, columns }) => {
    for (let r = 0; r < rows; r++) {
      const i = row + r;
      // On a diagonal tile the part below the diagonal repeats the part above it.
      const first = row === column ? r + 1 : 0;
      let best = found.cosine[i]!;
      let bestIndex = found.index[i]!;
      for (let c = first, at = r * columns + first; c < columns; c++, at++) {
        const value = values[at]!;
        if (value > best) {
          best = value;
          bestIndex = column + c;
        }
        if (value > found.cosine[column + c]!) {
          found.cosine[column + c] = value;
          found.index[column + c] = i;
        }
      }
      found.cosine[i] = best;
      found.index[i] = bestIndex;
    }
  });
  recompute(found, a, a);
  return found;
}

/** Number of features whose cosine with every other feature is below 0.7. A row of zeros has no direction, so it is none of them. */
export async function diversity(ensemble: Ensemble, options: TileOptions = {}): Promise<number> {
  const rows = normalisedDecoderRows(ensemble);
  const { cosine } = await largestCosinesWithin(rows, options);
  const isDiverse = (value: number, i: number) =>
    value < DIVERSITY_THRESHOLD && rows.values.subarray(i * rows.d, (i + 1) * rows.d).some((each) => each !== 0);
  return cosine.reduce((count, value, i) => count + (isDiverse(value, i) ? 1 : 0), 0);
}

/** Cosine of row i of a and row j of b in float64; 0 if one of them is zero. */
export function cosineOfRows(a: Rows, i: number, b: Rows, j: number): number {
  let product = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (let t = 0, p = i * a.d, q = j * b.d; t < a.d; t++, p++, q++) {
    const x = a.values[p]!;
    const y = b.values[q]!;
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return squaresA > 0 && squaresB > 0 ? product / Math.sqrt(squaresA * squaresB) : 0;
}

function nothingYet(n: number): LargestCosines {
  return { cosine: new Float64Array(n).fill(Number.NEGATIVE_INFINITY), index: new Int32Array(n).fill(-1) };
}

/** Replaces the GEMM's float32 cosines of the rows found by float64 ones. */
function recompute(found: LargestCosines, a: Rows, b: Rows): void {
  found.index.forEach((j, i) => {
    if (j >= 0) found.cosine[i] = cosineOfRows(a, i, b, j);
  });
}
