// Debiasing of one ensemble on one drawing of the data: the probes, SCR over n, SHIFT with suggested or given flags, and the baselines to hold it against. Means over seeds are debiasReport.ts's.
import type { CellSet, FourCellSets } from "../data/fourCells.ts";
import { encodedPadding } from "./ablation.ts";
import { meanDifference, projectOut, randomFeatures } from "./baselines.ts";
import { type CellScores, cellScores } from "./cells.ts";
import { codeColumns } from "./codeColumns.ts";
import { classDifference, decoderProjection, scrEffects, topFeatures, topFeaturesSaeBench } from "./effects.ts";
import type { Examples, Rows } from "./examples.ts";
import { FlagScorer } from "./flagScorer.ts";
import type { PooledTexts } from "./pool.ts";
import { logits, type Probe } from "./probe.ts";
import { heldOutPlan, testSelectedPlan } from "./probePlan.ts";
import { type GroupedExamples, type Scr, scr, scrScore } from "./scr.ts";
import { type ProbePlan, type TrainedProbe, trainProbe } from "./trainProbe.ts";

/** The probes of a drawing. They know nothing of any ensemble: activations alone decide them. */
export interface DebiasProbes {
  readonly sets: FourCellSets;
  readonly x: Rows;
  readonly biased: TrainedProbe;
  readonly desired: TrainedProbe;
  readonly spurious: TrainedProbe;
  readonly biasedPlan: ProbePlan;
  /** The balanced training rows by attribute. */
  readonly byAttribute: Examples;
  readonly byLabel: Examples;
  readonly test: GroupedExamples;
  readonly saebenchCompatible: boolean;
}

/** What needs no dictionary. */
export interface DebiasBaselines {
  /** The biased probe as it is. */
  readonly base: CellScores;
  /** The probe that was trained on balanced data. */
  readonly oracle: CellScores;
  /** The biased probe on activations without the attribute's mean difference, and one trained anew on them. */
  readonly mean_difference: CellScores;
  readonly mean_difference_retrained: CellScores;
  /** Accuracy of the attribute's probe: how plainly the activations carry the attribute. */
  readonly attribute_accuracy: number;
  readonly steps: number;
}

export interface Shift {
  readonly flags: readonly number[];
  readonly ablated: CellScores;
  readonly retrained: CellScores;
  /** The probe that was trained anew. */
  readonly retrained_probe: Probe;
}

/** Of one ensemble. */
export interface DebiasResult {
  readonly scr: Scr;
  /** SCR of the label where as many features are taken out at random; in the order of scr.points. */
  readonly scr_random: readonly number[];
  /** Features by descending effect on the attribute's probe: what a person is shown first. */
  readonly suggested: readonly { readonly feature: number; readonly effect: number; readonly label_effect: number }[];
  /** The first `shift_n` suggestions taken as flags, unseen by anyone. */
  readonly shift_suggested: Shift;
  /** As many features at random. */
  readonly shift_random: Shift;
  /** A person's flags, where there are any, and as many features at random. */
  readonly shift_flagged: Shift | null;
  readonly shift_flagged_random: Shift | null;
}

/** `saebenchCompatible`: probes as SAEBench trains them (torch's start, the epoch chosen on the test rows). */
export function trainDebiasProbes(x: Rows, sets: FourCellSets, saebenchCompatible = false): DebiasProbes {
  const { seed, biased, balanced } = sets;
  const train = (name: string, learnt: Examples, held: Examples) => {
    const plan = saebenchCompatible ? testSelectedPlan(learnt, held, seed, name) : heldOutPlan(learnt, seed, name);
    return { plan, trained: trainProbe(plan) };
  };
  const of = ({ rows, labels, attributes }: CellSet, which: "label" | "attribute"): Examples => ({
    x,
    rows,
    labels: which === "label" ? labels : attributes,
  });
  const byLabel = of(balanced.train, "label");
  const byAttribute = of(balanced.train, "attribute");
  const first = train("biased", of(biased.train, "label"), of(biased.test, "label"));
  return {
    sets,
    x,
    biased: first.trained,
    biasedPlan: first.plan,
    desired: train("desired", byLabel, of(balanced.test, "label")).trained,
    spurious: train("spurious", byAttribute, of(balanced.test, "attribute")).trained,
    byAttribute,
    byLabel,
    test: { x, ...balanced.test },
    saebenchCompatible,
  };
}

export function debiasBaselines(probes: DebiasProbes): DebiasBaselines {
  const { x, test, biased, desired, spurious, biasedPlan: plan, byAttribute } = probes;
  const { rows, labels, attributes } = test;
  const score = (probe: Probe, on: Rows): CellScores => cellScores(logits(probe, on, rows), labels, labels, attributes);
  const without = projectOut(x, meanDifference(byAttribute));
  const again = trainProbe({
    ...plan,
    train: { ...plan.train, x: without },
    selection: { ...plan.selection, x: without },
  });
  return {
    base: score(biased.probe, x),
    oracle: score(desired.probe, x),
    mean_difference: score(biased.probe, without),
    mean_difference_retrained: score(again.probe, without),
    attribute_accuracy: cellScores(logits(spurious.probe, x, rows), attributes, labels, attributes).accuracy,
    steps: biased.steps,
  };
}

export interface DebiasOptions {
  readonly n_values: readonly number[];
  /** How many of the suggestions stand in for a person's flags. */
  readonly shift_n: number;
  /** A person's flags. */
  readonly flags?: readonly number[];
  /** SAEBench's padded length and the ensemble's codes of a zero vector: whatever is taken out takes them out as well. Used where the probes are saebench_compatible. */
  readonly padding?: { readonly length: number; readonly codesOfZero: Float64Array };
}

/** How many suggestions are listed. */
const SUGGESTED = 50;

/** What a dictionary has to say of a drawing before anyone has flagged anything. */
export interface DebiasCurve {
  readonly scr: Scr;
  /** SCR of direction 1 with as many features at random, at each n. */
  readonly scr_random: readonly number[];
  /** Of every feature, on the attribute's probe and on the label's. */
  readonly effects: Readonly<Record<"spurious" | "desired", Float64Array>>;
  /** Mean code where the attribute is 1 less that where it is 0. */
  readonly attribute_difference: Float64Array;
  readonly scorer: FlagScorer;
}

/** `texts.activations` must be the rows that the probes were trained on. */
export function debiasCurve(
  probes: DebiasProbes,
  texts: PooledTexts,
  W_dec: Float32Array,
  { n_values, padding }: Pick<DebiasOptions, "n_values" | "padding">,
): DebiasCurve {
  const { biased, desired, spurious, biasedPlan, byAttribute, byLabel, test, sets, saebenchCompatible } = probes;
  const attribute_difference = classDifference(texts.codes, byAttribute);
  const effects = {
    spurious: scrEffects(attribute_difference, decoderProjection(W_dec, spurious.probe.w)),
    desired: scrEffects(classDifference(texts.codes, byLabel), decoderProjection(W_dec, desired.probe.w)),
  };
  const paddingOf =
    saebenchCompatible && padding
      ? (rows: Uint32Array) =>
          encodedPadding(
            padding.length,
            Array.from(rows, (row) => texts.tokens[row]!),
            padding.codesOfZero,
          )
      : undefined;
  const curve = scr({
    probes: { biased: biased.probe, desired: desired.probe, spurious: spurious.probe },
    effects,
    test,
    columns: codeColumns(texts.codes, test.rows),
    W_dec,
    n_values,
    ...(saebenchCompatible && { select: topFeaturesSaeBench }),
    ...(paddingOf && { padding: paddingOf(test.rows) }),
  });
  const scorer = new FlagScorer({ texts, W_dec, biased, plan: biasedPlan, test, padding: paddingOf });
  const scr_random = curve.points.map(({ features }) => {
    const { accuracy } = scorer.ablated(randomFeatures(texts.codes, features.length, sets.seed));
    return scrScore({ ...curve.dir1, A_ablated: accuracy });
  });
  return { scr: curve, scr_random, effects, attribute_difference, scorer };
}

/** `texts.activations` must be the rows that the probes were trained on. */
export function debiasEnsemble(
  probes: DebiasProbes,
  texts: PooledTexts,
  W_dec: Float32Array,
  { shift_n, flags, ...options }: DebiasOptions,
): DebiasResult {
  const { scr, scr_random, effects, scorer } = debiasCurve(probes, texts, W_dec, options);
  const shift = (chosen: Iterable<number>): Shift => {
    const list = Array.from(chosen);
    const { scores, probe } = scorer.retrained(list);
    return { flags: list, ablated: scorer.ablated(list), retrained: scores, retrained_probe: probe.probe };
  };
  const random = (n: number): Shift => shift(randomFeatures(texts.codes, n, probes.sets.seed));
  const suggested = topFeatures(effects.spurious, SUGGESTED);
  const shift_suggested = shift(topFeatures(effects.spurious, shift_n));
  const shift_flagged = flags && flags.length > 0 ? shift(flags) : null;
  return {
    scr,
    scr_random,
    suggested: Array.from(suggested, (feature) => ({
      feature,
      effect: effects.spurious[feature]!,
      label_effect: effects.desired[feature]!,
    })),
    shift_suggested,
    shift_random: random(shift_suggested.flags.length),
    shift_flagged,
    shift_flagged_random: shift_flagged && random(shift_flagged.flags.length),
  };
}
