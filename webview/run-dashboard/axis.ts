// Axes of the training charts, on the screen and in exports: round marks and how they are written.
import type { Quantity } from "./series.ts";

/** About `wanted` round numbers (1, 2 or 5 times a power of ten apart), the first and the last of which enclose `low` and `high`. */
export function roundMarks(low: number, high: number, wanted: number): number[] {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  // Multiples of a step below 1 are no round numbers in binary.
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** The range of a quantity's axis where all its values are the same: around them, and never a range of nothing. */
export function rangeOfOne(value: number): [low: number, high: number] {
  return value === 0 ? [0, 1] : [Math.min(0, 2 * value), Math.max(0, 2 * value)];
}

/** Marks are round: more digits are what a sum of floats leaves. */
const digits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 });

/** A mark on a quantity's axis: shares in percent. */
export function quantityMark(quantity: Quantity, value: number): string {
  return quantity === "dead" ? `${digits.format(100 * value)}%` : digits.format(value);
}

/** A mark on the axis of tokens: 0, 500k, 1.5M. */
export function tokensMark(tokens: number): string {
  return tokens >= 1e6 ? `${tokens / 1e6}M` : tokens >= 1e3 ? `${tokens / 1e3}k` : String(tokens);
}
