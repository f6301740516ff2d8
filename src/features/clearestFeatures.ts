// Which features are easiest to understand at a glance: a ranking for demonstrations and first looks, not a measure of quality.
import type { FeatureIndex, FeatureSummary, TokenStatistic } from "./featureIndex.ts";
import { tokenWord } from "./indexTables.ts";

export interface ClearFeature {
  readonly feature: FeatureSummary;
  /** From 0 to 1. */
  readonly clarity: number;
  /** Words it stands for, strongest first, up to three. */
  readonly words: readonly string[];
}

/** Features that fire less often tell too little, those on more than this share of tokens too much. */
const leastCount = 10;
const largestDensity = 0.03;
const readable = /\p{L}[\p{L}\p{M}]{2}|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const wordsConsidered = 3;
const batch = 1000;

/**
 * The n clearest features. Clarity is the product of
 * - concentration: the share of the feature's mass on its three strongest words (tokens that differ in case or surrounding space are one word);
 * - √reliability: on which share of these words' occurrences it fires;
 * - √contrast, contrast = 1 − mean/max: strong peaks stand out from weak firing;
 * - stability: ½ + ½ · (members in which it was found / members);
 * - evidence: count/(count + leastCount).
 * Considered are features that fired at least 10 times, on at most 3% of the tokens, and whose strongest word has at least
 * three letters (or is of a script that writes words with one), since pieces of words say little to a reader. Of features
 * with the same strongest word only the clearest is taken, so that ten features show ten things.
 */
export function clearestFeatures(index: Pick<FeatureIndex, "info" | "ids" | "summaries">, n: number): ClearFeature[] {
  const ids = index.ids({
    filter: { alive: true, minDensity: leastCount / Math.max(1, index.info.tokens), maxDensity: largestDensity },
  });
  const best = new Map<string, ClearFeature>();
  for (let from = 0; from < ids.length; from += batch) {
    for (const feature of index.summaries([...ids.subarray(from, from + batch)])) {
      const clear = clarityOf(feature);
      const word = clear.words[0];
      if (word === undefined || !readable.test(word)) continue;
      if (clear.clarity > (best.get(word)?.clarity ?? 0)) best.set(word, clear);
    }
  }
  return [...best.values()].sort((a, b) => b.clarity - a.clarity || a.feature.id - b.feature.id).slice(0, n);
}

function clarityOf(feature: FeatureSummary): ClearFeature {
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
  const members = feature.found.length;
  const found = feature.found.filter((is) => is).length;
  const clarity =
    share(tokens) *
    Math.sqrt(fired / Math.max(1, occurrences)) *
    Math.sqrt(1 - feature.mean / feature.max) *
    (0.5 + (0.5 * found) / members) *
    (feature.count / (feature.count + leastCount));
  return { feature, clarity, words: strongest.map(([word]) => word) };
}
