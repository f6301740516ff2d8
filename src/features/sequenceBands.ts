// A feature's chosen windows put into bands: the strongest, then quantiles of the windows' maxima from high to low.
import type { StoredBand } from "./featureRecords.ts";
import type { SampledSequence } from "./sequenceSampler.ts";

/**
 * Band b of `bands` spans the quantiles [b/bands, (b+1)/bands] of the sample's maxima. Of its windows, those with the least
 * hash are shown (the sample comes in that order), strongest first, without those that the top band shows already.
 */
export function sequenceBands(
  top: readonly SampledSequence[],
  sample: readonly SampledSequence[],
  options: { readonly bands: number; readonly sequencesPerBand: number },
): StoredBand[] {
  if (top.length === 0) return [];
  const range = (sequences: readonly SampledSequence[]) => [sequences.at(-1)!.maximum, sequences[0]!.maximum] as const;
  const result: StoredBand[] = [{ kind: "top", quantiles: [0, 1], range: range(top), sequences: top }];
  const shown = new Set(top.map(({ window }) => window));
  const ranked = sample
    .map((sequence, order) => ({ sequence, order }))
    .sort((a, b) => b.sequence.maximum - a.sequence.maximum || a.sequence.window - b.sequence.window);
  for (let band = options.bands - 1; band >= 0; band--) {
    // Rank 0 is the strongest, so quantile q stands at rank n·(1−q).
    const from = Math.floor((ranked.length * (options.bands - 1 - band)) / options.bands);
    const to = Math.floor((ranked.length * (options.bands - band)) / options.bands);
    const members = ranked.slice(from, to);
    const sequences = members
      .filter(({ sequence }) => !shown.has(sequence.window))
      .sort((a, b) => a.order - b.order)
      .slice(0, options.sequencesPerBand)
      .map(({ sequence }) => sequence)
      .sort((a, b) => b.maximum - a.maximum || a.window - b.window);
    if (sequences.length === 0) continue;
    result.push({
      kind: "quantile",
      quantiles: [band / options.bands, (band + 1) / options.bands],
      range: range(members.map(({ sequence }) => sequence)),
      sequences,
    });
  }
  return result;
}
