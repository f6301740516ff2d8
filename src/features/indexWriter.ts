// Writes an index's tables in the order in which a build comes to know them. Computes nothing but ranks, bands, inverted lists and the order of clarity.
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setImmediate as eventLoopTurn } from "node:timers/promises";
import type { Tokenizer } from "../model/languageModel.ts";
import { bytesOf } from "./byteRecords.ts";
import { rankStoredFeatures } from "./clearestFeatures.ts";
import { searchableText } from "./contextSearch.ts";
import type { CorpusPass } from "./corpusPass.ts";
import type { MemberRange } from "./decoderRows.ts";
import { clearestColumn, FeatureColumns, type featureColumnNames, maxFeatures } from "./featureColumns.ts";
import type { NearestFeature } from "./featureIndex.ts";
import type { FeatureIndexOptions } from "./featureIndexOptions.ts";
import {
  packBands,
  packHistogram,
  packLogits,
  packNearest,
  packTokens,
  packWindow,
  type StoredLogit,
} from "./featureRecords.ts";
import { createIndexFile, finishIndexFile, type IndexMeta } from "./indexFile.ts";
import { foundCosine, isFound, tokenWord, windowBlock } from "./indexTables.ts";
import { type IndexRow, type IndexWindow, windowText } from "./indexWindows.ts";
import { InvertedLists } from "./invertedLists.ts";
import { sequenceBands } from "./sequenceBands.ts";
import { strongestTokens } from "./strongestTokens.ts";
import { TokenStatistics } from "./tokenStatistics.ts";

const turnEvery = 2048;

/** Call window*, features, nearest*, logits*, contexts, finish, close: in that order. */
export class IndexWriter {
  readonly #database: DatabaseSync;
  /** Windows as they come; only those that a sequence shows go into the index. */
  readonly #passing: DatabaseSync;
  readonly #members: readonly MemberRange[];
  readonly #options: FeatureIndexOptions;
  readonly #features: number;
  readonly #insertWindow: StatementSync;
  readonly #insertNearest: StatementSync;
  readonly #insertLogits: StatementSync;
  readonly #found: Uint16Array;
  readonly #windowFeatures = new InvertedLists();
  #windows = 0;

  constructor(path: string, passingPath: string, members: readonly MemberRange[], options: FeatureIndexOptions) {
    this.#members = members;
    this.#options = options;
    this.#features = members.reduce((sum, { size }) => sum + size, 0);
    if (this.#features > maxFeatures)
      throw new RangeError(`an index holds at most ${maxFeatures} features, not ${this.#features}`);
    this.#found = new Uint16Array(this.#features).fill(1);
    this.#passing = new DatabaseSync(passingPath);
    this.#passing.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
    this.#passing.exec("CREATE TABLE windows (id INTEGER PRIMARY KEY, tokens BLOB, text TEXT); BEGIN");
    this.#insertWindow = this.#passing.prepare("INSERT INTO windows VALUES (?, ?, ?)");
    this.#database = createIndexFile(path);
    this.#database.exec("BEGIN");
    this.#insertNearest = this.#database.prepare("INSERT INTO feature_nearest VALUES (?, ?)");
    this.#insertLogits = this.#database.prepare("INSERT INTO feature_logits VALUES (?, ?)");
  }

  window(number: number, row: IndexRow, window: IndexWindow, tokenizer: Tokenizer): void {
    this.#insertWindow.run(number, packWindow(row, window), windowText(row, window, tokenizer));
  }

  /** Everything of the pass over the text: columns, histograms, tokens and their inverse, sequences, vocabulary. */
  async features(
    pass: CorpusPass,
    tokenizer: Tokenizer,
    onProgress: (done: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const { moments } = pass;
    this.#column("count", moments.counts);
    this.#column("sum", moments.sums);
    this.#column("max", moments.maxima);
    this.#column(
      "mean",
      Float32Array.from(moments.counts, (count, i) => (count > 0 ? moments.sums[i]! / count : 0)),
    );
    const distinct = new Uint32Array(this.#features);
    const tokenFeatures = new InvertedLists();
    const insertFeature = this.#database.prepare("INSERT INTO features VALUES (?, ?, ?)");
    const insertSequences = this.#database.prepare("INSERT INTO feature_sequences VALUES (?, ?)");
    let feature = 0;
    for (const all of pass.tokens.byFeature()) {
      distinct[feature] = all.length;
      const tokens = strongestTokens(all, this.#options.tokensPerFeature);
      for (const token of tokens) tokenFeatures.add(token.id, feature, token.sum / moments.sums[feature]!);
      insertFeature.run(feature, packHistogram(moments.histogram(feature)), packTokens(tokens));
      const bands = sequenceBands(pass.sequences.topOf(feature), pass.sequences.sampleOf(feature), this.#options);
      for (const { windows } of bands) for (const { window } of windows) this.#windowFeatures.add(window, feature, 0);
      const stored = bands.map(({ windows, ...band }) => ({
        ...band,
        sequences: windows.map((sampled) => ({ ...sampled, ...pass.sequences.activations(sampled) })),
      }));
      insertSequences.run(feature, packBands(stored));
      feature++;
      if (feature % turnEvery === 0) {
        onProgress(feature);
        await eventLoopTurn();
        signal?.throwIfAborted();
      }
    }
    onProgress(feature);
    this.#column("distinctTokens", distinct);
    this.#vocabulary(pass.occurrences, tokenizer);
    const insertToken = this.#database.prepare("INSERT INTO token_features VALUES (?, ?, ?)");
    for (const { key, values, weights } of tokenFeatures.lists("by weight")) {
      insertToken.run(key, bytesOf(values), bytesOf(weights));
    }
  }

  nearest(feature: number, nearest: readonly (readonly NearestFeature[])[]): void {
    let found = 1;
    this.#members.forEach(({ first, size }, member) => {
      const own = feature >= first && feature < first + size;
      const best = nearest[member]?.[0];
      if (!own && best && isFound(best.cosine, foundCosine)) found++;
    });
    this.#found[feature] = found;
    this.#insertNearest.run(feature, packNearest(nearest));
  }

  logits(feature: number, top: readonly StoredLogit[], bottom: readonly StoredLogit[]): void {
    this.#insertLogits.run(feature, packLogits({ top, bottom }));
  }

  /** The windows that sequences show, their inverse and their text. */
  async contexts(onProgress: (done: number, total: number) => void, signal?: AbortSignal): Promise<void> {
    const select = this.#passing.prepare("SELECT tokens, text FROM windows WHERE id = ?");
    const insert = this.#database.prepare("INSERT INTO windows VALUES (?, ?)");
    const insertText = this.#database.prepare("INSERT INTO window_text (rowid, text) VALUES (?, ?)");
    const insertBlock = this.#database.prepare("INSERT INTO window_features VALUES (?, ?, ?)");
    const total = this.#windowFeatures.size;
    let block = 0;
    let counts = new Uint32Array(windowBlock);
    let features: Uint32Array[] = [];
    const finishBlock = () => {
      if (features.length > 0) insertBlock.run(block, bytesOf(counts), Buffer.concat(features.map(bytesOf)));
      counts = new Uint32Array(windowBlock);
      features = [];
    };
    for (const { key: id, values } of this.#windowFeatures.lists("as added")) {
      const { tokens, text } = select.get(id) as { tokens: Uint8Array; text: string };
      insert.run(id, tokens);
      insertText.run(id, searchableText(text));
      if (Math.floor(id / windowBlock) !== block) {
        finishBlock();
        block = Math.floor(id / windowBlock);
      }
      counts[id % windowBlock] = values.length;
      features.push(values);
      if (++this.#windows % turnEvery === 0) {
        onProgress(this.#windows, total);
        await eventLoopTurn();
        signal?.throwIfAborted();
      }
    }
    finishBlock();
    onProgress(this.#windows, total);
    this.#database.exec("INSERT INTO window_text (window_text) VALUES ('optimize')");
  }

  finish(meta: Pick<IndexMeta, "method" | "hook" | "modelName" | "tokens" | "source">): void {
    this.#column("found", this.#found);
    const whole = {
      ...meta,
      members: [...this.#members],
      features: this.#features,
      windows: this.#windows,
      foundCosine,
      options: { ...this.#options },
    };
    this.#clearest(whole);
    finishIndexFile(this.#database, whole);
    this.#database.exec("COMMIT");
    this.close();
  }

  close(): void {
    for (const database of [this.#database, this.#passing]) if (database.isOpen) database.close();
  }

  /** Kept, so that the list's default order is there as soon as the index is open. */
  #clearest(meta: IndexMeta): void {
    const columns = new FeatureColumns(this.#database, meta);
    const statistics = new TokenStatistics(this.#database, columns.sum);
    this.#column(clearestColumn, rankStoredFeatures(this.#database, columns, statistics, meta));
  }

  #column(
    name: (typeof featureColumnNames)[number] | typeof clearestColumn,
    values: Uint32Array | Float32Array | Float64Array | Uint16Array,
  ): void {
    this.#database.prepare("INSERT INTO feature_columns VALUES (?, ?)").run(name, bytesOf(values));
  }

  #vocabulary(occurrences: Uint32Array, tokenizer: Tokenizer): void {
    const insert = this.#database.prepare("INSERT INTO vocabulary VALUES (?, ?, ?, ?)");
    for (let id = 0; id < tokenizer.vocabularySize; id++) {
      const text = tokenizer.tokenText(id);
      insert.run(id, text, tokenWord(text), occurrences[id]!);
    }
  }
}
