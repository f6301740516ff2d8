// What a feature index keeps of each feature, and how much memory building it may take.

/** What an index keeps, all with defaults. Counts, sums, maxima and histograms are exact whatever is set here. */
export interface FeatureIndexOptions {
  /** Seed of the uniform sample of windows. */
  readonly seed: number;
  /** Own tokens of a window of context, at most; longer rows are cut. */
  readonly windowTokens: number;
  /** Tokens of the window before that a later window of the same row is shown with; at most half of windowTokens. */
  readonly leadTokens: number;
  /** Sequences in the top band. */
  readonly topSequences: number;
  /** Quantile bands, and sequences in each. */
  readonly bands: number;
  readonly sequencesPerBand: number;
  /** Windows in the uniform sample from which bands are made. */
  readonly sampledSequences: number;
  /** Activating tokens kept of a feature, strongest by share of its mass. A search by token finds these alone: every token of every feature would be a list of the size of all pairs. */
  readonly tokensPerFeature: number;
  /** Top and bottom logits kept, each. */
  readonly logits: number;
  /** Nearest features kept of each member. */
  readonly nearestPerMember: number;
  /** Tokens that go through the model at a time, about. */
  readonly batchTokens: number;
  /** Activations gathered, 16 bytes each, before a pass over all features. */
  readonly chunkActivations: number;
  /** (feature, token) pairs held in memory, 40 bytes each, before they are put on disk. */
  readonly maxPairs: number;
}

export const defaultFeatureIndexOptions: FeatureIndexOptions = {
  seed: 0,
  windowTokens: 128,
  leadTokens: 32,
  topSequences: 20,
  bands: 4,
  sequencesPerBand: 5,
  sampledSequences: 40,
  tokensPerFeature: 32,
  logits: 10,
  nearestPerMember: 3,
  batchTokens: 4096,
  chunkActivations: 2_097_152,
  maxPairs: 12_000_000,
};

/** The options with defaults filled in. Throws RangeError on a value that makes no sense. */
export function checkedIndexOptions(given: Partial<FeatureIndexOptions> = {}): FeatureIndexOptions {
  const options = { ...defaultFeatureIndexOptions, ...given };
  for (const [name, value] of Object.entries(options)) {
    const least = name === "leadTokens" || name === "seed" ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least)
      throw new RangeError(`${name}: found ${value}, expected an integer of at least ${least}`);
  }
  if (2 * options.leadTokens > options.windowTokens) throw new RangeError("leadTokens: at most half of windowTokens");
  if (options.windowTokens + options.leadTokens > 65_535)
    throw new RangeError("windowTokens: at most 65,535 with leadTokens");
  if (options.sampledSequences < options.bands) throw new RangeError("sampledSequences: at least one for each band");
  return options;
}
