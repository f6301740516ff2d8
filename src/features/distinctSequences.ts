// Sequences for a short list: what is the same to the model is there once.
import type { FeatureSequence } from "./featureIndex.ts";

export interface DistinctSequence {
  readonly sequence: FeatureSequence;
  /** How many of the sequences are the same up to the peak. */
  readonly count: number;
}

/** In the same order, each with those behind it that have the same tokens up to the peak: a model reads nothing behind it. */
export function distinctSequences(sequences: readonly FeatureSequence[]): DistinctSequence[] {
  const found = new Map<string, { sequence: FeatureSequence; count: number }>();
  for (const sequence of sequences) {
    const read = sequence.tokens.slice(0, sequence.peak + 1).map(({ id }) => id);
    const known = found.get(read.join());
    if (known) known.count++;
    else found.set(read.join(), { sequence, count: 1 });
  }
  return [...found.values()];
}
