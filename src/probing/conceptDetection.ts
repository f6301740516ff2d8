// Concept detection (sparse probing, arXiv 2503.09532): which k features tell a class from the rest, and how well they do it.

import type { LabelledRows } from "./classTasks.ts";
import { requireBothLabels } from "./examples.ts";
import { denseDesign, type FeatureTable } from "./featureTable.ts";
import { decision, fitLogistic } from "./logisticRegression.ts";
import { accuracyOf, logits } from "./probe.ts";
import { testSelectedPlan } from "./probePlan.ts";
import { type ProbeSettings, trainProbe } from "./trainProbe.ts";

export const CONCEPT_K = [1, 2, 5] as const;

/** SAEBench's probe over the full width, which is no logistic regression (`saebench_compatible`). */
export const fullWidthProbeSettings: ProbeSettings = {
  lr: 1e-2,
  weight_decay: 0.01,
  l1_penalty: 0,
  batch_size: 250,
  epochs: 100,
  early_stopping_patience: 10,
};

/** One class against the rest, in training and in test rows of their tables. */
export interface ConceptTask {
  readonly train: LabelledRows;
  readonly test: LabelledRows;
}

export interface ConceptResult {
  /** The k features by descending |mean⁺ − mean⁻| on the training rows; empty for the full width. */
  readonly features: Uint32Array;
  /** mean⁺ − mean⁻ of each of `features`: above 0 where it fires more in the class. */
  readonly differences: Float64Array;
  /** In the order of `features`, or of all features. */
  readonly coef: Float64Array;
  readonly intercept: number;
  /** On the test rows. */
  readonly accuracy: number;
}

const NO_FEATURES = { features: new Uint32Array(0), differences: new Float64Array(0) };

export interface ConceptScores {
  /** A class each. */
  readonly classes: readonly ConceptResult[];
  /** Mean accuracy over the classes. */
  readonly mean: number;
}

/** mean⁺ − mean⁻ of every feature over the rows. */
export function meanDifferences(table: FeatureTable, { rows, labels }: LabelledRows): Float64Array {
  requireBothLabels(labels, "comparing two classes' features");
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const weights = Float64Array.from(labels, (label) =>
    label === 1 ? 1 / positives : -1 / (labels.length - positives),
  );
  return table.weightedSum(rows, weights);
}

/** The k features that differ most between the classes, the most first; ties by index. */
export function mostDifferent(differences: Float64Array, k: number): Uint32Array {
  const order = Uint32Array.from(differences, (_, i) => i);
  return order.sort((a, b) => Math.abs(differences[b]!) - Math.abs(differences[a]!) || a - b).slice(0, k);
}

/** Detection of every class by k features each: L2 logistic regression (C = 1), solved to convergence. */
export function detectConcepts(
  train: FeatureTable,
  test: FeatureTable,
  tasks: readonly ConceptTask[],
  k: number,
): ConceptScores {
  return scores(
    tasks.map((task) => {
      const means = meanDifferences(train, task.train);
      const features = mostDifferent(means, k);
      const design = (table: FeatureTable, rows: Uint32Array) =>
        denseDesign(
          table.columns(rows, features),
          Uint32Array.from(rows, (_, t) => t),
        );
      const fitted = fitLogistic(design(train, task.train.rows), task.train.labels);
      const logits = decision(design(test, task.test.rows), fitted);
      const { coef, intercept } = fitted;
      const differences = Float64Array.from(features, (feature) => means[feature]!);
      return { features, differences, coef, intercept, accuracy: accuracyOf(logits, task.test.labels) };
    }),
  );
}

/** The same with all features at once: what the features hold together. */
export function fullWidthDetection(
  train: FeatureTable,
  test: FeatureTable,
  tasks: readonly ConceptTask[],
): ConceptScores {
  return scores(
    tasks.map((task) => {
      const { coef, intercept } = fitLogistic(train.design(task.train.rows), task.train.labels);
      const logits = decision(test.design(task.test.rows), { coef, intercept });
      return { ...NO_FEATURES, coef, intercept, accuracy: accuracyOf(logits, task.test.labels) };
    }),
  );
}

/** The same as SAEBench has it (`saebench_compatible`): an AdamW probe, of the epoch that is best on the test rows. Holds all rows and features densely. */
export function fullWidthSaeBench(
  train: FeatureTable,
  test: FeatureTable,
  tasks: readonly ConceptTask[],
  seed: number,
): ConceptScores {
  const all = Uint32Array.from({ length: train.width }, (_, i) => i);
  return scores(
    tasks.map((task, at) => {
      const dense = (table: FeatureTable, { rows, labels }: LabelledRows) => ({
        x: table.columns(rows, all),
        rows: Uint32Array.from(rows, (_, t) => t),
        labels,
      });
      const held = dense(test, task.test);
      const plan = testSelectedPlan(dense(train, task.train), held, seed, `full width ${at}`, fullWidthProbeSettings);
      const { probe } = trainProbe(plan, fullWidthProbeSettings);
      const accuracy = accuracyOf(logits(probe, held.x, held.rows), held.labels);
      return { ...NO_FEATURES, coef: probe.w, intercept: probe.b, accuracy };
    }),
  );
}

function scores(classes: ConceptResult[]): ConceptScores {
  return { classes, mean: classes.reduce((sum, { accuracy }) => sum + accuracy, 0) / classes.length };
}
