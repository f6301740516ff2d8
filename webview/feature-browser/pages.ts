// The rows of the current query, fetched page by page as the list scrolls, in a cache that forgets what is far away.
import type { FeatureRow, ListQuery } from "../../src/protocol/featureBrowser.ts";

const pageSize = 100;
const keptPages = 40;
/** Rows of one request. */
const mostFetched = 500;
/** Pages under way at once: who scrolls through a long list must not wait for all that lies between. */
const mostUnderWay = 2;

type Fetch = (query: ListQuery, offset: number, limit: number) => Promise<{ total: number; rows: FeatureRow[] }>;

export class Pages {
  /** Rows of the query; null until the first page is there. */
  total: number | null = null;
  error = "";
  #query: ListQuery | undefined;
  #generation = 0;
  readonly #pages = new Map<number, FeatureRow[]>();
  readonly #underWay = new Set<number>();
  /** Pages that the list needs now, the most needed first. */
  #wanted: readonly number[] = [];
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
    this.#wanted = [];
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

  /** Fetches anew what the list needs now, and forgets the rest; the old rows stay until the new ones arrive. */
  async refresh(): Promise<void> {
    if (!this.#query) return;
    const query = this.#query;
    // Nothing has come yet: what is on its way would be older than the change.
    if (this.#pages.size === 0) return this.ask(query);
    const numbers = this.#wanted.length > 0 ? [...this.#wanted] : [0];
    const generation = ++this.#generation;
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

  /** The row at a place, or undefined where it isn't here. */
  at(place: number): FeatureRow | undefined {
    const page = Math.floor(place / pageSize);
    return this.#pages.get(page)?.[place - page * pageSize];
  }

  /** Fetches what is missing of these places, and then of as many before and behind; what was wanted before and isn't now is dropped. */
  want(from: number, to: number): void {
    if (this.total === null) return;
    const last = Math.floor(Math.max(0, this.total - 1) / pageSize);
    const pageOf = (place: number) => Math.max(0, Math.min(last, Math.floor(place / pageSize)));
    const seen = to - from;
    const [first, final] = [pageOf(from), pageOf(to)];
    const shown = Array.from({ length: final - first + 1 }, (_, i) => first + i);
    this.#wanted = [...new Set([...shown, pageOf(to + seen), pageOf(from - seen)])];
    this.#load();
  }

  /** The rows from one place to another, those that aren't here fetched without being kept. */
  async range(from: number, to: number): Promise<FeatureRow[]> {
    const query = this.#query;
    const rows: FeatureRow[] = [];
    for (let place = from; place <= to && query; place++) {
      const row = this.at(place);
      if (row) {
        rows.push(row);
        continue;
      }
      const fetched = (await this.#fetch(query, place, Math.min(to - place + 1, mostFetched))).rows;
      if (fetched.length === 0) break;
      rows.push(...fetched);
      place += fetched.length - 1;
    }
    return rows;
  }

  /** Place of a feature among the rows that are here. */
  placeOf(feature: number): number | undefined {
    for (const [page, rows] of this.#pages) {
      const at = rows.findIndex((row) => row.feature === feature);
      if (at >= 0) return page * pageSize + at;
    }
    return undefined;
  }

  #load(): void {
    for (const page of this.#wanted) {
      if (this.#underWay.size >= mostUnderWay) return;
      if (this.#query && !this.#pages.has(page) && !this.#underWay.has(page)) void this.#loadPage(page, this.#query);
    }
  }

  async #loadPage(page: number, query: ListQuery): Promise<void> {
    const generation = this.#generation;
    this.#underWay.add(page);
    try {
      const { rows } = await this.#fetch(query, page * pageSize, pageSize);
      if (generation === this.#generation) {
        this.#pages.set(page, rows);
        for (const old of this.#pages.keys()) {
          if (this.#pages.size <= keptPages) break;
          if (old !== 0 && !this.#wanted.includes(old)) this.#pages.delete(old);
        }
      }
    } catch (error) {
      if (generation === this.#generation) {
        this.error = error instanceof Error ? error.message : String(error);
        this.#wanted = [];
      }
    }
    this.#underWay.delete(page);
    this.#changed();
    this.#load();
  }
}
