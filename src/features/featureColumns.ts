// The numbers by which lists of features are sorted and filtered, in memory as one array each: any filter in any order over 100,000 features takes a millisecond or two.
import type { DatabaseSync } from "node:sqlite";
import type { IndexMeta } from "./indexFile.ts";

/** Columns of an index, as the file names them. */
export const featureColumnNames = ["count", "sum", "mean", "max", "found", "distinctTokens"] as const;
/** Not a number a feature but the ids of the clearest in order; indices built before it was kept lack it. */
export const clearestColumn = "clearest";

/** Sort keys pack 32 bits of value and an id into a float64's 53. */
const idBits = 21;
export const maxFeatures = 2 ** idBits;

/** Sort keys that a column answers. */
export type ColumnSort = "density" | "mean" | "max" | "found";

export class FeatureColumns {
  readonly count: Uint32Array;
  readonly sum: Float64Array;
  readonly mean: Float32Array;
  readonly max: Float32Array;
  readonly found: Uint16Array;
  readonly distinctTokens: Uint32Array;
  /** As FeatureIndex.clearest; null where the index was built before it was kept. */
  readonly clearest: Uint32Array | null;
  /** Member of each feature. */
  readonly member: Uint16Array;
  readonly #orders = new Map<string, Uint32Array>();

  /** Reads all columns. Throws RangeError if one is missing or not as long as there are features. */
  constructor(database: DatabaseSync, meta: IndexMeta) {
    const select = database.prepare("SELECT data FROM feature_columns WHERE name = ?");
    const bytes = (name: (typeof featureColumnNames)[number], width: number): ArrayBuffer => {
      const { data } = select.get(name) ?? {};
      if (!(data instanceof Uint8Array) || data.byteLength !== width * meta.features) {
        throw new RangeError(`column ${name} is not as long as there are features`);
      }
      return data.slice().buffer;
    };
    this.count = new Uint32Array(bytes("count", 4));
    this.sum = new Float64Array(bytes("sum", 8));
    this.mean = new Float32Array(bytes("mean", 4));
    this.max = new Float32Array(bytes("max", 4));
    this.found = new Uint16Array(bytes("found", 2));
    this.distinctTokens = new Uint32Array(bytes("distinctTokens", 4));
    const { data: clearest } = select.get(clearestColumn) ?? {};
    this.clearest = clearest instanceof Uint8Array ? distinctIds(clearest, meta.features) : null;
    this.member = new Uint16Array(meta.features);
    meta.members.forEach(({ first, size }, j) => {
      this.member.fill(j, first, first + size);
    });
  }

  /** All ids by a column, ties by id; kept for the next time. */
  order(sort: ColumnSort, descending: boolean): Uint32Array {
    const key = `${sort} ${descending}`;
    const known = this.#orders.get(key);
    if (known) return known;
    // Tokens on which a feature was active stand for its density: the same order.
    const values = { density: this.count, mean: this.mean, max: this.max, found: this.found }[sort];
    const order = sortedIds(values, descending);
    this.#orders.set(key, order);
    return order;
  }
}

/** Throws RangeError if the bytes are not ids of features, each at most once. */
function distinctIds(bytes: Uint8Array, features: number): Uint32Array {
  const ids = new Uint32Array(bytes.slice().buffer);
  const seen = new Uint8Array(features);
  for (const id of ids) {
    if (seen[id] !== 0)
      throw new RangeError(`column ${clearestColumn} names feature ${id} twice, or there is no such one`);
    seen[id] = 1;
  }
  return ids;
}

/**
 * Ids by non-negative values of at most 32 bits, ties by id: all of 0 … n−1, or those given (ascending). Value and id are
 * packed into numbers, which sort ten times faster than by a comparison function.
 */
export function sortedIds(
  values: Uint32Array | Uint16Array | Float32Array,
  descending: boolean,
  ids?: Uint32Array,
): Uint32Array {
  // Non-negative float32 values are ordered as their bits are.
  const words =
    values instanceof Float32Array ? new Uint32Array(values.buffer, values.byteOffset, values.length) : values;
  const keys = new Float64Array(ids?.length ?? words.length);
  for (let p = 0; p < keys.length; p++) {
    const id = ids ? ids[p]! : p;
    keys[p] = (descending ? 0xffffffff - words[id]! : words[id]!) * maxFeatures + id;
  }
  keys.sort();
  const sorted = new Uint32Array(keys.length);
  for (let p = 0; p < keys.length; p++) sorted[p] = keys[p]! % maxFeatures;
  return sorted;
}
