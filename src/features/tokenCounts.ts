// Exact counts of (feature, token) pairs in bounded memory: a store by feature that goes to disk as a sorted run when it grows too large.
import { TokenCountRun } from "./tokenCountRun.ts";

/** Entries of all features side by side; `offsets` [features + 1] says where each feature's begin. */
export interface TokenEntries {
  offsets: Float64Array;
  tokens: Uint32Array;
  counts: Uint32Array;
  sums: Float64Array;
  maxima: Float32Array;
}

/** One feature's tokens: parallel arrays, valid until the next call. */
export interface FeatureTokens {
  readonly length: number;
  readonly tokens: Uint32Array;
  readonly counts: Uint32Array;
  readonly sums: Float64Array;
  readonly maxima: Float32Array;
}

/**
 * Per feature and token: how often, sum (float64, in the order of the text) and maximum. Never an estimate: where other
 * indices keep heavy hitters, this one writes what it has to a temporary file, goes on empty, and adds the files up at
 * the end, feature by feature. Memory is about 2 · 20 bytes for each of at most `maxPairs` pairs.
 */
export class TokenCounts {
  readonly #features: number;
  readonly #maxPairs: number;
  readonly #folder: string;
  readonly #scratch: TokenScratch;
  readonly #runs: TokenCountRun[] = [];
  #now: TokenEntries;
  #next: TokenEntries;
  #length = 0;

  /** Runs are written into `folder`; `close` removes them. */
  constructor(features: number, vocabularySize: number, options: { maxPairs: number; folder: string }) {
    this.#features = features;
    this.#maxPairs = options.maxPairs;
    this.#folder = options.folder;
    this.#scratch = new TokenScratch(vocabularySize);
    this.#now = entries(features, 1 << 16);
    this.#next = entries(features, 1 << 16);
  }

  /** Pairs held in memory. */
  get pairs(): number {
    return this.#length;
  }

  /** Runs on disk. */
  get runs(): number {
    return this.#runs.length;
  }

  /** Adds a chunk: features' activations in compressed columns, `tokens` the token of each position. */
  add(
    chunk: { offsets: Uint32Array; positions: Uint32Array; values: Float32Array },
    tokens: Uint32Array,
    onFeature?: (feature: number, from: number, to: number) => void,
  ): void {
    const old = this.#now;
    const next = withCapacity(this.#next, this.#features, this.#length + chunk.offsets[this.#features]!);
    const scratch = this.#scratch;
    let length = 0;
    for (let feature = 0; feature < this.#features; feature++) {
      next.offsets[feature] = length;
      const from = chunk.offsets[feature]!;
      const to = chunk.offsets[feature + 1]!;
      const oldFrom = old.offsets[feature]!;
      const oldTo = old.offsets[feature + 1]!;
      if (from === to) {
        copy(old, oldFrom, oldTo, next, length);
        length += oldTo - oldFrom;
        continue;
      }
      onFeature?.(feature, from, to);
      for (let p = oldFrom; p < oldTo; p++) {
        scratch.add(old.tokens[p]!, old.counts[p]!, old.sums[p]!, old.maxima[p]!);
      }
      scratch.addAll(chunk, tokens, from, to);
      length = scratch.drain(next, length);
    }
    next.offsets[this.#features] = length;
    this.#now = next;
    this.#next = old;
    this.#length = length;
    if (length > this.#maxPairs) this.#spill();
  }

  /** Visits every feature in order with all its tokens, in no particular order. */
  *byFeature(): Generator<FeatureTokens> {
    const scratch = this.#scratch;
    const readers = this.#runs.map((run) => run.read());
    let out = entries(0, 1 << 10);
    for (let feature = 0; feature < this.#features; feature++) {
      // Oldest run first, so that sums are added in the order of the text.
      for (const reader of readers) {
        const run = reader.next().value as FeatureTokens;
        for (let p = 0; p < run.length; p++) {
          scratch.add(run.tokens[p]!, run.counts[p]!, run.sums[p]!, run.maxima[p]!);
        }
      }
      const now = this.#now;
      for (let p = now.offsets[feature]!, end = now.offsets[feature + 1]!; p < end; p++) {
        scratch.add(now.tokens[p]!, now.counts[p]!, now.sums[p]!, now.maxima[p]!);
      }
      if (scratch.length > out.tokens.length) out = entries(0, 2 * scratch.length);
      const length = scratch.drain(out, 0);
      yield { length, tokens: out.tokens, counts: out.counts, sums: out.sums, maxima: out.maxima };
    }
  }

  close(): void {
    for (const run of this.#runs) run.remove();
    this.#runs.length = 0;
  }

  #spill(): void {
    this.#runs.push(TokenCountRun.write(this.#folder, this.#runs.length, this.#features, this.#now));
    this.#now.offsets.fill(0);
    this.#length = 0;
  }
}

/** Sums by token for one feature at a time, in arrays as long as the vocabulary. */
class TokenScratch {
  readonly #counts: Uint32Array;
  readonly #sums: Float64Array;
  readonly #maxima: Float32Array;
  /** Tokens seen, in the order in which they came. */
  readonly #seen: Uint32Array;
  length = 0;

  constructor(vocabularySize: number) {
    this.#counts = new Uint32Array(vocabularySize);
    this.#sums = new Float64Array(vocabularySize);
    this.#maxima = new Float32Array(vocabularySize);
    this.#seen = new Uint32Array(vocabularySize);
  }

  add(token: number, count: number, sum: number, maximum: number): void {
    if (this.#counts[token] === 0) this.#seen[this.length++] = token;
    this.#counts[token]! += count;
    this.#sums[token]! += sum;
    if (maximum > this.#maxima[token]!) this.#maxima[token] = maximum;
  }

  addAll(chunk: { positions: Uint32Array; values: Float32Array }, tokens: Uint32Array, from: number, to: number): void {
    const { positions, values } = chunk;
    for (let p = from; p < to; p++) {
      const value = values[p]!;
      this.add(tokens[positions[p]!]!, 1, value, value);
    }
  }

  /** Writes the tokens at `at` and forgets them; where the next ones go. */
  drain(out: TokenEntries, at: number): number {
    for (let s = 0; s < this.length; s++, at++) {
      const token = this.#seen[s]!;
      out.tokens[at] = token;
      out.counts[at] = this.#counts[token]!;
      out.sums[at] = this.#sums[token]!;
      out.maxima[at] = this.#maxima[token]!;
      this.#counts[token] = 0;
      this.#sums[token] = 0;
      this.#maxima[token] = 0;
    }
    this.length = 0;
    return at;
  }
}

function entries(features: number, capacity: number): TokenEntries {
  return {
    offsets: new Float64Array(features + 1),
    tokens: new Uint32Array(capacity),
    counts: new Uint32Array(capacity),
    sums: new Float64Array(capacity),
    maxima: new Float32Array(capacity),
  };
}

function withCapacity(held: TokenEntries, features: number, capacity: number): TokenEntries {
  return held.tokens.length >= capacity ? held : entries(features, Math.ceil(1.5 * capacity));
}

function copy(from: TokenEntries, start: number, end: number, to: TokenEntries, at: number): void {
  if (end === start) return;
  to.tokens.set(from.tokens.subarray(start, end), at);
  to.counts.set(from.counts.subarray(start, end), at);
  to.sums.set(from.sums.subarray(start, end), at);
  to.maxima.set(from.maxima.subarray(start, end), at);
}
