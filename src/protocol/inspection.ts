// What the editor asks about text: tokens and features of a document, features of a part of it, the next token under interventions. Shapes only.
import * as z from "zod";
import { type FeatureRow, featureRow } from "./featureBrowser.ts";

export const span = z.object({ start: z.number().int().min(0), end: z.number().int().min(0) });
export type Span = z.infer<typeof span>;

export const documentKind = z.enum(["text", "jsonl", "csv", "tsv"]);
export type DocumentKind = z.infer<typeof documentKind>;

/** One token; `start` and `end` are UTF-16 offsets in the text that was sent. */
export interface InspectedToken {
  readonly start: number;
  readonly end: number;
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  /** Natural logarithm; null where no token stands before, and in an answer without likelihoods. */
  readonly logprob: number | null;
  /** 0: the model's first choice; null as above. */
  readonly rank: number | null;
  /** Strongest first. */
  readonly features: readonly { readonly feature: number; readonly value: number }[];
}

/** What tints and hovers need of a feature. */
export interface NamedFeature extends Pick<FeatureRow, "feature" | "member" | "index" | "label" | "flagged" | "max"> {
  /** The strongest activating ones. */
  readonly tokens: readonly { readonly text: string }[];
  readonly foundIn: readonly boolean[];
}

const isNumber = (value: unknown) => typeof value === "number";
const isNumberOrNull = (value: unknown) => value === null || typeof value === "number";

/** By loops, here and below: thousands of entries come with every answer, and the host must not be held up by them. */
function areTokens(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  for (const token of value as Partial<InspectedToken>[]) {
    if (!isNumber(token.start) || !isNumber(token.end) || !isNumber(token.id)) return false;
    if (typeof token.text !== "string" || typeof token.special !== "boolean") return false;
    if (!isNumberOrNull(token.logprob) || !isNumberOrNull(token.rank) || !Array.isArray(token.features)) return false;
    for (const { feature, value } of token.features) if (!isNumber(feature) || !isNumber(value)) return false;
  }
  return true;
}

function areNamedFeatures(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  for (const row of value as Partial<NamedFeature>[]) {
    if (!isNumber(row.feature) || !isNumber(row.member) || !isNumber(row.index) || !isNumberOrNull(row.max))
      return false;
    if (typeof row.label !== "string" || typeof row.flagged !== "boolean") return false;
    if (!Array.isArray(row.tokens) || !row.tokens.every((token) => typeof token?.text === "string")) return false;
    if (!Array.isArray(row.foundIn) || !row.foundIn.every((found) => typeof found === "boolean")) return false;
  }
  return true;
}

export const inspectedDocument = z.object({
  tokens: z.custom<InspectedToken[]>(areTokens, "inspected tokens"),
  /** Whether log-probabilities and ranks are there. */
  likelihoods: z.boolean(),
  /** [pinned][tokens] */
  pinned: z.array(z.array(z.number())),
  /** Every feature that the tokens or `pinned` name. */
  rows: z.custom<NamedFeature[]>(areNamedFeatures, "named features"),
  /** What was read; less than everything in a long document. */
  read: span,
  /** Whether all that is seen was read: a screen can show more than is read at a time. */
  wholeScreen: z.boolean(),
  /** Share of characters that the tokenizer has no name for. */
  unknown: z.number(),
});
export type InspectedDocument = z.infer<typeof inspectedDocument>;

export const ranking = z.enum(["sum", "max", "specificity"]);
export type Ranking = z.infer<typeof ranking>;

export const featureHere = z.object({
  row: featureRow,
  /** Tokens on which it fires. */
  count: z.number().int(),
  sum: z.number(),
  max: z.number(),
  specificity: z.number(),
});
export type FeatureHere = z.infer<typeof featureHere>;

export const intervention = z.object({
  /** Global indices; with `flagged`, all that are flagged at that moment as well. */
  features: z.array(z.number().int()),
  flagged: z.boolean(),
  kind: z.enum(["ablate", "scale", "set", "add"]),
  value: z.number(),
  from: z.enum(["everywhere", "here"]),
});
export type Intervention = z.infer<typeof intervention>;

/** What an intervention calls a feature; kept with the list, since the service may not be there to ask. */
export const featureName = z.object({
  feature: z.number().int(),
  member: z.number().int(),
  index: z.number().int(),
  label: z.string(),
  tokens: z.array(z.object({ text: z.string() })),
});
export type FeatureName = z.infer<typeof featureName>;

const shownToken = z.object({ id: z.number().int(), text: z.string(), original: z.number(), changed: z.number() });
export type ShownToken = z.infer<typeof shownToken>;

export const nextTokens = z.object({
  tokens: z.array(shownToken),
  /** KL(original ‖ changed), nats. */
  kl: z.number(),
  gains: shownToken.nullable(),
  loses: shownToken.nullable(),
  /** Tokens before the cursor that the model saw. */
  context: z.number().int(),
  /** The features of every intervention. */
  rows: z.array(featureRow),
  /** How many features are flagged. */
  flagged: z.number().int(),
});
export type NextTokens = z.infer<typeof nextTokens>;

export const pushing = z.object({
  probability: z.number(),
  features: z.array(
    z.object({
      row: featureRow,
      value: z.number(),
      direct: z.number(),
      measured: z.number(),
      probability: z.number(),
    }),
  ),
});
export type Pushing = z.infer<typeof pushing>;

export const generateOptions = z.object({
  tokens: z.number().int().min(1).max(500),
  temperature: z.number().min(0).max(5),
  seed: z.number().int().min(0),
});
export type GenerateOptions = z.infer<typeof generateOptions>;

export const generated = z.object({
  side: z.enum(["original", "changed"]),
  text: z.string(),
  /** Whether the model has ended the text. */
  ended: z.boolean(),
});
export type Generated = z.infer<typeof generated>;

export const comparison = z.object({
  features: z.array(z.object({ row: featureRow, a: z.number(), b: z.number() })),
  total: z.number().int(),
});
export type Comparison = z.infer<typeof comparison>;

/** A text that is read from its beginning; of jsonl, csv and tsv its cells. */
const wholeText = z.object({ text: z.string(), kind: documentKind });

const about = z.object({ ensemble: z.string() });
const prompt = about.extend({ text: z.string(), interventions: z.array(intervention) });

/** Part of what the host asks the service (service.ts). `ensemble` is an ensemble's folder. */
export const inspectionRequests = {
  /**
   * `document` names it in later questions; `visible` is what is seen of `text`. Without `likelihoods` the answer comes in
   * less than half the time, and has them only where they are known already.
   */
  inspect: {
    params: about.extend({
      document: z.string(),
      kind: documentKind,
      text: z.string(),
      visible: span,
      pinned: z.array(z.number().int()),
      likelihoods: z.boolean(),
    }),
    result: inspectedDocument,
  },
  /** Of the whole of what was read of a document, or of spans of it; null where the document is not known (any more): it is to be inspected first. */
  featuresHere: {
    params: about.extend({ document: z.string(), spans: z.array(span).nullable(), ranking, limit: z.number().int() }),
    result: z.object({ features: z.array(featureHere), total: z.number().int(), tokens: z.number().int() }).nullable(),
  },
  /** What the model goes on from at a place of a document; null where there is nothing. */
  textBefore: {
    params: z.object({ kind: documentKind, text: z.string(), offset: z.number().int().min(0) }),
    result: z.object({ text: z.string().nullable() }),
  },
  /** `text` ends at the cursor. */
  nextToken: { params: prompt.extend({ count: z.number().int() }), result: nextTokens },
  pushing: {
    params: about.extend({ text: z.string(), token: z.number().int(), count: z.number().int() }),
    result: pushing,
  },
  /** Ends when both sides have; `generated` tells of every token by `stream`. */
  generate: { params: prompt.extend({ options: generateOptions, stream: z.string() }), result: z.object({}) },
  compare: {
    params: about.extend({ a: wholeText, b: wholeText, limit: z.number().int() }),
    result: comparison,
  },
  /** What fires on a text, in words. */
  describeText: { params: about.extend({ text: z.string() }), result: z.object({ text: z.string() }) },
} as const;

/** The text before the cursor; null: there is none to go on from, and `reason` says why. */
export const nextTokenCursor = z.object({
  /** The ensemble's name. */
  title: z.string(),
  /** Path of the text that it speaks of; empty for none. */
  document: z.string(),
  text: z.string().nullable(),
  reason: z.string(),
});
export type NextTokenCursor = z.infer<typeof nextTokenCursor>;

/** The panel asks its host. */
export const nextTokenHost = {
  requests: {
    ready: { params: z.object({}), result: nextTokenCursor.extend(keptInterventions()) },
    nextToken: { params: z.object({ interventions: z.array(intervention) }), result: nextTokens },
    pushing: { params: z.object({ token: z.number().int() }), result: pushing },
    generate: {
      params: z.object({ interventions: z.array(intervention), options: generateOptions }),
      result: z.object({}),
    },
    /** Keeps the list, so that it is there again after a reload. */
    keep: { params: z.object({ interventions: z.array(shownIntervention()) }), result: z.object({}) },
    /** Lets a person choose features; null where they chose none. */
    choose: { params: z.object({}), result: z.object({ names: z.array(featureName) }).nullable() },
    show: { params: z.object({ feature: z.number().int() }), result: z.object({}) },
  },
  notifications: {},
} as const;

/** The host tells the panel. */
export const nextTokenView = {
  requests: {},
  notifications: {
    /** The text before the cursor, or its document, has changed. */
    cursor: nextTokenCursor,
    generated,
    /** Another ensemble, with the list of interventions that is kept for it. */
    ensemble: z.object({ title: z.string(), ...keptInterventions() }),
    /** Another intervention, from a hover or a tree. `names`: as far as they are known. */
    add: z.object({
      features: z.array(z.number().int()),
      names: z.array(featureName),
      kind: intervention.shape.kind,
      value: z.number(),
    }),
    annotationsChanged: z.object({}),
  },
} as const;

/** An intervention with its switch. */
function shownIntervention() {
  return intervention.extend({ on: z.boolean() });
}
/** A list of interventions with the names of its features. */
function keptInterventions() {
  return { interventions: z.array(shownIntervention()), names: z.array(featureName) };
}
export type ShownIntervention = z.infer<ReturnType<typeof shownIntervention>>;
