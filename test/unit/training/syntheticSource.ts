// A stream of activations made of a few known directions, in memory and with a cursor: enough to train on in tests.
import type { ActivationCursor, ActivationSource } from "../../../src/data/activationSource.ts";
import { SeededRandom } from "../../../src/data/seededRandom.ts";

/** Activations that are sparse non-negative sums of `directions` random directions, plus a mean. The same seed gives the same rows. */
export class SyntheticSource implements ActivationSource {
  readonly d_in: number;
  readonly #total: number;
  readonly #seed: number;
  readonly #directions: Float32Array;
  readonly #count: number;
  #at: number;
  isClosed = false;

  constructor(options: { d_in: number; total: number; seed?: number; directions?: number }, cursor?: ActivationCursor) {
    this.d_in = options.d_in;
    this.#total = options.total;
    this.#seed = options.seed ?? 1;
    this.#count = options.directions ?? 12;
    this.#at = cursor ? Number(cursor["at"]) : 0;
    const random = SeededRandom.derive(this.#seed, "directions");
    this.#directions = Float32Array.from({ length: this.#count * this.d_in }, () => random.normal());
  }

  async next(rows: number): Promise<{ x: Float32Array; rows: number } | null> {
    const count = Math.min(rows, this.#total - this.#at);
    if (count <= 0) return null;
    const x = new Float32Array(count * this.d_in);
    for (let t = 0; t < count; t++) this.#fill(x.subarray(t * this.d_in, (t + 1) * this.d_in), this.#at + t);
    this.#at += count;
    return { x, rows: count };
  }

  #fill(row: Float32Array, index: number): void {
    const random = SeededRandom.derive(this.#seed, "row", index);
    row.fill(0.3);
    for (let active = 0; active < 3; active++) {
      const direction = random.integer(this.#count);
      const strength = 0.5 + random.uniform();
      for (let j = 0; j < this.d_in; j++) row[j]! += strength * this.#directions[direction * this.d_in + j]!;
    }
  }

  async cursor(): Promise<ActivationCursor> {
    return { at: this.#at };
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
