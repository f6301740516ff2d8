// What fires on a text, in words: for a terminal, and for a language model that is asked about it.
import type { FeatureIndex, FeatureSummary } from "../features/featureIndex.ts";
import { featuresHere, type Ranking } from "./featuresHere.ts";
import type { InspectedToken, Inspection } from "./inspection.ts";

/** Tokens named of a feature, of the corpus and of the text each. */
const NAMED = 5;

/** The features of a text that stand out, a line each. */
export async function describeText(
  inspection: Inspection,
  index: FeatureIndex,
  text: string,
  { ranking, count }: { ranking: Ranking; count: number },
  signal?: AbortSignal,
): Promise<string> {
  const { tokens } = await inspection.readFeatures(text, signal);
  const features = featuresHere(tokens, ranking, {
    of: (feature) => index.statistics(feature),
    tokens: index.info.tokens,
  });
  const how = {
    sum: "by their sum",
    max: "by their maximum",
    specificity: "by how rare they are in the corpus and how strongly they fire here",
  }[ranking];
  const shown = features.slice(0, count);
  const summaries = index.summaries(shown.map(({ feature }) => feature));
  const lines = shown.map(({ feature, count, max }, i) => {
    const summary = summaries[i]!;
    const here = tokensHere(inspection, text, tokens, feature);
    return `- ${featureTitle(summary)}: on ${count} of ${tokens.length} tokens here (${here}), at most ${max.toPrecision(3)} (in the corpus at most ${summary.max.toPrecision(3)}); fires on ${(100 * summary.density).toPrecision(2)}% of the corpus' tokens, in ${summary.found.filter(Boolean).length} of ${summary.found.length} SAEs`;
  });
  return [
    `${tokens.length} tokens read by ${inspection.modelName} at ${inspection.ensemble.hook} through ${inspection.ensemble.members.length} sparse autoencoder${inspection.ensemble.members.length === 1 ? "" : "s"} (${inspection.ensemble.method}).`,
    `${shown.length} of the ${features.length} features that fire, ${how}; each is named by member/index, its label or the tokens that fire it most in the corpus:`,
    ...lines,
  ].join("\n");
}

/** `2/1047 "pronouns" (she, her, herself)` */
export function featureTitle({ member, index, annotation, tokens }: FeatureSummary): string {
  const label = annotation.label ? ` "${annotation.label}"` : "";
  const named = tokens.slice(0, NAMED).map(({ text }) => JSON.stringify(text));
  return `${member}/${index}${label} (${named.join(", ")})`;
}

function tokensHere({ model }: Inspection, text: string, tokens: readonly InspectedToken[], feature: number): string {
  const firing = tokens
    .filter(({ features }) => features.includes(feature))
    .map(({ id, start, end }) => JSON.stringify(end > start ? text.slice(start, end) : model.tokenizer.tokenText(id)));
  return [...new Set(firing)].slice(0, NAMED).join(", ");
}
