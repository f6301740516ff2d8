// One pass over a text's codes: everything an index knows of features that comes from the text. Rows of tokens and their codes in, statistics and chosen sequences out.
import type { SparseCodes } from "../engine/engine.ts";
import { CodeChunk } from "./codeChunk.ts";
import { FeatureMoments } from "./featureMoments.ts";
import { cutIntoWindows, type IndexRow, type IndexWindow } from "./indexWindows.ts";
import { SequenceSampler, type WindowActivations } from "./sequenceSampler.ts";
import { TokenCounts } from "./tokenCounts.ts";

export interface CorpusPassOptions {
  readonly features: number;
  readonly vocabularySize: number;
  /** Token ids that are shown in contexts but counted nowhere. */
  readonly excludedIds: ReadonlySet<number>;
  readonly windowTokens: number;
  readonly leadTokens: number;
  /** Strongest windows kept of a feature. */
  readonly top: number;
  /** Windows in the uniform sample of a feature. */
  readonly sample: number;
  readonly seed: number;
  /** A pass over all features waits for this many activations. */
  readonly chunkActivations: number;
  /** (feature, token) pairs held in memory before they go to disk. */
  readonly maxPairs: number;
  /** Folder for temporary files. */
  readonly folder: string;
  /** Every window, as it comes. */
  readonly onWindow: (number: number, row: IndexRow, window: IndexWindow) => void;
}

/** Results depend on the rows alone, not on how they were batched: chunks end at rows, by what they hold. */
export class CorpusPass {
  readonly moments: FeatureMoments;
  readonly tokens: TokenCounts;
  readonly sequences: SequenceSampler;
  /** How often each token of the vocabulary was counted. */
  readonly occurrences: Uint32Array;
  readonly #options: CorpusPassOptions;
  readonly #chunk: CodeChunk;
  #chunkWindows: IndexWindow[] = [];
  #windows = 0;
  #counted = 0;

  constructor(options: CorpusPassOptions) {
    this.#options = options;
    this.moments = new FeatureMoments(options.features);
    this.tokens = new TokenCounts(options.features, options.vocabularySize, options);
    this.sequences = new SequenceSampler(options.features, options);
    this.occurrences = new Uint32Array(options.vocabularySize);
    this.#chunk = new CodeChunk(options.features);
  }

  /** Tokens counted so far. */
  get counted(): number {
    return this.#counted;
  }

  /** Windows so far. */
  get windows(): number {
    return this.#windows;
  }

  /**
   * Adds a row; `codes` from `firstCode` on holds one row of codes for each of its counted tokens. Returns how many those are. Throws
   * RangeError for an activation that is no finite number.
   */
  add(row: IndexRow, codes: SparseCodes, firstCode: number): number {
    const { windowTokens, leadTokens, excludedIds } = this.#options;
    let code = firstCode;
    for (const window of cutIntoWindows(row.ids.length, windowTokens, leadTokens)) {
      this.#options.onWindow(this.#windows, row, window);
      for (let t = window.own; t < window.to; t++) {
        const id = row.ids[t]!;
        if (excludedIds.has(id)) continue;
        this.occurrences[id]!++;
        this.#requireFinite(codes, code);
        this.#chunk.add(codes, code++, id, this.#chunkWindows.length, t);
      }
      this.#chunkWindows.push(window);
      this.#windows++;
    }
    this.#counted += code - firstCode;
    if (this.#chunk.entries >= this.#options.chunkActivations) this.flush();
    return code - firstCode;
  }

  /** Works through what is held; call it once after the last row. */
  flush(): void {
    const chunk = this.#chunk.byFeature();
    const on: WindowActivations = {
      window: 0,
      maximum: 0,
      peak: 0,
      positions: chunk.positions,
      values: chunk.values,
      from: 0,
      to: 0,
      places: this.#chunk.places,
      origin: 0,
    };
    const { offsets, positions, values } = chunk;
    const { windows: windowOf, places } = this.#chunk;
    const origins = Uint32Array.from(this.#chunkWindows, ({ from }) => from);
    const firstWindow = this.#windows - this.#chunkWindows.length;
    this.tokens.add(chunk, this.#chunk.tokens);
    for (let feature = 0; feature < this.#options.features; feature++) {
      const from = offsets[feature]!;
      const to = offsets[feature + 1]!;
      this.moments.add(feature, values, from, to);
      for (let p = from; p < to; ) {
        const local = windowOf[positions[p]!]!;
        const own = p;
        let peak = p;
        let maximum = values[p]!;
        for (p++; p < to && windowOf[positions[p]!]! === local; p++) {
          const value = values[p]!;
          if (value <= maximum) continue;
          maximum = value;
          peak = p;
        }
        const origin = origins[local]!;
        on.window = firstWindow + local;
        on.maximum = maximum;
        on.peak = places[positions[peak]!]! - origin;
        on.from = this.#leadStart(positions, own, from, local, origin);
        on.to = p;
        on.origin = origin;
        this.sequences.offer(feature, on);
      }
    }
    this.#chunk.clear();
    this.#chunkWindows = [];
  }

  /** Removes temporary files. */
  close(): void {
    this.tokens.close();
  }

  /** Of the window that is being added. */
  #requireFinite({ offsets, indices, values }: SparseCodes, code: number): void {
    for (let p = offsets[code]!; p < offsets[code + 1]!; p++) {
      if (values[p]! < Number.POSITIVE_INFINITY) continue;
      throw new RangeError(
        `feature ${indices[p]}, window ${this.#windows} of the text: found the activation ${values[p]}, expected a finite number: the model or the ensemble computes what is none`,
      );
    }
  }

  /** First entry at or after `first` that lies in the window's lead (activations that belong to the window before, in the same row). */
  #leadStart(positions: Uint32Array, own: number, first: number, window: number, origin: number): number {
    const start = this.#chunkWindows[window]!;
    if (start.from === start.own) return own;
    let p = own;
    while (
      p > first &&
      this.#chunk.windows[positions[p - 1]!]! === window - 1 &&
      this.#chunk.places[positions[p - 1]!]! >= origin
    ) {
      p--;
    }
    return p;
  }
}
