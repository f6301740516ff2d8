// Answers of the feature index in the shape that the feature browser shows.
import { distinctSequences } from "../features/distinctSequences.ts";
import type { FeatureDetail, FeatureSummary, SequenceBand } from "../features/featureIndex.ts";
import type { FeatureRow, FeatureDetail as ShownDetail } from "../protocol/featureBrowser.ts";

/** Tokens of a row; the index ranks more. */
const rowTokens = 5;

export function featureRow(
  feature: Omit<FeatureSummary, "tokens"> & Pick<FeatureSummary, "tokens">,
  tokens = rowTokens,
): FeatureRow {
  return {
    feature: feature.id,
    member: feature.member,
    index: feature.index,
    label: feature.annotation.label ?? "",
    labelSource: feature.annotation.label_source ?? null,
    note: feature.annotation.note ?? "",
    flagged: feature.annotation.flagged ?? false,
    tokens: feature.tokens.slice(0, tokens).map(({ text, count, mean, share }) => ({
      text,
      count,
      strength: feature.max > 0 ? mean / feature.max : 0,
      share,
    })),
    density: feature.density,
    max: feature.max,
    mean: feature.mean,
    histogram: [...feature.histogram.counts],
    foundIn: [...feature.found],
  };
}

export function featureDetail(
  detail: FeatureDetail,
  nearest: ReadonlyMap<number, FeatureSummary>,
  neuronpedia: string | null,
): ShownDetail {
  return {
    row: featureRow(detail, 16),
    neuronpedia,
    topLogits: detail.logits.top.map(({ text, logit }) => ({ text, value: logit })),
    bottomLogits: detail.logits.bottom.map(({ text, logit }) => ({ text, value: logit })),
    bands: detail.bands.map((band) => ({
      name: bandName(band),
      from: band.range[0],
      to: band.range[1],
      sequences: distinctSequences(band.sequences).map(({ sequence: { peak, tokens }, count }) => ({
        document: tokens[peak]?.document ?? -1,
        start: tokens[peak]?.start ?? 0,
        end: tokens[peak]?.end ?? 0,
        peak,
        count,
        tokens: tokens.map(({ text, activation }) => ({ text, value: activation })),
      })),
    })),
    neighbours: detail.nearest.flat().map(({ id, cosine }) => {
      const other = nearest.get(id)!;
      return {
        feature: id,
        member: other.member,
        index: other.index,
        cosine,
        label: other.annotation.label ?? "",
        tokens: other.tokens.slice(0, 3).map(({ text }) => text),
      };
    }),
  };
}

function bandName({ kind, quantiles: [from, to] }: SequenceBand): string {
  if (kind === "top") return "Top activations";
  const percent = (quantile: number) => `${Math.round(100 * quantile)}%`;
  return `Quantiles ${percent(from)} to ${percent(to)}`;
}
