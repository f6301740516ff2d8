// A feature index opened for questions: FeatureIndex over its SQLite file, read-only.
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { rankStoredFeatures } from "./clearestFeatures.ts";
import { FeatureColumns, sortedIds } from "./featureColumns.ts";
import {
  type FeatureAnnotation,
  type FeatureDetail,
  type FeatureFilter,
  type FeatureIndex,
  type FeatureIndexInfo,
  type FeaturePage,
  type FeatureQuery,
  type FeatureSequence,
  type FeatureSummary,
  QueryError,
  type TokenMatch,
  type VocabularyToken,
} from "./featureIndex.ts";
import {
  type StoredSequence,
  unpackBands,
  unpackHistogram,
  unpackLogits,
  unpackNearest,
  unpackTokens,
  unpackWindow,
} from "./featureRecords.ts";
import { FeatureSearch, type SearchResult } from "./featureSearch.ts";
import { asInputError, type IndexMeta, openIndexFile } from "./indexFile.ts";
import { isFound } from "./indexTables.ts";
import { summaryTokens, TokenStatistics } from "./tokenStatistics.ts";

const maxLimit = 1000;

/** Opens an index. Throws InputError if the file is missing, of another kind or version, or damaged. */
export function openFeatureIndex(path: string): FeatureIndex {
  const { database, meta } = openIndexFile(path);
  try {
    return new SqliteFeatureIndex(path, database, meta);
  } catch (error) {
    database.close();
    throw asInputError(error, path);
  }
}

class SqliteFeatureIndex implements FeatureIndex {
  readonly info: FeatureIndexInfo;
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #columns: FeatureColumns;
  readonly #search: FeatureSearch;
  readonly #statements = new Map<string, StatementSync>();
  readonly #tokens: TokenStatistics;
  #annotations: ReadonlyMap<number, FeatureAnnotation> = new Map();
  /** 1 for each flagged feature, [features]. */
  #flagged: Uint8Array;
  #labelOrders = new Map<boolean, Uint32Array>();
  #clearest: Uint32Array | null;
  readonly #clarityOrders = new Map<boolean, Uint32Array>();

  constructor(path: string, database: DatabaseSync, meta: IndexMeta) {
    const { options: _, ...info } = meta;
    this.info = info;
    this.#path = path;
    this.#database = database;
    this.#columns = new FeatureColumns(database, meta);
    this.#clearest = this.#columns.clearest;
    this.#tokens = new TokenStatistics(database, this.#columns.sum);
    this.#search = new FeatureSearch(database, meta.features);
    this.#flagged = new Uint8Array(meta.features);
  }

  page(query: FeatureQuery): FeaturePage {
    return this.#reading(() => {
      const { offset = 0, limit = 50 } = query;
      if (!Number.isSafeInteger(offset) || offset < 0) throw new QueryError(`offset ${offset}: 0 or more`);
      if (!Number.isSafeInteger(limit) || limit < 0 || limit > maxLimit) {
        throw new QueryError(`limit ${limit}: 0 to ${maxLimit}`);
      }
      const ids = this.#select(query);
      const search = this.#search.run(query.filter ?? {});
      return { rows: this.#rows(ids.subarray(offset, offset + limit), search), total: ids.length };
    });
  }

  count(filter: FeatureFilter): number {
    return this.#reading(() => this.#select({ filter }).length);
  }

  ids(query: Omit<FeatureQuery, "offset" | "limit">): Uint32Array {
    return this.#reading(() => this.#select(query));
  }

  summaries(ids: readonly number[]): FeatureSummary[] {
    return this.#reading(() => this.#rows(ids.map(this.#existing), null));
  }

  statistics(id: number): Pick<FeatureSummary, "density" | "max"> {
    const { count, max } = this.#columns;
    return { density: count[this.#existing(id)]! / Math.max(1, this.info.tokens), max: max[id]! };
  }

  clearest(): Uint32Array {
    return this.#reading(() => {
      // An index built before this was kept: once for as long as it is open.
      this.#clearest ??= rankStoredFeatures(this.#database, this.#columns, this.#tokens, this.info);
      return this.#clearest;
    });
  }

  detail(id: number): FeatureDetail {
    return this.#reading(() => {
      const [summary] = this.#rows([this.#existing(id)], null);
      const record = (table: string, column: string) =>
        this.#record(`SELECT ${column} AS record FROM ${table} WHERE id = ?`, id);
      const logits = unpackLogits(record("feature_logits", "logits"));
      const named = (list: readonly { id: number; logit: number }[]) =>
        list.map((entry) => ({ ...entry, text: this.#tokens.token(entry.id).text }));
      return {
        ...summary!,
        sum: this.#columns.sum[id]!,
        tokens: this.#tokens.of(id, unpackTokens(record("features", "tokens"))),
        distinctTokens: this.#columns.distinctTokens[id]!,
        bands: unpackBands(record("feature_sequences", "bands")).map((band) => ({
          ...band,
          sequences: band.sequences.map((sequence) => this.#sequence(sequence)),
        })),
        logits: { top: named(logits.top), bottom: named(logits.bottom) },
        nearest: unpackNearest(record("feature_nearest", "nearest")),
      };
    });
  }

  tokens(text: string, match: TokenMatch): VocabularyToken[] {
    return this.#reading(() => this.#search.tokens(text, match));
  }

  setAnnotations(annotations: ReadonlyMap<number, FeatureAnnotation>): void {
    this.#reading(() => {
      this.#annotations = new Map([...annotations].filter(([id]) => id < this.info.features));
      this.#flagged.fill(0);
      for (const [id, { flagged }] of this.#annotations) if (flagged) this.#flagged[id] = 1;
      this.#labelOrders.clear();
      this.#search.setAnnotations(this.#annotations);
    });
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Ids that pass, in order. */
  #select(query: Omit<FeatureQuery, "offset" | "limit">): Uint32Array {
    const filter = query.filter ?? {};
    const search = this.#search.run(filter);
    const order = this.#order(query, search);
    const { count, found, member } = this.#columns;
    // Densities as counts, so that a density taken from a row finds this row again.
    const tokens = Math.max(1, this.info.tokens);
    const {
      member: wantedMember = -1,
      alive,
      minDensity = Number.NEGATIVE_INFINITY,
      maxDensity = Number.POSITIVE_INFINITY,
      minFound = 0,
      flagged,
      ids,
    } = filter;
    const passing = new Uint32Array(this.info.features);
    let length = 0;
    const candidates = order?.length ?? this.info.features;
    for (let position = 0; position < candidates; position++) {
      const id = order ? order[position]! : query.descending ? this.info.features - 1 - position : position;
      if (search && search.found[id] === 0) continue;
      if (wantedMember >= 0 && member[id] !== wantedMember) continue;
      if (alive !== undefined && count[id]! > 0 !== alive) continue;
      const density = count[id]! / tokens;
      if (density < minDensity || density > maxDensity || found[id]! < minFound) continue;
      if (flagged !== undefined && (this.#flagged[id] === 1) !== flagged) continue;
      if (ids && !ids.has(id)) continue;
      passing[length++] = id;
    }
    const result = passing.subarray(0, length);
    if (!query.flaggedFirst) return result;
    const reordered = new Uint32Array(length);
    let at = 0;
    for (const first of [1, 0]) {
      for (let p = 0; p < length; p++) if (this.#flagged[result[p]!] === first) reordered[at++] = result[p]!;
    }
    return reordered;
  }

  /** Ids by the query's sort: all, or those that the search found; null for all in the order of ids. */
  #order(query: FeatureQuery, search: SearchResult | null): Uint32Array | null {
    const { sort = "id", descending = false } = query;
    switch (sort) {
      case "id":
        return null;
      case "density":
      case "mean":
      case "max":
      case "found":
        return this.#columns.order(sort, descending);
      case "label":
        return this.#labelOrder(descending);
      case "clarity":
        return this.#clarityOrder(descending);
      case "relevance":
        if (!search?.relevance) throw new QueryError("relevance: sorts only what a token or a pattern finds");
        return sortedIds(search.relevance, descending, foundIds(search.found));
      default:
        throw new QueryError(
          `sort ${JSON.stringify(sort)}: id, density, max, mean, found, label, relevance or clarity`,
        );
    }
  }

  #labelOrder(descending: boolean): Uint32Array {
    const known = this.#labelOrders.get(descending);
    if (known) return known;
    const labelled = [...this.#annotations]
      .filter(([, { label }]) => label)
      .map(([id, { label }]) => ({ id, label: label! }))
      .sort((a, b) => (a.label < b.label ? -1 : a.label > b.label ? 1 : 0) * (descending ? -1 : 1) || a.id - b.id);
    const order = new Uint32Array(this.info.features);
    const seen = new Uint8Array(this.info.features);
    let length = 0;
    for (const { id } of labelled) {
      order[length++] = id;
      seen[id] = 1;
    }
    for (let id = 0; id < order.length; id++) if (seen[id] === 0) order[length++] = id;
    this.#labelOrders.set(descending, order);
    return order;
  }

  #clarityOrder(descending: boolean): Uint32Array {
    const known = this.#clarityOrders.get(descending);
    if (known) return known;
    const clearest = this.clearest();
    const order = new Uint32Array(this.info.features);
    order.set(clearest);
    const seen = new Uint8Array(this.info.features);
    for (const id of clearest) seen[id] = 1;
    let length = clearest.length;
    for (const id of this.#columns.order("density", true)) if (seen[id] === 0) order[length++] = id;
    if (!descending) order.reverse();
    this.#clarityOrders.set(descending, order);
    return order;
  }

  #rows(ids: Iterable<number>, search: SearchResult | null): FeatureSummary[] {
    const { count, mean, max, member } = this.#columns;
    return Array.from(ids, (id) => {
      const row = this.#statement(
        "SELECT histogram, tokens, nearest FROM features JOIN feature_nearest USING (id) WHERE id = ?",
      ).get(id) as { histogram: Uint8Array; tokens: Uint8Array; nearest: Uint8Array } | undefined;
      if (!row) throw new RangeError(`no record for feature ${id}`);
      const nearest = unpackNearest(row.nearest);
      return {
        id,
        member: member[id]!,
        index: id - this.info.members[member[id]!]!.first,
        count: count[id]!,
        density: count[id]! / Math.max(1, this.info.tokens),
        mean: mean[id]!,
        max: max[id]!,
        tokens: this.#tokens.of(id, unpackTokens(row.tokens, summaryTokens)),
        histogram: unpackHistogram(row.histogram),
        found: nearest.map((list, j) => j === member[id] || isFound(list[0]?.cosine ?? -1, this.info.foundCosine)),
        annotation: this.#annotations.get(id) ?? {},
        ...(search?.relevance ? { relevance: search.relevance[id]! } : {}),
      };
    });
  }

  #sequence({ window, peak, places, values }: StoredSequence): FeatureSequence {
    const stored = unpackWindow(this.#record("SELECT tokens AS record FROM windows WHERE id = ?", window));
    const tokens = stored.map((token) => ({ ...token, text: this.#tokens.token(token.id).text, activation: 0 }));
    for (let e = 0; e < places.length; e++) {
      const token = tokens[places[e]!];
      if (!token) throw new RangeError("an activation outside its window");
      token.activation = values[e]!;
    }
    return { window, peak, tokens };
  }

  #record(sql: string, id: number): Uint8Array {
    const { record } = this.#statement(sql).get(id) ?? {};
    if (!(record instanceof Uint8Array)) throw new RangeError(`no record for ${id}: ${sql}`);
    return record;
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #existing = (id: number): number => {
    if (!Number.isSafeInteger(id) || id < 0 || id >= this.info.features) {
      throw new QueryError(`feature ${id}: 0 to ${this.info.features - 1}`);
    }
    return id;
  };

  /** Damage that shows only while reading becomes an InputError. */
  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw asInputError(error, this.#path);
    }
  }
}

function foundIds(found: Uint8Array): Uint32Array {
  const ids = new Uint32Array(found.length);
  let length = 0;
  for (let id = 0; id < found.length; id++) if (found[id] === 1) ids[length++] = id;
  return ids.subarray(0, length);
}
