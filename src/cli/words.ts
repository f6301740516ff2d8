// Numbers and tokens as people read them in a terminal.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 1234567 → "1,234,567" */
export function integer(value: number): string {
  return whole.format(value);
}

/** Three significant digits, never in exponents between a thousandth and a million. */
export function metric(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  if (size >= 1000) return integer(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** 0.123 → "12%" */
export function share(value: number): string {
  return `${Math.floor(100 * value)}%`;
}

/** Density as a percentage down to 0.001%, then "1 in 240,000". */
export function density(value: number): string {
  if (value === 0) return "never";
  if (value < 1e-5) return `1 in ${integer(1 / value)}`;
  const percent = 100 * value;
  return `${percent.toFixed(percent >= 10 ? 1 : percent >= 0.1 ? 2 : 3)}%`;
}

/** Seconds → "8 s", "3 min 20 s", "2 h 05 min" */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  if (total < 60) return seconds < 9.95 && seconds > 0 ? `${seconds.toFixed(1)} s` : `${total} s`;
  const [hours, minutes] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60)];
  return hours > 0
    ? `${hours} h ${String(minutes).padStart(2, "0")} min`
    : `${minutes} min ${String(total % 60).padStart(2, "0")} s`;
}

export function rate(perSecond: number, unit: string): string {
  return `${perSecond >= 10 ? integer(perSecond) : metric(perSecond)} ${unit}/s`;
}

/** 1536 → "1.5 KiB" */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${units[power]}`;
}

export function bar(done: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, done)) * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** "train single-1" → "train single-1 (seed set 2)": an ensemble's number counts from the seed set behind the first. */
export function stageShown(stage: string): string {
  const set = / (?:single|bagging|boosting|expanded)-(\d+)$/.exec(stage)?.[1];
  return set === undefined ? stage : `${stage} (seed set ${Number(set) + 1})`;
}

/** A token on one line: white space is made visible. */
export { withSigns as tokenShown } from "../protocol/whiteSpace.ts";
