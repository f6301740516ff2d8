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
 * whoever goes back (truncate) to a multiple and appends the rest gets the same bits as by one append of everything.
 */
export const SEQUENCE_STEP = 64;

/** Ends of the pieces of n tokens behind `length`. */
export function* stepEnds(length: number, n: number): Generator<number> {
  for (let at = length; at < length + n; ) {
    at = Math.min(length + n, (Math.floor(at / SEQUENCE_STEP) + 1) * SEQUENCE_STEP);
    yield at;
  }
}
