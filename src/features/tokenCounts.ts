// Exact counts of (feature, token) pairs in bounded memory: a store by feature that goes to disk as a sorted run when it grows too large.
import type { CodesByFeature } from "./codeChunk.ts";
import { TokenCountRun } from "./tokenCountRun.ts";

/** Entries of all features side by side; `offsets` [features + 1] says where each feature's begin. */
export interface TokenEntries extends TokenLists {
  readonly offsets: Uint32Array;
}

interface TokenLists {
  readonly tokens: Uint32Array;
  readonly counts: Uint32Array;
  readonly sums: Float64Array;
  readonly maxima: Float32Array;
}

/** One feature's tokens: parallel arrays, valid until the next call. */
export interface FeatureTokens extends TokenLists {
  readonly length: number;
}

/**
 * Per feature and token: how often, sum (float64) and maximum. Never an estimate: where other indices keep heavy hitters,
 * this one adds up what it has, writes it to a temporary file if it is still too much, goes on empty, and adds everything
 * up at the end, feature by feature. Memory is about 2 · 20 bytes for each of at most `maxPairs` pairs.
 */
export class TokenCounts {
  readonly #features: number;
  readonly #maxPairs: number;
  readonly #folder: string;
  readonly #scratch: TokenScratch;
  readonly #runs: TokenCountRun[] = [];
  /** One a chunk, in the order of the text; a pair may stand in several. */
  #generations: TokenEntries[] = [];
  #held = 0;

  /** Runs are written into `folder`; `close` removes them. */
  constructor(features: number, vocabularySize: number, options: { maxPairs: number; folder: string }) {
    this.#features = features;
    this.#maxPairs = options.maxPairs;
    this.#folder = options.folder;
    this.#scratch = new TokenScratch(vocabularySize);
  }

  /** Runs on disk. */
  get runs(): number {
    return this.#runs.length;
  }

  /** Adds a chunk: features' activations in compressed columns, `tokens` the token of each position. */
  add(chunk: CodesByFeature, tokens: Uint32Array): void {
    const out = lists(chunk.offsets[this.#features]!);
    const offsets = new Uint32Array(this.#features + 1);
    for (let feature = 0; feature < this.#features; feature++) {
      this.#scratch.addActivations(chunk, tokens, chunk.offsets[feature]!, chunk.offsets[feature + 1]!);
      offsets[feature + 1] = this.#scratch.drain(out, offsets[feature]!);
    }
    this.#push(out, offsets);
    if (this.#held <= this.#maxPairs) return;
    this.#compact();
    // If adding up freed less than half, the next chunks would make it do so again and again.
    if (2 * this.#held > this.#maxPairs) this.#spill();
  }

  /** Visits every feature in order with all its tokens, in no particular order. */
  *byFeature(): Generator<FeatureTokens> {
    const scratch = this.#scratch;
    const readers = this.#runs.map((run) => run.read());
    let out = lists(1 << 10);
    for (let feature = 0; feature < this.#features; feature++) {
      // Oldest first, so that sums are added in the order of the text.
      for (const reader of readers) {
        const run = reader.next().value as FeatureTokens;
        scratch.addEntries(run, 0, run.length);
      }
      this.#gather(feature);
      if (scratch.length > out.tokens.length) out = lists(2 * scratch.length);
      const length = scratch.drain(out, 0);
      yield { length, ...out };
    }
  }

  close(): void {
    for (const run of this.#runs) run.remove();
    this.#runs.length = 0;
  }

  #gather(feature: number): void {
    for (const generation of this.#generations) {
      this.#scratch.addEntries(generation, generation.offsets[feature]!, generation.offsets[feature + 1]!);
    }
  }

  #compact(): void {
    const out = lists(this.#held);
    const offsets = new Uint32Array(this.#features + 1);
    for (let feature = 0; feature < this.#features; feature++) {
      this.#gather(feature);
      offsets[feature + 1] = this.#scratch.drain(out, offsets[feature]!);
    }
    this.#generations = [];
    this.#held = 0;
    this.#push(out, offsets);
  }

  #push(out: TokenLists, offsets: Uint32Array): void {
    const length = offsets[this.#features]!;
    this.#generations.push({
      offsets,
      tokens: out.tokens.slice(0, length),
      counts: out.counts.slice(0, length),
      sums: out.sums.slice(0, length),
      maxima: out.maxima.slice(0, length),
    });
    this.#held += length;
  }

  #spill(): void {
    this.#runs.push(TokenCountRun.write(this.#folder, this.#runs.length, this.#features, this.#generations[0]!));
    this.#generations = [];
    this.#held = 0;
  }
}

/** Sums by token for one feature at a time, in a record a token as long as the vocabulary: count, sum, maximum, side by side for the cache. */
class TokenScratch {
  readonly #records: Float64Array;
  /** Tokens seen, in the order in which they came. */
  readonly #seen: Uint32Array;
  length = 0;

  constructor(vocabularySize: number) {
    this.#records = new Float64Array(4 * vocabularySize);
    this.#seen = new Uint32Array(vocabularySize);
  }

  /** Adds entries [from, to) of another store. */
  addEntries(entries: TokenLists, from: number, to: number): void {
    const records = this.#records;
    for (let p = from; p < to; p++) {
      const token = entries.tokens[p]!;
      const at = 4 * token;
      if (records[at] === 0) this.#seen[this.length++] = token;
      records[at]! += entries.counts[p]!;
      records[at + 1]! += entries.sums[p]!;
      if (entries.maxima[p]! > records[at + 2]!) records[at + 2] = entries.maxima[p]!;
    }
  }

  /** Adds activations [from, to) of a chunk. */
  addActivations(chunk: CodesByFeature, tokens: Uint32Array, from: number, to: number): void {
    const { positions, values } = chunk;
    const records = this.#records;
    for (let p = from; p < to; p++) {
      const token = tokens[positions[p]!]!;
      const value = values[p]!;
      const at = 4 * token;
      if (records[at] === 0) this.#seen[this.length++] = token;
      records[at]! += 1;
      records[at + 1]! += value;
      if (value > records[at + 2]!) records[at + 2] = value;
    }
  }

  /** Writes the tokens at `at` and forgets them; where the next ones go. */
  drain(out: TokenLists, at: number): number {
    const records = this.#records;
    for (let s = 0; s < this.length; s++, at++) {
      const token = this.#seen[s]!;
      const from = 4 * token;
      out.tokens[at] = token;
      out.counts[at] = records[from]!;
      out.sums[at] = records[from + 1]!;
      out.maxima[at] = records[from + 2]!;
      records[from] = 0;
      records[from + 1] = 0;
      records[from + 2] = 0;
    }
    this.length = 0;
    return at;
  }
}

function lists(capacity: number): TokenLists {
  return {
    tokens: new Uint32Array(capacity),
    counts: new Uint32Array(capacity),
    sums: new Float64Array(capacity),
    maxima: new Float32Array(capacity),
  };
}
