// A feature's strongest tokens out of all on which it was active.
import type { StoredToken } from "./featureRecords.ts";
import type { FeatureTokens } from "./tokenCounts.ts";

/** The `limit` tokens with the largest sums of activation, largest first, ties by id. */
export function strongestTokens(all: FeatureTokens, limit: number): StoredToken[] {
  const kept: number[] = [];
  const before = (a: number, b: number) =>
    all.sums[a]! > all.sums[b]! || (all.sums[a]! === all.sums[b]! && all.tokens[a]! < all.tokens[b]!);
  for (let entry = 0; entry < all.length; entry++) {
    if (kept.length === limit && !before(entry, kept[limit - 1]!)) continue;
    let at = Math.min(kept.length, limit - 1);
    for (; at > 0 && before(entry, kept[at - 1]!); at--) kept[at] = kept[at - 1]!;
    kept[at] = entry;
  }
  return kept.map((entry) => ({
    id: all.tokens[entry]!,
    count: all.counts[entry]!,
    sum: all.sums[entry]!,
    max: all.maxima[entry]!,
  }));
}
