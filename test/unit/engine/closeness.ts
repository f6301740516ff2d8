// How near two arrays of numbers are: assertions that name the worst entry.
import assert from "node:assert/strict";

/** max |a−b|, and where. */
export function worstDifference(a: ArrayLike<number>, b: ArrayLike<number>): { difference: number; at: number } {
  assert.equal(a.length, b.length, "lengths differ");
  let worst = { difference: 0, at: 0 };
  for (let at = 0; at < a.length; at++) {
    const difference = Math.abs(a[at]! - b[at]!);
    // Not "greater": a NaN must not pass.
    if (!(difference <= worst.difference)) worst = { difference, at };
    if (Number.isNaN(difference)) break;
  }
  return worst;
}

export function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let at = 0; at < values.length; at++) largest = Math.max(largest, Math.abs(values[at]!));
  return largest;
}

/** |a−b| ≤ tolerance for every entry. */
export function assertWithin(a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number, what: string): void {
  const { difference, at } = worstDifference(a, b);
  assert.ok(
    difference <= tolerance,
    `${what}: ${a[at]} for ${b[at]} at ${at}, ${difference} apart, allowed ${tolerance}`,
  );
}

/** ‖a−b‖ / ‖b‖, for arrays in which single entries may differ by more. */
export function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length, "lengths differ");
  let squares = 0;
  let scale = 0;
  for (let at = 0; at < a.length; at++) {
    squares += (a[at]! - b[at]!) ** 2;
    scale += b[at]! ** 2;
  }
  return scale > 0 ? Math.sqrt(squares / scale) : Math.sqrt(squares);
}

export function assertRelative(a: number, b: number, tolerance: number, what: string): void {
  assert.ok(
    Math.abs(a - b) <= tolerance * Math.abs(b) + 1e-12,
    `${what}: ${a} for ${b}, allowed ${tolerance} relative`,
  );
}
