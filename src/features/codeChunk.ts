// A stretch of codes, turned from rows of tokens into lists by feature, so that all work on a feature happens while its numbers are in cache.
import type { SparseCodes } from "../engine/engine.ts";

/** Codes of some counted tokens by feature (compressed columns). Positions ascend within a feature. */
export interface CodesByFeature {
  /** [features + 1] */
  readonly offsets: Uint32Array;
  /** Position of the token in the chunk. */
  readonly positions: Uint32Array;
  readonly values: Float32Array;
}

/** Collects rows of codes with what is known of each token, until they are many enough to be worth a pass over all features. */
export class CodeChunk {
  readonly #features: number;
  readonly #offsets: Uint32Array;
  readonly #cursor: Uint32Array;
  #indices = new Uint32Array(1 << 16);
  #values = new Float32Array(1 << 16);
  #rowEnds = new Uint32Array(1 << 12);
  #tokens = new Uint32Array(1 << 12);
  #windows = new Uint32Array(1 << 12);
  #places = new Uint32Array(1 << 12);
  #rows = 0;
  #entries = 0;
  #sortedPositions = new Uint32Array(0);
  #sortedValues = new Float32Array(0);

  constructor(features: number) {
    this.#features = features;
    this.#offsets = new Uint32Array(features + 1);
    this.#cursor = new Uint32Array(features);
  }

  /** Tokens held. */
  get rows(): number {
    return this.#rows;
  }

  /** Activations held. */
  get entries(): number {
    return this.#entries;
  }

  /** Token id of each position. */
  get tokens(): Uint32Array {
    return this.#tokens;
  }

  /** Window to which each position belongs, counted from the chunk's first. */
  get windows(): Uint32Array {
    return this.#windows;
  }

  /** Place of each position in its row of tokens, left-out tokens counted. */
  get places(): Uint32Array {
    return this.#places;
  }

  /** Adds row `row` of `codes` as the next position. */
  add(codes: SparseCodes, row: number, token: number, window: number, place: number): void {
    const from = codes.offsets[row]!;
    const to = codes.offsets[row + 1]!;
    const end = this.#entries + to - from;
    if (end > this.#indices.length) {
      const capacity = Math.max(end, 2 * this.#indices.length);
      this.#indices = grown(this.#indices, new Uint32Array(capacity));
      this.#values = grown(this.#values, new Float32Array(capacity));
    }
    if (this.#rows === this.#rowEnds.length) {
      const capacity = 2 * this.#rows;
      this.#rowEnds = grown(this.#rowEnds, new Uint32Array(capacity));
      this.#tokens = grown(this.#tokens, new Uint32Array(capacity));
      this.#windows = grown(this.#windows, new Uint32Array(capacity));
      this.#places = grown(this.#places, new Uint32Array(capacity));
    }
    for (let p = from, q = this.#entries; p < to; p++, q++) {
      this.#indices[q] = codes.indices[p]!;
      this.#values[q] = codes.values[p]!;
    }
    this.#tokens[this.#rows] = token;
    this.#windows[this.#rows] = window;
    this.#places[this.#rows] = place;
    this.#entries = end;
    this.#rowEnds[this.#rows++] = end;
  }

  /** The codes by feature (a counting sort). The arrays are reused by the next call. */
  byFeature(): CodesByFeature {
    const { length } = this.#indices;
    if (this.#sortedPositions.length < length) {
      this.#sortedPositions = new Uint32Array(length);
      this.#sortedValues = new Float32Array(length);
    }
    const offsets = this.#offsets.fill(0);
    const indices = this.#indices;
    for (let p = 0; p < this.#entries; p++) offsets[indices[p]! + 1]!++;
    for (let i = 0; i < this.#features; i++) offsets[i + 1]! += offsets[i]!;
    const cursor = this.#cursor;
    cursor.set(offsets.subarray(0, this.#features));
    const positions = this.#sortedPositions;
    const sorted = this.#sortedValues;
    const values = this.#values;
    const rowEnds = this.#rowEnds;
    for (let row = 0, p = 0; row < this.#rows; row++) {
      for (const end = rowEnds[row]!; p < end; p++) {
        const q = cursor[indices[p]!]!++;
        positions[q] = row;
        sorted[q] = values[p]!;
      }
    }
    return { offsets, positions, values: sorted };
  }

  clear(): void {
    this.#rows = 0;
    this.#entries = 0;
  }
}

function grown<T extends Uint32Array | Float32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
