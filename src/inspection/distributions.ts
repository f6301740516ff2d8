// Next-token distributions from logits: the most probable tokens, two distributions beside each other, and a seeded draw.
import { divergence, logSumExp } from "../evaluation/nextTokenLosses.ts";

export interface TokenProbability {
  readonly id: number;
  readonly probability: number;
}

export interface ChangedProbability {
  readonly id: number;
  readonly original: number;
  readonly changed: number;
}

export interface DistributionChange {
  /** The most probable tokens of either, by the larger of their two probabilities. */
  readonly tokens: readonly ChangedProbability[];
  /** KL(original ‖ changed), nats. */
  readonly kl: number;
  /** The tokens whose probability rises and falls most; null where nothing does. */
  readonly gains: ChangedProbability | null;
  readonly loses: ChangedProbability | null;
}

export function probabilities(logits: Float32Array): Float64Array {
  const normaliser = logSumExp(logits, 0, logits.length);
  return Float64Array.from(logits, (logit) => Math.exp(logit - normaliser));
}

/** The `count` largest, ties by id. */
export function mostProbable(values: Float64Array, count: number): TokenProbability[] {
  const kept: number[] = [];
  for (let id = 0; id < values.length; id++) {
    if (kept.length === count && !(values[id]! > values[kept[count - 1]!]!)) continue;
    let at = Math.min(kept.length, count - 1);
    for (; at > 0 && values[kept[at - 1]!]! < values[id]!; at--) kept[at] = kept[at - 1]!;
    kept[at] = id;
  }
  return kept.map((id) => ({ id, probability: values[id]! }));
}

/** Two distributions over the same tokens, from their logits. */
export function distributionChange(original: Float32Array, changed: Float32Array, count: number): DistributionChange {
  const [before, after] = [probabilities(original), probabilities(changed)];
  const at = (id: number): ChangedProbability => ({ id, original: before[id]!, changed: after[id]! });
  const ids = new Set([...mostProbable(before, count), ...mostProbable(after, count)].map(({ id }) => id));
  let [gains, loses] = [-1, -1];
  let [most, least] = [0, 0];
  for (let id = 0; id < before.length; id++) {
    const change = after[id]! - before[id]!;
    if (change > most) [most, gains] = [change, id];
    if (change < least) [least, loses] = [change, id];
  }
  const side = (logits: Float32Array) => ({ logits, at: 0, logNormaliser: logSumExp(logits, 0, logits.length) });
  return {
    tokens: [...ids]
      .map(at)
      .sort((a, b) => Math.max(b.original, b.changed) - Math.max(a.original, a.changed) || a.id - b.id)
      .slice(0, count),
    kl: original === changed ? 0 : Math.max(0, divergence(side(original), side(changed), original.length)),
    gains: gains < 0 ? null : at(gains),
    loses: loses < 0 ? null : at(loses),
  };
}

/** A token drawn at a temperature by `uniform` in [0, 1); the most probable one at temperature 0. */
export function drawToken(logits: Float32Array, temperature: number, uniform: number): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  if (temperature === 0) return best;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - logits[best]!) / temperature));
  let left = uniform * weights.reduce((sum, weight) => sum + weight, 0);
  for (let id = 0; id < weights.length; id++) {
    left -= weights[id]!;
    if (left < 0) return id;
  }
  return best;
}
