// What follows from the reading of a text, without VS Code: how strong its tokens are, which part of it is selected, whether what is pinned fires.
import type { InspectedToken, Span } from "../../protocol/inspection.ts";
import type { Inspected } from "./textInspector.ts";

/** What a reading says of its text; `base` is the offset of what was sent. */
export type Reading = Pick<Inspected, "base" | "pinned" | "result" | "rows">;

/** What a feature's values are shown against: its maximum in the corpus; of one that never fired there, its largest value in the text. */
export function maxima({ result, pinned, rows }: Reading): (feature: number) => number {
  const here = new Map<number, number>();
  const see = (feature: number, value: number) => {
    if (!rows.get(feature)?.max && value > (here.get(feature) ?? 0)) here.set(feature, value);
  };
  for (const { features } of result.tokens) for (const { feature, value } of features) see(feature, value);
  for (const [i, feature] of pinned.entries()) for (const value of result.pinned[i] ?? []) see(feature, value);
  return (feature) => rows.get(feature)?.max || (here.get(feature) ?? 0);
}

/** What fires on a token: its strongest features, and what is pinned and weaker. */
export function firing(token: InspectedToken, { result, pinned }: Reading): InspectedToken["features"] {
  const t = result.tokens.indexOf(token);
  const strongest = new Set(token.features.map(({ feature }) => feature));
  const others = pinned
    .map((feature, i) => ({ feature, value: result.pinned[i]?.[t] ?? 0 }))
    .filter(({ feature, value }) => value > 0 && !strongest.has(feature));
  return [...token.features, ...others];
}

/** A token's strength, 0…1, and the pinned feature that it is of. */
export function strengths(reading: Reading): { strength: number; hue: number }[] {
  const { result, pinned } = reading;
  const most = maxima(reading);
  return result.tokens.map(({ features }, t) => {
    let best = { strength: 0, hue: 0 };
    const consider = (feature: number, value: number, hue: number) => {
      if (value <= 0) return;
      const strength = Math.min(1, value / most(feature));
      if (strength > best.strength) best = { strength, hue };
    };
    if (pinned.length === 0) for (const { feature, value } of features) consider(feature, value, 0);
    for (const [i, feature] of pinned.entries()) consider(feature, result.pinned[i]?.[t] ?? 0, i);
    return best;
  });
}

/** A selection of the document as a part of what was sent, as far as it was read; null where nothing of it was. */
export function selectedSpan({ start, end }: Span, { base, result: { read } }: Reading): Span | null {
  const [from, to] = [Math.max(start - base, read.start), Math.min(end - base, read.end)];
  return from < to ? { start: from, end: to } : null;
}

/** Whether features are pinned and none of them fires on what was read: nothing is tinted then. */
export function nothingPinnedFires({ pinned, result }: Reading): boolean {
  return pinned.length > 0 && result.pinned.every((values) => values.every((value) => value <= 0));
}
