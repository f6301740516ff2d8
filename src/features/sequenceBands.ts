// A feature's chosen windows put into bands: the strongest, then quantiles of the windows' maxima from high to low.
import type { StoredBand } from "./featureRecords.ts";
import type { SampledWindow } from "./sequenceSampler.ts";

export type Band = Omit<StoredBand, "sequences"> & { readonly windows: readonly SampledWindow[] };

/**
 * Band b of `bands` spans the quantiles [b/bands, (b+1)/bands] of the sample's maxima. Of its windows, those with the least
 * hash are shown (the sample comes in that order), strongest first, without those that the top band shows already.
 */
export function sequenceBands(
  top: readonly SampledWindow[],
  sample: readonly SampledWindow[],
  options: { readonly bands: number; readonly sequencesPerBand: number },
): Band[] {
  if (top.length === 0) return [];
  const range = (windows: readonly SampledWindow[]) => [windows.at(-1)!.maximum, windows[0]!.maximum] as const;
  const result: Band[] = [{ kind: "top", quantiles: [0, 1], range: range(top), windows: top }];
  const shown = new Set(top.map(({ window }) => window));
  const order = new Map(sample.map((window, rank) => [window, rank]));
  const ranked = sample.toSorted((a, b) => b.maximum - a.maximum || a.window - b.window);
  for (let band = options.bands - 1; band >= 0; band--) {
    // Rank 0 is the strongest, so quantile q stands at rank n·(1−q).
    const from = Math.floor((ranked.length * (options.bands - 1 - band)) / options.bands);
    const to = Math.floor((ranked.length * (options.bands - band)) / options.bands);
    const members = ranked.slice(from, to);
    const windows = members
      .filter(({ window }) => !shown.has(window))
      .sort((a, b) => order.get(a)! - order.get(b)!)
      .slice(0, options.sequencesPerBand)
      .sort((a, b) => b.maximum - a.maximum || a.window - b.window);
    if (windows.length === 0) continue;
    const quantiles = [band / options.bands, (band + 1) / options.bands] as const;
    result.push({ kind: "quantile", quantiles, range: range(members), windows });
  }
  return result;
}
