// The contract of a feature index: what one can ask it and what it answers. Building is buildFeatureIndex.ts, the SQLite answer to it openFeatureIndex.ts.

/**
 * Questions to an index of all features of an ensemble. A feature's id is its global index, member·F + i.
 * All calls are synchronous and quick (tens of milliseconds over 100,000 features), so they belong in a process that has no window to keep smooth.
 * Damage found in the file while reading throws InputError.
 */
export interface FeatureIndex {
  readonly info: FeatureIndexInfo;
  /** Features that pass the filter, in a stable order (ties by id), from `offset` on. Throws QueryError on a query that makes no sense. */
  page(query: FeatureQuery): FeaturePage;
  /** How many features pass. */
  count(filter: FeatureFilter): number;
  /** Ids of all features that pass, in the order of `sort`: for "select all" and for exports. */
  ids(query: Omit<FeatureQuery, "offset" | "limit">): Uint32Array;
  /** Rows of the list for given ids, in their order. Throws QueryError on an id that does not exist. */
  summaries(ids: readonly number[]): FeatureSummary[];
  /** Two of a summary's numbers, from memory: cheap for all features that fire on a text. */
  statistics(id: number): Pick<FeatureSummary, "density" | "max">;
  /** Ids of the features that are easiest to understand, the clearest first (clearestFeatures.ts): one a word. */
  clearest(): Uint32Array;
  /** Everything about one feature. */
  detail(id: number): FeatureDetail;
  /** Tokens of the vocabulary by their text, with how often each stood in the text of the index. */
  tokens(text: string, match: TokenMatch): VocabularyToken[];
  /** Flags, labels and notes to show, to filter by and to search. Cheap to call after every edit: only what changed is indexed anew. */
  setAnnotations(annotations: ReadonlyMap<number, FeatureAnnotation>): void;
  close(): void;
}

/** A question that can't be answered as it is asked: unknown sort, pattern that doesn't compile or takes too long, id out of range. The message is for people. */
export class QueryError extends Error {
  override name = "QueryError";
}

export interface FeatureIndexInfo {
  readonly method: string;
  readonly hook: string;
  readonly modelName: string | null;
  /** First id and number of features of each member. */
  readonly members: readonly { readonly first: number; readonly size: number }[];
  /** Features of all members. */
  readonly features: number;
  /** Tokens that were counted: all but the left-out ones. Densities are shares of it. */
  readonly tokens: number;
  /** Windows of text that sequences refer to. */
  readonly windows: number;
  /** Cosine from which a feature counts as found in a member. */
  readonly foundCosine: number;
  /** Where the text came from, as the builder was told; JSON. */
  readonly source: Readonly<Record<string, unknown>>;
}

/** What a person said about a feature. */
export interface FeatureAnnotation {
  readonly flagged?: boolean;
  readonly label?: string;
  /** Of a label that a language model gave; absent where a person did. */
  readonly label_source?: LabelSource;
  readonly note?: string;
}

export interface LabelSource {
  /** The model's name. */
  readonly model: string;
  /** Detection score of the label on held-out passages (labelling.ts), 0.5 is chance; null where there were too few. */
  readonly detection: number | null;
  /** Held-out passages that it was scored on. */
  readonly passages: number;
}

/** "exact": the token's text as it stands, spaces and case included. "word": without surrounding white space and without regard to case. */
export type TokenMatch = "exact" | "word";

/**
 * "relevance" needs a token or pattern filter: the share of the feature's mass on the matching tokens. "id" is member, then
 * index. "clarity", descending: those of `clearest()`, then all others from the densest on; ascending is its exact reverse.
 */
export type FeatureSort = "id" | "density" | "max" | "mean" | "found" | "label" | "relevance" | "clarity";

export interface FeatureQuery {
  readonly filter?: FeatureFilter;
  /** Default "id". */
  readonly sort?: FeatureSort;
  /** Largest first; default false. Unlabelled features come last in either direction. */
  readonly descending?: boolean;
  /** Flagged ones before all others. */
  readonly flaggedFirst?: boolean;
  /** Default 0. */
  readonly offset?: number;
  /** Default 50, at most 1,000. */
  readonly limit?: number;
}

/** All conditions must hold. */
export interface FeatureFilter {
  readonly member?: number;
  /** true: fired at least once on the text of the index; false: never did. */
  readonly alive?: boolean;
  /** Share of counted tokens, inclusive. */
  readonly minDensity?: number;
  readonly maxDensity?: number;
  /** Found in at least this many members, its own counted. */
  readonly minFound?: number;
  readonly flagged?: boolean;
  /** Only these. */
  readonly ids?: ReadonlySet<number>;
  /** Fires on this token: one of the feature's ranked tokens (as many as were stored) has this id or text. */
  readonly token?: { readonly id: number } | { readonly text: string; readonly match: TokenMatch };
  /** Fires on a token whose text matches this regular expression (JavaScript, flags "iu"). Ends with a QueryError after a quarter of a second. */
  readonly tokenPattern?: string;
  /** A phrase in a stored context of the feature; the last word may be begun only. */
  readonly text?: string;
  /** A phrase in label or note; the last word may be begun only. */
  readonly label?: string;
}

export interface FeaturePage {
  readonly rows: readonly FeatureSummary[];
  /** Features that pass the filter. */
  readonly total: number;
}

/** One row of the list. */
export interface FeatureSummary {
  readonly id: number;
  readonly member: number;
  /** Index inside its member. */
  readonly index: number;
  /** Tokens on which it was active. */
  readonly count: number;
  /** count / counted tokens. */
  readonly density: number;
  /** Mean over the tokens on which it was active, float32; 0 if there are none. */
  readonly mean: number;
  readonly max: number;
  /** Strongest tokens, up to eight. */
  readonly tokens: readonly TokenStatistic[];
  readonly histogram: Histogram;
  /** One entry a member: whether a feature of it has a cosine of at least foundCosine; its own is true. */
  readonly found: readonly boolean[];
  readonly annotation: FeatureAnnotation;
  /** Share of the feature's mass on the tokens searched for; only under a token or pattern filter. */
  readonly relevance?: number;
}

/** Exact counts in bins of equal width from 0: bin b holds values in [b·width, (b+1)·width). The last bin is the one that holds the maximum; width is a power of two. */
export interface Histogram {
  readonly width: number;
  readonly counts: readonly number[];
}

/** A token on which a feature was active. Ranked by `share`, ties by id. */
export interface TokenStatistic {
  readonly id: number;
  readonly text: string;
  /** Times it was active on this token. */
  readonly count: number;
  readonly mean: number;
  readonly max: number;
  /** Share of the sum of all the feature's activations. */
  readonly share: number;
  /** Times the token stood in the text, so that count / occurrences is how reliably it fires. */
  readonly occurrences: number;
}

export interface VocabularyToken {
  readonly id: number;
  readonly text: string;
  readonly occurrences: number;
}

export interface FeatureDetail extends Omit<FeatureSummary, "tokens"> {
  /** Sum of all activations, float64. */
  readonly sum: number;
  /** The strongest tokens; as many as the index was told to keep. */
  readonly tokens: readonly TokenStatistic[];
  /** On how many different tokens it was active, exact. */
  readonly distinctTokens: number;
  /** "top" first, then quantile bands from high to low; bands without sequences are left out. */
  readonly bands: readonly SequenceBand[];
  /** What the decoder row adds to each token's logit per unit of code (final norm's scale left out). */
  readonly logits: { readonly top: readonly TokenLogit[]; readonly bottom: readonly TokenLogit[] };
  /** One entry a member, its own included (without the feature itself), each with its nearest features by decoder cosine, best first. */
  readonly nearest: readonly (readonly NearestFeature[])[];
}

export interface TokenLogit {
  readonly id: number;
  readonly text: string;
  readonly logit: number;
}

export interface NearestFeature {
  readonly id: number;
  readonly cosine: number;
}

/** Sequences whose strongest activation lies in one range. */
export interface SequenceBand {
  /** "top": the largest maxima of all windows. "quantile": a uniform sample (by seeded hash) of the windows in which the feature fired, without those of "top". */
  readonly kind: "top" | "quantile";
  /** Quantiles of the windows' maxima that the band spans, e.g. 0.75 and 1; estimated from the sample, exact where the feature fired in no more windows than it holds. */
  readonly quantiles: readonly [number, number];
  /** Least and largest maximum in the band. */
  readonly range: readonly [number, number];
  readonly sequences: readonly FeatureSequence[];
}

/** One window of text with one feature's activations on it. */
export interface FeatureSequence {
  /** Same number, same text. */
  readonly window: number;
  /** Index of the strongest token in `tokens` (the first, if several are equal). */
  readonly peak: number;
  readonly tokens: readonly SequenceToken[];
}

export interface SequenceToken {
  readonly id: number;
  /** The token as the tokenizer writes it: leading space kept, a lone byte as "⟨E2⟩". */
  readonly text: string;
  readonly activation: number;
  /** Document in the order of the text source; null for tokens that come from none (BOS). */
  readonly document: number | null;
  /** Range of bytes in the document's UTF-8. */
  readonly start: number;
  readonly end: number;
}
