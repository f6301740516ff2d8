// Targeted probe perturbation (TPP, arXiv 2503.09532): taking a class's features out should hurt that class's probe and no other.
import { ablatedLogits, type EncodedPadding } from "./ablation.ts";
import type { LabelledRows } from "./classTasks.ts";
import { codeColumns } from "./codeColumns.ts";
import { classDifference, decoderProjection, topFeatures, tppEffects } from "./effects.ts";
import type { PooledTexts } from "./pool.ts";
import { accuracyOf, logits, type Probe } from "./probe.ts";

export interface TppInput {
  readonly train: PooledTexts;
  readonly test: PooledTexts;
  /** [F, d] */
  readonly W_dec: Float32Array;
  /** One a class: the probe, its training rows (effects) and its test rows (accuracies). */
  readonly classes: readonly { readonly probe: Probe; readonly train: LabelledRows; readonly test: LabelledRows }[];
  readonly n_values: readonly number[];
  /** topFeatures (positive effects only) unless said otherwise. */
  readonly select?: (effects: Float64Array, n: number) => Uint32Array;
  /** Of a class's test rows; `saebench_compatible`. */
  readonly padding?: (test: LabelledRows) => EncodedPadding;
}

export interface TppPoint {
  readonly n: number;
  /** Of each class, its features, the largest effect first. */
  readonly features: readonly Uint32Array[];
  /** [ablated class][probe's class] */
  readonly accuracies: readonly (readonly number[])[];
  /** Mean over classes of the loss of the class's own probe less the mean loss of the others. */
  readonly total: number;
}

export interface Tpp {
  /** Accuracy of each class's probe before anything is taken out. */
  readonly clean: readonly number[];
  /** Of each class, [F]. */
  readonly effects: readonly Float64Array[];
  readonly points: readonly TppPoint[];
}

export function tpp({ train, test, W_dec, classes, n_values, select = topFeatures, padding }: TppInput): Tpp {
  const projections = classes.map(({ probe }) => decoderProjection(W_dec, probe.w));
  const effects = classes.map((one, c) => tppEffects(classDifference(train.codes, one.train), projections[c]!));
  const prepared = classes.map((one) => ({
    base: logits(one.probe, test.activations, one.test.rows),
    columns: codeColumns(test.codes, one.test.rows),
    padding: padding?.(one.test),
  }));
  const clean = classes.map((one, c) => accuracyOf(prepared[c]!.base, one.test.labels));
  const points = n_values.map((n): TppPoint => {
    const features = effects.map((own) => select(own, n));
    const accuracies = features.map((chosen) =>
      prepared.map(({ base, columns, padding: own }, c) =>
        accuracyOf(ablatedLogits(base, columns, projections[c]!, chosen, own), classes[c]!.test.labels),
      ),
    );
    return { n, features, accuracies, total: tppScore(clean, accuracies) };
  });
  return { clean, effects, points };
}

/** `accuracies`: [ablated class][probe's class]. */
export function tppScore(clean: readonly number[], accuracies: readonly (readonly number[])[]): number {
  const losses = accuracies.map((row) => row.map((value, c) => clean[c]! - value));
  const perClass = losses.map((row, c) => {
    const others = row.filter((_, other) => other !== c);
    return row[c]! - others.reduce((sum, loss) => sum + loss, 0) / others.length;
  });
  return perClass.reduce((sum, value) => sum + value, 0) / perClass.length;
}
