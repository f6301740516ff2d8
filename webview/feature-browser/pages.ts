// The rows of the current query, fetched page by page as the list scrolls, in a cache that forgets what is far away.
import type { FeatureRow, ListQuery } from "../../src/protocol/featureBrowser.ts";

const pageSize = 100;
const keptPages = 40;

type Fetch = (query: ListQuery, offset: number, limit: number) => Promise<{ total: number; rows: FeatureRow[] }>;

export class Pages {
  /** Rows of the query; null until the first page is there. */
  total: number | null = null;
  error = "";
  #query: ListQuery | undefined;
  #generation = 0;
  readonly #pages = new Map<number, FeatureRow[] | "loading">();
  readonly #fetch: Fetch;
  readonly #changed: () => void;

  constructor(fetch: Fetch, changed: () => void) {
    this.#fetch = fetch;
    this.#changed = changed;
  }

  /** Starts over with another query; the old rows stay until the new ones arrive. */
  async ask(query: ListQuery): Promise<void> {
    this.#query = query;
    const generation = ++this.#generation;
    try {
      const { total, rows } = await this.#fetch(query, 0, pageSize);
      if (generation !== this.#generation) return;
      this.#pages.clear();
      this.#pages.set(0, rows);
      this.total = total;
      this.error = "";
    } catch (error) {
      if (generation !== this.#generation) return;
      this.error = error instanceof Error ? error.message : String(error);
    }
    this.#changed();
  }

  /** Fetches anew what is shown, keeping the place. */
  async refresh(): Promise<void> {
    if (!this.#query) return;
    const query = this.#query;
    const generation = ++this.#generation;
    const numbers = [...this.#pages.keys()];
    try {
      const pages = await Promise.all(numbers.map((page) => this.#fetch(query, page * pageSize, pageSize)));
      if (generation !== this.#generation) return;
      this.#pages.clear();
      for (const [i, page] of numbers.entries()) this.#pages.set(page, pages[i]!.rows);
      if (pages[0]) this.total = pages[0].total;
    } catch (error) {
      this.error = error instanceof Error ? error.message : String(error);
    }
    this.#changed();
  }

  /** The row at a place, or undefined while it is on its way. */
  at(place: number): FeatureRow | undefined {
    const page = Math.floor(place / pageSize);
    const rows = this.#pages.get(page);
    if (Array.isArray(rows)) return rows[place - page * pageSize];
    if (rows === undefined && this.#query) void this.#load(page, this.#query);
    return undefined;
  }

  /** Place of a feature among the rows that are here. */
  placeOf(feature: number): number | undefined {
    for (const [page, rows] of this.#pages) {
      if (!Array.isArray(rows)) continue;
      const at = rows.findIndex((row) => row.feature === feature);
      if (at >= 0) return page * pageSize + at;
    }
    return undefined;
  }

  async #load(page: number, query: ListQuery): Promise<void> {
    const generation = this.#generation;
    this.#pages.set(page, "loading");
    try {
      const { rows } = await this.#fetch(query, page * pageSize, pageSize);
      if (generation !== this.#generation) return;
      this.#pages.delete(page);
      this.#pages.set(page, rows);
      for (const old of this.#pages.keys()) {
        if (this.#pages.size <= keptPages) break;
        if (old !== 0) this.#pages.delete(old);
      }
    } catch (error) {
      this.#pages.delete(page);
      this.error = error instanceof Error ? error.message : String(error);
    }
    this.#changed();
  }
}
