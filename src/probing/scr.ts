// Spurious-correlation removal (SCR, arXiv 2503.09532): how much of the accuracy that a bias cost comes back when the n features that matter most to the other probe are taken out.

import { ablatedLogits, type EncodedPadding } from "./ablation.ts";
import { type CellScores, cellScores } from "./cells.ts";
import type { CodeColumns } from "./codeColumns.ts";
import { decoderProjection, topFeatures } from "./effects.ts";
import type { Examples } from "./examples.ts";
import { logits, type Probe } from "./probe.ts";

export const SCR_N = [2, 5, 10, 20, 50, 100, 500] as const;

/** Below this difference of A_clean and A_biased there is no room, and SCR is 0 by definition. */
export const LEAST_ROOM = 0.001;

/** (A_ablated − A_biased)/(A_clean − A_biased), not clipped; 0 where there is no room. */
export function scrScore({
  A_ablated,
  A_biased,
  A_clean,
}: Readonly<Record<"A_ablated" | "A_biased" | "A_clean", number>>) {
  const room = A_clean - A_biased;
  return room < LEAST_ROOM ? 0 : (A_ablated - A_biased) / room;
}

/** The three probes that matter. */
export interface ScrProbes {
  /** Of the label, trained where label and attribute agree. */
  readonly biased: Probe;
  /** Of the label, trained on balanced data. */
  readonly desired: Probe;
  /** Of the attribute, trained on balanced data. */
  readonly spurious: Probe;
}

/** A balanced test set: rows of pooled activations, each with label and attribute. */
export interface GroupedExamples extends Examples {
  /** [n] 0 or 1 */
  readonly attributes: Uint8Array;
}

export interface ScrInput {
  readonly probes: ScrProbes;
  /** scrEffects of the features, by probe: `spurious` chooses for direction 1, `desired` for direction 2. */
  readonly effects: Readonly<Record<"desired" | "spurious", Float64Array>>;
  readonly test: GroupedExamples;
  /** Codes of the test set's rows, in its order. */
  readonly columns: CodeColumns;
  /** [F, d], the ensemble's decoder rows. */
  readonly W_dec: Float32Array;
  readonly n_values?: readonly number[];
  /** topFeatures unless said otherwise. */
  readonly select?: (effects: Float64Array, n: number) => Uint32Array;
  readonly padding?: EncodedPadding;
}

/** One direction: whose accuracy is to come back, and how much there is to come back. */
export interface ScrDirection {
  readonly A_clean: number;
  readonly A_biased: number;
  /** Whether A_clean − A_biased leaves any room; where not, every SCR of the direction is 0 and says nothing. */
  readonly hasRoom: boolean;
}

export interface ScrPoint {
  /** Features asked for. */
  readonly n: number;
  /** Chosen for direction 1, the largest effect first; fewer than n where fewer have an effect. */
  readonly features: Uint32Array;
  /** SCR of each direction. */
  readonly dir1: number;
  readonly dir2: number;
  /** That of the headline's direction; null where there is none. */
  readonly headline: number | null;
  readonly A_ablated_dir1: number;
  readonly A_ablated_dir2: number;
  /** Of the biased probe on the label, after ablation for direction 1. */
  readonly scores: CellScores;
  /** The closest that any logit of direction 1 comes to the decision: a smaller error than this changes no accuracy. */
  readonly min_abs_logit: number;
}

export interface Scr {
  /** The label: features of the attribute's probe are taken out. */
  readonly dir1: ScrDirection;
  /** The attribute: features of the label's probe are taken out. */
  readonly dir2: ScrDirection;
  /** The direction with the strictly lower A_biased; null at a tie, where SAEBench writes no headline either. */
  readonly headline: "dir1" | "dir2" | null;
  /** The biased probe on the label before anything is taken out. */
  readonly base: CellScores;
  /** The desired probe: what could be reached. */
  readonly oracle: CellScores;
  readonly points: readonly ScrPoint[];
}

export function scr(input: ScrInput): Scr {
  const { probes, effects, test, columns, W_dec, padding } = input;
  const { n_values = SCR_N, select = topFeatures } = input;
  const { labels, attributes } = test;
  const score = (values: Float64Array, target: Uint8Array): CellScores =>
    cellScores(values, target, labels, attributes);
  const biased = logits(probes.biased, test.x, test.rows);
  const projection = decoderProjection(W_dec, probes.biased.w);
  const oracle = score(logits(probes.desired, test.x, test.rows), labels);
  const base = score(biased, labels);
  const dir1 = direction(oracle.accuracy, base.accuracy);
  const dir2 = direction(
    score(logits(probes.spurious, test.x, test.rows), attributes).accuracy,
    score(biased, attributes).accuracy,
  );
  const headline = headlineDirection(dir1.A_biased, dir2.A_biased);
  const points = n_values.map((n): ScrPoint => {
    const features = select(effects.spurious, n);
    const ablated = ablatedLogits(biased, columns, projection, features, padding);
    const scores = score(ablated, labels);
    const other = ablatedLogits(biased, columns, projection, select(effects.desired, n), padding);
    const A_ablated_dir2 = score(other, attributes).accuracy;
    const values = {
      dir1: scrScore({ ...dir1, A_ablated: scores.accuracy }),
      dir2: scrScore({ ...dir2, A_ablated: A_ablated_dir2 }),
    };
    return {
      n,
      features,
      ...values,
      headline: headline && values[headline],
      A_ablated_dir1: scores.accuracy,
      A_ablated_dir2,
      scores,
      min_abs_logit: ablated.reduce((least, value) => Math.min(least, Math.abs(value)), Number.POSITIVE_INFINITY),
    };
  });
  return { dir1, dir2, headline, base, oracle, points };
}

/** The direction with the strictly lower A_biased; null at a tie. */
export function headlineDirection(A_biased_dir1: number, A_biased_dir2: number): "dir1" | "dir2" | null {
  if (A_biased_dir1 === A_biased_dir2) return null;
  return A_biased_dir1 < A_biased_dir2 ? "dir1" : "dir2";
}

function direction(A_clean: number, A_biased: number): ScrDirection {
  return { A_clean, A_biased, hasRoom: A_clean - A_biased >= LEAST_ROOM };
}
