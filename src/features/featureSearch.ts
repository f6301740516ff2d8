// Searches that need more than a feature's own numbers: by token, by pattern, by text of contexts, by label. Each answers with the features it finds.
import type { DatabaseSync } from "node:sqlite";
import { phraseQuery, searchableText } from "./contextSearch.ts";
import type { FeatureAnnotation, FeatureFilter, TokenMatch, VocabularyToken } from "./featureIndex.ts";
import { tokenWord, windowBlock } from "./indexTables.ts";
import { matchingTexts } from "./tokenPattern.ts";

/** Features that a search finds. */
export interface SearchResult {
  /** 1 for each feature found, [features]. */
  readonly found: Uint8Array;
  /** Share of each feature's mass on the tokens searched for; null where no token was. */
  readonly relevance: Float32Array | null;
}

/** Results of the last searches are kept, since a list asks for page after page of the same one. */
const keptResults = 16;

export class FeatureSearch {
  readonly #database: DatabaseSync;
  readonly #features: number;
  readonly #results = new Map<string, SearchResult>();
  #annotations: ReadonlyMap<number, FeatureAnnotation> = new Map();
  #windowFeatures: { offsets: Uint32Array; features: Uint32Array } | undefined;
  #rankedTokens: { ids: number[]; texts: string[] } | undefined;

  constructor(database: DatabaseSync, features: number) {
    this.#database = database;
    this.#features = features;
    database.exec("PRAGMA temp_store = MEMORY");
    database.exec("CREATE VIRTUAL TABLE temp.labels USING fts5(text, tokenize = 'unicode61 remove_diacritics 2')");
  }

  /** What passes all the filter's searches; null if it has none. */
  run(filter: FeatureFilter): SearchResult | null {
    const { token, tokenPattern, text, label } = filter;
    if (token === undefined && tokenPattern === undefined && text === undefined && label === undefined) return null;
    const key = JSON.stringify([token, tokenPattern, text, label]);
    const known = this.#results.get(key);
    if (known) return known;
    const parts: SearchResult[] = [];
    if (token !== undefined) {
      const ids = "id" in token ? [token.id] : this.tokens(token.text, token.match).map(({ id }) => id);
      parts.push(this.#onTokens(ids));
    }
    if (tokenPattern !== undefined) parts.push(this.#onTokens(this.#matchingTokens(tokenPattern)));
    if (text !== undefined) parts.push(this.#inContexts(text));
    if (label !== undefined) parts.push(this.#inLabels(label));
    const result = parts.length === 1 ? parts[0]! : intersection(parts, this.#features);
    this.#results.set(key, result);
    if (this.#results.size > keptResults) this.#results.delete(this.#results.keys().next().value!);
    return result;
  }

  tokens(text: string, match: TokenMatch): VocabularyToken[] {
    const column = match === "exact" ? "text" : "word";
    return this.#database
      .prepare(`SELECT id, text, occurrences FROM vocabulary WHERE ${column} = ? ORDER BY occurrences DESC, id`)
      .all(match === "exact" ? text : tokenWord(text)) as unknown as VocabularyToken[];
  }

  /** Brings the index of labels and notes up to date with what changed. */
  setAnnotations(annotations: ReadonlyMap<number, FeatureAnnotation>): void {
    const remove = this.#database.prepare("DELETE FROM temp.labels WHERE rowid = ?");
    const insert = this.#database.prepare("INSERT INTO temp.labels (rowid, text) VALUES (?, ?)");
    const written = (annotation?: FeatureAnnotation) =>
      [annotation?.label, annotation?.note].filter((part) => part).join("\n");
    for (const id of new Set([...this.#annotations.keys(), ...annotations.keys()])) {
      const before = written(this.#annotations.get(id));
      const after = written(annotations.get(id));
      if (before === after) continue;
      if (before) remove.run(id);
      if (after) insert.run(id, searchableText(after));
    }
    this.#annotations = new Map(annotations);
    this.#results.clear();
  }

  /** Features that rank one of the tokens, with the shares added up. */
  #onTokens(tokens: readonly number[]): SearchResult {
    const found = new Uint8Array(this.#features);
    const relevance = new Float32Array(this.#features);
    const select = this.#database.prepare("SELECT features, shares FROM token_features WHERE token = ?");
    for (const token of tokens) {
      const row = select.get(token) as { features: Uint8Array; shares: Uint8Array } | undefined;
      if (!row) continue;
      const features = new Uint32Array(row.features.slice().buffer);
      const shares = new Float32Array(row.shares.slice().buffer);
      for (let p = 0; p < features.length; p++) {
        this.#mark(found, features[p]!);
        relevance[features[p]!]! += shares[p]!;
      }
    }
    return { found, relevance };
  }

  #matchingTokens(pattern: string): number[] {
    if (!this.#rankedTokens) {
      const rows = this.#database
        .prepare("SELECT id, text FROM vocabulary WHERE id IN (SELECT token FROM token_features) ORDER BY id")
        .all();
      this.#rankedTokens = { ids: rows.map(({ id }) => Number(id)), texts: rows.map(({ text }) => String(text)) };
    }
    const { ids, texts } = this.#rankedTokens;
    return matchingTexts(pattern, texts).map((position) => ids[position]!);
  }

  #inContexts(text: string): SearchResult {
    const found = new Uint8Array(this.#features);
    const query = phraseQuery(text);
    if (query === null) return { found, relevance: null };
    this.#windowFeatures ??= this.#readWindowFeatures();
    const { offsets, features } = this.#windowFeatures;
    const select = this.#database.prepare("SELECT rowid FROM window_text WHERE window_text MATCH ?");
    select.setReturnArrays(true);
    for (const [window] of select.all(query) as unknown as [number][]) {
      if (window + 1 >= offsets.length) throw new RangeError("a window out of range");
      for (let p = offsets[window]!, end = offsets[window + 1]!; p < end; p++) this.#mark(found, features[p]!);
    }
    return { found, relevance: null };
  }

  #inLabels(text: string): SearchResult {
    const found = new Uint8Array(this.#features);
    const query = phraseQuery(text);
    if (query === null) return { found, relevance: null };
    for (const { rowid } of this.#database.prepare("SELECT rowid FROM temp.labels WHERE labels MATCH ?").all(query)) {
      if (Number(rowid) < this.#features) found[Number(rowid)] = 1;
    }
    return { found, relevance: null };
  }

  #mark(found: Uint8Array, feature: number): void {
    if (feature >= this.#features) throw new RangeError("a feature out of range");
    found[feature] = 1;
  }

  /** Which features show each window: one list after the other, and where each begins. */
  #readWindowFeatures(): { offsets: Uint32Array; features: Uint32Array } {
    const rows = this.#database.prepare("SELECT block, counts, features FROM window_features ORDER BY block").all() as {
      block: number;
      counts: Uint8Array;
      features: Uint8Array;
    }[];
    const windows = ((rows.at(-1)?.block ?? -1) + 1) * windowBlock;
    const offsets = new Uint32Array(windows + 1);
    const features = new Uint32Array(rows.reduce((sum, row) => sum + row.features.length / 4, 0));
    let length = 0;
    for (const row of rows) {
      const counts = new Uint32Array(row.counts.slice().buffer);
      for (let w = 0; w < counts.length; w++) offsets[row.block * windowBlock + w + 1] = counts[w]!;
      features.set(new Uint32Array(row.features.slice().buffer), length);
      length += row.features.length / 4;
    }
    for (let w = 0; w < windows; w++) offsets[w + 1]! += offsets[w]!;
    if (offsets[windows] !== length) throw new RangeError("lists of windows do not add up");
    return { offsets, features };
  }
}

function intersection(parts: readonly SearchResult[], features: number): SearchResult {
  const found = new Uint8Array(features).fill(1);
  for (const part of parts) for (let id = 0; id < features; id++) found[id]! &= part.found[id]!;
  return { found, relevance: parts.find(({ relevance }) => relevance !== null)?.relevance ?? null };
}
