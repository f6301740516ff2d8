// Which features are easiest to understand at a glance: a ranking for demonstrations and first looks, not a measure of quality.
import type { FeatureGist, FeatureIndex, FeatureSummary, TokenStatistic } from "./featureIndex.ts";
import { tokenWord } from "./indexTables.ts";

interface Clear {
  /** From 0 to 1. */
  readonly clarity: number;
  /** Words it stands for, strongest first, up to three. */
  readonly words: readonly string[];
}

export interface ClearFeature extends Clear {
  readonly feature: FeatureSummary;
}

export interface RankedFeature extends Clear {
  readonly id: number;
}

/** Features that fire less often tell too little, those on more than this share of tokens too much. */
const leastCount = 10;
const largestDensity = 0.03;
const readable = /\p{L}[\p{L}\p{M}]{2}|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const wordsConsidered = 3;

/** The n clearest features, as `clarityRanking` has them. */
export function clearestFeatures(
  index: Pick<FeatureIndex, "info" | "ids" | "gists" | "summaries">,
  n: number,
): ClearFeature[] {
  const ranked = clarityRanking(index).slice(0, n);
  const features = index.summaries(ranked.map(({ id }) => id));
  return ranked.map(({ clarity, words }, i) => ({ feature: features[i]!, clarity, words }));
}

/**
 * Features from the clearest on. Clarity is the product of
 * - concentration: the share of the feature's mass on its three strongest words (tokens that differ in case or surrounding space are one word);
 * - √reliability: on which share of these words' occurrences it fires;
 * - √contrast, contrast = 1 − mean/max: strong peaks stand out from weak firing;
 * - stability: ½ + ½ · (members in which it was found / members);
 * - evidence: count/(count + leastCount).
 * Considered are features that fired at least 10 times, on at most 3% of the tokens, and whose strongest word has at least
 * three letters (or is of a script that writes words with one), since pieces of words say little to a reader. Of features
 * with the same strongest word only the clearest is taken, so that ten features show ten things.
 */
export function clarityRanking(index: Pick<FeatureIndex, "info" | "ids" | "gists">): RankedFeature[] {
  const { tokens, members } = index.info;
  const ids = index.ids({
    filter: { alive: true, minDensity: leastCount / Math.max(1, tokens), maxDensity: largestDensity },
  });
  const best = new Map<string, RankedFeature>();
  for (const feature of index.gists(ids)) {
    const clear = clarityOf(feature, members.length);
    const word = clear.words[0];
    if (word === undefined || !readable.test(word)) continue;
    if (clear.clarity > (best.get(word)?.clarity ?? 0)) best.set(word, clear);
  }
  return [...best.values()].sort((a, b) => b.clarity - a.clarity || a.id - b.id);
}

function clarityOf(feature: FeatureGist, members: number): RankedFeature {
  const words = new Map<string, TokenStatistic[]>();
  for (const token of feature.tokens) {
    const word = tokenWord(token.text);
    words.set(word, [...(words.get(word) ?? []), token]);
  }
  const share = (tokens: readonly TokenStatistic[]) => tokens.reduce((sum, token) => sum + token.share, 0);
  const strongest = [...words].sort((a, b) => share(b[1]) - share(a[1])).slice(0, wordsConsidered);
  const tokens = strongest.flatMap(([, list]) => list);
  const occurrences = tokens.reduce((sum, token) => sum + token.occurrences, 0);
  const fired = tokens.reduce((sum, token) => sum + token.count, 0);
  const clarity =
    share(tokens) *
    Math.sqrt(fired / Math.max(1, occurrences)) *
    Math.sqrt(1 - feature.mean / feature.max) *
    (0.5 + (0.5 * feature.foundIn) / members) *
    (feature.count / (feature.count + leastCount));
  return { id: feature.id, clarity, words: strongest.map(([word]) => word) };
}
