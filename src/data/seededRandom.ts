// Seeded random numbers whose state is JSON: everything random in a run (initial weights, shuffles, mixing) comes from here.
import { createHash } from "node:crypto";
import { uniformFloat32 } from "pure-rand/distribution/uniformFloat32";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";

/** State of a generator as JSON. */
export interface SeededRandomState {
  readonly generator: "xoroshiro128plus";
  /** Four signed 32-bit words, not all zero. */
  readonly state: readonly number[];
}

/** Arrays and typed arrays alike. */
interface Swappable<T> {
  readonly length: number;
  [index: number]: T;
}

/** A xoroshiro128+ stream (pure-rand). Same seed and labels, same numbers, on every machine. */
export class SeededRandom {
  readonly #generator: RandomGenerator;

  /** The stream of a seed (a safe integer; the same stream as `derive(seed)`), or one that goes on from a state. */
  constructor(seed: number | SeededRandomState) {
    this.#generator = xoroshiro128plusFromState(typeof seed === "number" ? wordsOf(seed, []) : checked(seed));
  }

  /**
   * A stream of its own for each purpose: `derive(seed, "member", 3)`, `derive(seed, "shuffle", pass)`. Seed and labels
   * are hashed (SHA-256) into the 128 bits of state, so near seeds give unrelated streams, and a new purpose leaves the
   * others as they were.
   */
  static derive(seed: number, ...labels: readonly (string | number)[]): SeededRandom {
    return new SeededRandom({ generator: "xoroshiro128plus", state: wordsOf(seed, labels) });
  }

  /** Goes on where `state()` was taken. Throws RangeError on anything that is not a state. */
  static fromState(state: SeededRandomState): SeededRandom {
    return new SeededRandom(state);
  }

  state(): SeededRandomState {
    return { generator: "xoroshiro128plus", state: [...this.#generator.getState()] };
  }

  /** In [0, 1), a multiple of 2^-53. */
  uniform(): number {
    return uniformFloat64(this.#generator);
  }

  /** In [0, 1), a multiple of 2^-24: exact as a float32, one draw. */
  uniformFloat32(): number {
    return uniformFloat32(this.#generator);
  }

  /** One of 0 … n−1, each equally likely (rejection, no modulo bias). n: 1 to 2^53 − 1. */
  integer(n: number): number {
    if (!Number.isSafeInteger(n) || n < 1) throw new RangeError(`integer(n) needs a whole n of at least 1, not ${n}`);
    return uniformInt(this.#generator, 0, n - 1);
  }

  /** Standard normal (Box-Muller; the second value is thrown away so that the state stays the generator's alone). */
  normal(): number {
    // 1 − u lies in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Puts the elements into a random order, in place (Fisher-Yates), and returns the same array. */
  shuffle<A extends Swappable<unknown>>(array: A): A {
    for (let i = array.length - 1; i > 0; i--) {
      const j = uniformInt(this.#generator, 0, i);
      const kept = array[i];
      array[i] = array[j];
      array[j] = kept;
    }
    return array;
  }

  /** 0 … n−1 in a random order. */
  permutation(n: number): Uint32Array<ArrayBuffer> {
    if (!Number.isInteger(n) || n < 0 || n > 2 ** 32)
      throw new RangeError(`permutation(n) needs a whole n up to 2^32, not ${n}`);
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    return this.shuffle(order);
  }
}

function wordsOf(seed: number, labels: readonly (string | number)[]): number[] {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`a seed must be a whole number within ±2^53, not ${seed}`);
  // JSON keeps ("a", 1) and ("a1") and ("a", "1") apart. A zero state would stay zero; SHA-256 won't give one.
  const hash = createHash("sha256")
    .update(JSON.stringify([seed, ...labels]))
    .digest();
  return [0, 4, 8, 12].map((offset) => hash.readInt32LE(offset));
}

function checked(state: SeededRandomState): readonly number[] {
  const words: unknown = state?.state;
  if (
    state?.generator !== "xoroshiro128plus" ||
    !Array.isArray(words) ||
    words.length !== 4 ||
    !words.every((word) => word === (word | 0)) ||
    words.every((word) => word === 0)
  ) {
    throw new RangeError(`not a state of a xoroshiro128plus generator: ${JSON.stringify(state)}`);
  }
  return words as number[];
}
