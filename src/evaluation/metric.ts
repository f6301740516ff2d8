// A metric's value, or the reason why there is none. Never NaN: what could not be computed says so.

export type Metric = Available | Unavailable;

export interface Available {
  readonly value: number;
}

export interface Unavailable {
  readonly value: null;
  /** For people, in one line: what is missing and what would make it available. */
  readonly reason: string;
}

export function unavailable(reason: string): Unavailable {
  return { value: null, reason };
}

/** The value if it is finite, else the reason given. */
export function metric(value: number, reasonIfNotFinite: string): Metric {
  return Number.isFinite(value) ? { value } : unavailable(reasonIfNotFinite);
}

/** Mean over runs; unavailable as soon as one of them is. */
export function meanMetric(metrics: readonly Metric[]): Metric {
  if (metrics.length === 0) return unavailable("no runs");
  let sum = 0;
  for (const one of metrics) {
    if (one.value === null) return one;
    sum += one.value;
  }
  return { value: sum / metrics.length };
}
