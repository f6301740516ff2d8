// Stability: how well the features of one training run are found again in runs from other seeds (arXiv 2505.16077, 2502.12892).
import { type Ensemble, memberOffsets } from "../sae/ensemble.ts";
import { bestAssignment } from "./assignment.ts";
import { cosineOfRows, largestCosines, normalisedDecoderRows } from "./decoderCosines.ts";
import { type Metric, meanMetric, unavailable } from "./metric.ts";
import { forEachTile, type Rows, type TileOptions } from "./rowProducts.ts";

/** The matching's time is cubic: 4,096 features take seconds, 32,768 would take hours. */
export const HUNGARIAN_FEATURES = 4096;

/** `onTiles` counts those of the largest cosines over all pairs. */
export interface StabilityOptions extends TileOptions {
  /** The Hungarian form is left out above this many features. */
  readonly hungarianFeatures?: number;
}

/** Two ensembles of one method from different seeds, by their position in the list given. */
export interface StabilityPair {
  readonly a: number;
  readonly b: number;
  /** Mean over a's features of the largest cosine with any feature of b. */
  readonly aToB: number;
  readonly bToA: number;
  /** Mean cosine of the pairs of a one-to-one matching with the greatest total. */
  readonly hungarian: Metric;
}

export interface Stability {
  /** Mean over features of the largest cosine with any feature of an ensemble from other seeds, averaged over ordered pairs. */
  readonly stability: Metric;
  /** The exact form: the same after a Hungarian matching, averaged over pairs. */
  readonly stability_hungarian: Metric;
  /** The same as `stability` over the features of member j alone, each against the whole other ensemble; empty if the numbers of members differ. */
  readonly byMember: readonly number[];
  readonly pairs: readonly StabilityPair[];
}

/** Ensembles of one method trained from different seeds, at least two; decoder rows are normalised for every method. */
export async function stability(ensembles: readonly Ensemble[], options: StabilityOptions = {}): Promise<Stability> {
  if (ensembles.length < 2) {
    const none = unavailable(
      `stability compares runs from different seeds: ${ensembles.length} given, 2 or more needed`,
    );
    return { stability: none, stability_hungarian: none, byMember: [], pairs: [] };
  }
  const members = ensembles[0]!.members.length;
  const sameMembers = ensembles.every((ensemble) => ensemble.members.length === members);
  const sums = new Array<number>(sameMembers ? members : 0).fill(0);
  const pairs: StabilityPair[] = [];
  const rows = ensembles.map(normalisedDecoderRows);
  const { onTiles, ...silent } = options;
  const all = (ensembles.length * (ensembles.length - 1)) / 2;
  for (let a = 0; a < ensembles.length; a++) {
    for (let b = a + 1; b < ensembles.length; b++) {
      const before = pairs.length;
      const { ofA, ofB } = await largestCosines(rows[a]!, rows[b]!, {
        ...silent,
        onTiles: (done, of) => onTiles?.(before * of + done, all * of),
      });
      pairs.push({
        a,
        b,
        aToB: mean(ofA.cosine),
        bToA: mean(ofB.cosine),
        hungarian: await matchedCosine(rows[a]!, rows[b]!, silent),
      });
      for (const [of, ensemble] of [
        [ofA, ensembles[a]!],
        [ofB, ensembles[b]!],
      ] as const) {
        const offsets = memberOffsets(ensemble);
        sums.forEach((_, j) => {
          sums[j]! += mean(of.cosine.subarray(offsets[j]!, offsets[j + 1]!));
        });
      }
    }
  }
  const ordered = 2 * pairs.length;
  return {
    stability: { value: pairs.reduce((sum, pair) => sum + pair.aToB + pair.bToA, 0) / ordered },
    stability_hungarian: meanMetric(pairs.map((pair) => pair.hungarian)),
    byMember: sums.map((sum) => sum / ordered),
    pairs,
  };
}

async function matchedCosine(a: Rows, b: Rows, options: StabilityOptions): Promise<Metric> {
  const limit = options.hungarianFeatures ?? HUNGARIAN_FEATURES;
  const most = Math.max(a.n, b.n);
  if (most > limit) {
    return unavailable(
      `the Hungarian matching's time grows with the cube of the features: ${most.toLocaleString("en")} pass the ` +
        `limit of ${limit.toLocaleString("en")}`,
    );
  }
  const [few, many] = a.n <= b.n ? [a, b] : [b, a];
  const cosines = new Float32Array(few.n * many.n);
  await forEachTile(few, many, options, ({ values, row, rows, column, columns }) => {
    for (let r = 0; r < rows; r++) {
      cosines.set(values.subarray(r * columns, (r + 1) * columns), (row + r) * many.n + column);
    }
  });
  const columnOf = bestAssignment(cosines, few.n, many.n);
  let sum = 0;
  columnOf.forEach((column, row) => {
    sum += cosineOfRows(few, row, many, column);
  });
  return { value: sum / few.n };
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
