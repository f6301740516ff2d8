// Mean and spread over seeds: one run of SCR moves by ±0.08 with its seed, so no number stands alone.

export interface Spread {
  readonly mean: number;
  /** Standard deviation over the runs (n − 1); NaN of a single one. */
  readonly sd: number;
  readonly values: readonly number[];
}

/** NaN values (a cell without rows) stay in and make the mean NaN: a number is right or absent. */
export function spread(values: readonly number[]): Spread {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, sd: n > 1 ? Math.sqrt(squares / (n - 1)) : Number.NaN, values };
}
