// Lists turned round: (key, value, weight) triples collected in any order, then given out as one list a key.
import { sortedIds } from "./featureColumns.ts";

/** Twelve bytes a triple. Keys and values are unsigned 32-bit integers. */
export class InvertedLists {
  #keys = new Uint32Array(1 << 12);
  #values = new Uint32Array(1 << 12);
  #weights = new Float32Array(1 << 12);
  #length = 0;

  add(key: number, value: number, weight: number): void {
    if (this.#length === this.#keys.length) {
      this.#keys = doubled(this.#keys, Uint32Array);
      this.#values = doubled(this.#values, Uint32Array);
      this.#weights = doubled(this.#weights, Float32Array);
    }
    this.#keys[this.#length] = key;
    this.#values[this.#length] = value;
    this.#weights[this.#length++] = weight;
  }

  /** Different keys. */
  get size(): number {
    const ends = this.#ends();
    let size = 0;
    for (let key = 1; key < ends.length; key++) if (ends[key]! > ends[key - 1]!) size++;
    return size;
  }

  /** Keys ascend; values of a key as they were added, or by weight from the largest (ties as added). Empty keys are left out. */
  *lists(order: "as added" | "by weight"): Generator<{ key: number; values: Uint32Array; weights: Float32Array }> {
    const ends = this.#ends();
    const largest = ends.length - 2;
    const cursor = ends.slice(0, largest + 1);
    const sorted = new Uint32Array(this.#length);
    for (let i = 0; i < this.#length; i++) sorted[cursor[this.#keys[i]!]!++] = i;
    for (let key = 0; key <= largest; key++) {
      const entries = sorted.subarray(ends[key]!, ends[key + 1]!);
      if (entries.length === 0) continue;
      const values = picked(this.#values, entries, Uint32Array);
      const weights = picked(this.#weights, entries, Float32Array);
      if (order === "as added") yield { key, values, weights };
      else {
        const ranks = sortedIds(weights, true);
        yield { key, values: picked(values, ranks, Uint32Array), weights: picked(weights, ranks, Float32Array) };
      }
    }
  }

  /** Entries of all keys before each: [largest key + 2]. */
  #ends(): Uint32Array {
    let largest = -1;
    for (let i = 0; i < this.#length; i++) if (this.#keys[i]! > largest) largest = this.#keys[i]!;
    const ends = new Uint32Array(largest + 2);
    for (let i = 0; i < this.#length; i++) ends[this.#keys[i]! + 1]!++;
    for (let key = 0; key <= largest; key++) ends[key + 1]! += ends[key]!;
    return ends;
  }
}

function picked<T extends Uint32Array | Float32Array>(from: T, at: Uint32Array, kind: new (length: number) => T): T {
  const result = new kind(at.length);
  for (let i = 0; i < at.length; i++) result[i] = from[at[i]!]!;
  return result;
}

function doubled<T extends Uint32Array | Float32Array>(values: T, kind: new (length: number) => T): T {
  const larger = new kind(2 * values.length);
  larger.set(values);
  return larger;
}
