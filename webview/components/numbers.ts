// How numbers are written: three significant digits, thousands separators, densities as people read them. A missing number is a dash.

const grouped = new Intl.NumberFormat("en-US");

export function count(value: number): string {
  return grouped.format(value);
}

/** Three significant digits without an exponent where that stays short. */
export function significant(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return grouped.format(Math.round(value));
  if (size < 0.001) return value.toExponential(1);
  return value.toPrecision(3);
}

/** Numbers of one metric below each other: whole ones as such, others with equally many decimals, three significant digits of the least and at most one more than the greatest needs. */
export function column(values: readonly (number | null)[]): string[] {
  const sizes = values.flatMap((value) => (value && Number.isFinite(value) ? Math.abs(value) : []));
  const [least, greatest] = [Math.min(...sizes), Math.max(...sizes)];
  if (sizes.length === 0 || greatest < 0.001) return values.map(significant);
  const whole = sizes.every(Number.isInteger);
  const decimals = whole ? 0 : Math.min(decimalsOf(least), decimalsOf(greatest) + 1);
  const alike = new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return values.map((value) => (value === null || !Number.isFinite(value) ? "–" : alike.format(value)));
}

/** Decimals that three significant digits need. */
function decimalsOf(size: number): number {
  return Math.max(0, 2 - Math.floor(Math.log10(size)));
}

/** A share as a percentage down to 0.001%, then as 1 in n; a dash where unknown. */
export function density(share: number | null): string {
  if (share === null || !Number.isFinite(share)) return "–";
  if (share === 0) return "never";
  if (share < 0.00001) return `1 in ${grouped.format(Math.round(1 / share))}`;
  const percent = share * 100;
  if (percent >= 10) return `${percent.toFixed(1)}%`;
  if (percent >= 0.1) return `${percent.toFixed(2)}%`;
  return `${percent.toFixed(3)}%`;
}

/** An accuracy as a percentage with one decimal; a dash where unknown. */
export function percent(share: number | null): string {
  return share === null ? "–" : `${(100 * share).toFixed(1)}%`;
}
