// Which features are easiest to understand at a glance: a ranking for demonstrations and first looks, not a measure of quality.
import type { DatabaseSync } from "node:sqlite";
import type { FeatureColumns } from "./featureColumns.ts";
import type { FeatureIndexInfo, FeatureSummary, TokenStatistic } from "./featureIndex.ts";
import { unpackTokens } from "./featureRecords.ts";
import { tokenWord } from "./indexTables.ts";
import { summaryTokens, type TokenStatistics } from "./tokenStatistics.ts";

/** A feature as the ranking sees it. */
export interface FeatureGist extends Pick<FeatureSummary, "id" | "count" | "mean" | "max" | "tokens"> {
  /** In how many members it was found, its own among them. */
  readonly foundIn: number;
}

export interface RankedFeature {
  readonly id: number;
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
/** Bytes that hold at least the number and the first `summaryTokens` of a record of tokens (packTokens). */
const gistBytes = 5 + summaryTokens * 22;

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
export function clarityRanking(features: Iterable<FeatureGist>, tokens: number, members: number): RankedFeature[] {
  const best = new Map<string, RankedFeature>();
  for (const feature of features) {
    if (!isConsidered(feature.count, tokens)) continue;
    const clear = clarityOf(feature, members);
    const word = clear.words[0];
    if (word === undefined || !readable.test(word)) continue;
    if (clear.clarity > (best.get(word)?.clarity ?? 0)) best.set(word, clear);
  }
  return [...best.values()].sort((a, b) => b.clarity - a.clarity || a.id - b.id);
}

/** The ranking over an index's tables, for the index to keep: a walk through all features, up to seconds where they are many. */
export function rankStoredFeatures(
  database: DatabaseSync,
  columns: FeatureColumns,
  statistics: TokenStatistics,
  { tokens, members }: Pick<FeatureIndexInfo, "tokens" | "members">,
): Uint32Array {
  const { count, mean, max, found } = columns;
  function* gists(): Generator<FeatureGist> {
    // One walk through the table, taking the beginnings of the records, is much quicker than a question for each.
    const walk = database.prepare(`SELECT id, substr(tokens, 1, ${gistBytes}) AS tokens FROM features ORDER BY id`);
    for (const row of walk.iterate()) {
      const { id, tokens: record } = row as { id: number; tokens: Uint8Array };
      if (!isConsidered(count[id]!, tokens)) continue;
      const strongest = statistics.of(id, unpackTokens(record, summaryTokens));
      yield { id, count: count[id]!, mean: mean[id]!, max: max[id]!, foundIn: found[id]!, tokens: strongest };
    }
  }
  return Uint32Array.from(clarityRanking(gists(), tokens, members.length), ({ id }) => id);
}

function isConsidered(count: number, tokens: number): boolean {
  return count >= leastCount && count / tokens <= largestDensity;
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
