// Lists turned round: (key, value, weight) triples collected in any order, then given out as one list a key.

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
    return new Set(this.#keys.subarray(0, this.#length)).size;
  }

  /** Keys ascend; values of a key as they were added, or by weight from the largest (ties as added). Empty keys are left out. */
  *lists(order: "as added" | "by weight"): Generator<{ key: number; values: Uint32Array; weights: Float32Array }> {
    let largest = -1;
    for (let i = 0; i < this.#length; i++) largest = Math.max(largest, this.#keys[i]!);
    const ends = new Uint32Array(largest + 2);
    for (let i = 0; i < this.#length; i++) ends[this.#keys[i]! + 1]!++;
    for (let key = 0; key <= largest; key++) ends[key + 1]! += ends[key]!;
    const cursor = ends.slice(0, largest + 1);
    const sorted = new Uint32Array(this.#length);
    for (let i = 0; i < this.#length; i++) sorted[cursor[this.#keys[i]!]!++] = i;
    for (let key = 0; key <= largest; key++) {
      const entries = sorted.subarray(ends[key]!, ends[key + 1]!);
      if (entries.length === 0) continue;
      if (order === "by weight") entries.sort((a, b) => this.#weights[b]! - this.#weights[a]! || a - b);
      yield {
        key,
        values: Uint32Array.from(entries, (i) => this.#values[i]!),
        weights: Float32Array.from(entries, (i) => this.#weights[i]!),
      };
    }
  }
}

function doubled<T extends Uint32Array | Float32Array>(values: T, kind: new (length: number) => T): T {
  const larger = new kind(2 * values.length);
  larger.set(values);
  return larger;
}
