// One row of tokens that grows at its end, in two halves that meet at a hook point: what comes before the hook, and what follows from it. Contracts; no arithmetic.

/** From tokens to the values at a hook. Tokens are appended; what stood before isn't computed again. */
export interface HookReader {
  /** Tokens read so far. */
  readonly length: number;
  /**
   * Reads more tokens: their values at the hook, [n, d]. Throws RangeError beyond the model's context or for ids that are
   * none, AbortError between two pieces of work; either way nothing was read.
   */
  append(ids: Int32Array, signal?: AbortSignal): Promise<Float32Array>;
  /** Forgets tokens from `length` on. */
  truncate(length: number): void;
  /** Another reader that has read the same and goes its own way. */
  fork(): HookReader;
}

/** From values at the hook, the model's own or changed ones, to next-token distributions. */
export interface HookContinuation {
  /** Tokens gone through so far. */
  readonly length: number;
  /** Goes on with more tokens, whose values at the hook are `values` [n, d]. Errors as HookReader.append. */
  append(ids: Int32Array, values: Float32Array, wanted: Wanted, signal?: AbortSignal): Promise<Continued>;
  truncate(length: number): void;
  fork(): HookContinuation;
}

/** What is asked about the tokens that are appended. */
export interface Wanted {
  /** [n]: the token that really follows each, whose probability and rank are wanted; −1 where none is. Absent: nowhere. */
  readonly targets?: Int32Array;
  /** Whether all logits after the last of them are wanted. */
  readonly logits: boolean;
}

export interface Continued {
  /** [n], nats; NaN without a target. Empty if no targets were given. */
  readonly logprobs: Float32Array;
  /** [n]: how many tokens are more probable than the target; NaN without one. */
  readonly ranks: Float32Array;
  /** [V] after the last token; empty if not wanted. */
  readonly logits: Float32Array;
}

/**
 * Tokens that are computed together. Pieces end at its multiples, so that a text's numbers depend on nothing but the text:
 * whoever goes back (truncate) to a multiple, or to `restartAt`, and appends the rest gets the numbers of one append of
 * everything.
 */
export const SEQUENCE_STEP = 64;

/**
 * Where a row of n tokens is to be gone on with if those before `at` are computed already. A product's rows don't depend on
 * how many there are, except for a single one, which kernels treat in another way (in float32 that shows in the fourth
 * digit): so what is left of a piece is one token only where the piece has no more.
 */
export function restartAt(at: number, n: number): number {
  const start = Math.floor(at / SEQUENCE_STEP) * SEQUENCE_STEP;
  const end = Math.min(n, start + SEQUENCE_STEP);
  return end - at < 2 ? Math.max(start, at - 1) : at;
}

/** Ends of the pieces of n tokens behind `length`. */
export function* stepEnds(length: number, n: number): Generator<number> {
  for (let at = length; at < length + n; ) {
    at = Math.min(length + n, (Math.floor(at / SEQUENCE_STEP) + 1) * SEQUENCE_STEP);
    yield at;
  }
}
