// Features of a part of a text, ranked: by their sum, their maximum, or how much more they fire here than in the corpus; and of two texts, those that differ most.
import type { InspectedToken } from "./inspection.ts";

export type Ranking = "sum" | "max" | "specificity";

export interface FeatureHere {
  readonly feature: number;
  /** Tokens here on which it fires. */
  readonly count: number;
  readonly sum: number;
  readonly max: number;
  /**
   * −ln q · max/most, nats: q its density in the corpus (at least half a token), `most` its maximum there. How surprising it
   * is that it fires, weighted with how close it comes to its strongest.
   */
  readonly specificity: number;
}

/** What the index knows of a feature on the corpus. */
export interface CorpusStatistics {
  /** Share of tokens on which it fires. */
  readonly density: number;
  readonly max: number;
}

export interface Corpus {
  readonly tokens: number;
  of(feature: number): CorpusStatistics;
}

interface Totals {
  count: number;
  sum: number;
  max: number;
}

/** All features that fire on the tokens; special tokens don't count. Ties by feature. */
export function featuresHere(tokens: readonly InspectedToken[], ranking: Ranking, corpus: Corpus): FeatureHere[] {
  const leastDensity = 0.5 / Math.max(1, corpus.tokens);
  const list = [...totals(tokens)].map(([feature, here]) => {
    const { density, max } = corpus.of(feature);
    // A feature that never fired in the corpus, or never so strongly, is at its strongest here.
    const strength = here.max / Math.max(max, here.max);
    return { feature, ...here, specificity: -Math.log(Math.max(density, leastDensity)) * strength };
  });
  return list.sort((a, b) => b[ranking] - a[ranking] || a.feature - b.feature);
}

export interface FeatureDifference {
  readonly feature: number;
  /** Mean code over the tokens of each text. */
  readonly a: number;
  readonly b: number;
}

/** Features by how much their mean differs between two texts, the largest difference first. */
export function compareFeatures(a: readonly InspectedToken[], b: readonly InspectedToken[]): FeatureDifference[] {
  const [ofA, ofB] = [totals(a), totals(b)];
  const [nA, nB] = [a, b].map((tokens) => Math.max(1, tokens.filter(({ special }) => !special).length)) as [
    number,
    number,
  ];
  return [...new Set([...ofA.keys(), ...ofB.keys()])]
    .map((feature) => ({ feature, a: (ofA.get(feature)?.sum ?? 0) / nA, b: (ofB.get(feature)?.sum ?? 0) / nB }))
    .sort((x, y) => Math.abs(y.a - y.b) - Math.abs(x.a - x.b) || x.feature - y.feature);
}

function totals(tokens: readonly InspectedToken[]): Map<number, Totals> {
  const result = new Map<number, Totals>();
  for (const { special, features, values } of tokens) {
    if (special) continue;
    for (const [i, feature] of features.entries()) {
      const value = values[i]!;
      const known = result.get(feature) ?? { count: 0, sum: 0, max: 0 };
      result.set(feature, { count: known.count + 1, sum: known.sum + value, max: Math.max(known.max, value) });
    }
  }
  return result;
}
