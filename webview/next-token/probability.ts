// A probability as a percentage of three digits; tiny ones with an exponent.

export function probability(share: number): string {
  const percent = 100 * share;
  if (percent === 0) return "0%";
  return percent < 0.01 ? `${percent.toExponential(1)}%` : `${percent.toPrecision(3)}%`;
}
