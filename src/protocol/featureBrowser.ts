// What the feature browser asks of its host, and what the host tells it. Shapes only; the answers come from src/features by way of src/service.
import * as z from "zod";
import type { Contract } from "./rpc.ts";

/** A token that fires a feature, with the share of the feature's activation mass that lies on it. */
export const activatingToken = z.object({
  text: z.string(),
  count: z.number(),
  /** Mean activation on this token over the feature's maximum, 0…1. */
  strength: z.number(),
  share: z.number(),
});

export const featureRow = z.object({
  /** Global index member·F + index. */
  feature: z.number().int(),
  member: z.number().int(),
  index: z.number().int(),
  label: z.string(),
  /** Of a label that a language model gave: its name, and how well the label told held-out passages (0.5 is chance). */
  labelSource: z.object({ model: z.string(), detection: z.number().nullable(), passages: z.number().int() }).nullable(),
  note: z.string(),
  flagged: z.boolean(),
  tokens: z.array(activatingToken),
  /** Share of tokens on which it fires; null where the index has none. */
  density: z.number().nullable(),
  max: z.number().nullable(),
  mean: z.number().nullable(),
  /** Counts of activations in equal bins of (0, max]. */
  histogram: z.array(z.number()),
  /** For each member, whether a feature of it has a decoder cosine of at least 0.7 with this one. */
  foundIn: z.array(z.boolean()),
});
export type FeatureRow = z.infer<typeof featureRow>;

export type Sequence = z.infer<typeof sequence>;
export const sequence = z.object({
  /** Where the text comes from: document number in the corpus. */
  document: z.number().int(),
  /** Where the peak stands in that document: range of bytes in its UTF-8. */
  start: z.number().int(),
  end: z.number().int(),
  tokens: z.array(z.object({ text: z.string(), value: z.number() })),
  peak: z.number().int(),
  /** How many of the band's sequences are the same up to the peak, this one included. */
  count: z.number().int().min(1),
});

/** Asks for the source text at a token. */
export const sourceQuestion = z.object({
  document: z.number().int().min(0),
  start: z.number().int().min(0),
  end: z.number().int().min(0),
  token: z.string(),
});
export type SourceQuestion = z.infer<typeof sourceQuestion>;

export const featureDetail = z.object({
  row: featureRow,
  /** Its page on Neuronpedia, where its member is a published SAE. */
  neuronpedia: z.string().nullable(),
  topLogits: z.array(z.object({ text: z.string(), value: z.number() })),
  bottomLogits: z.array(z.object({ text: z.string(), value: z.number() })),
  bands: z.array(z.object({ name: z.string(), from: z.number(), to: z.number(), sequences: z.array(sequence) })),
  neighbours: z.array(
    z.object({
      feature: z.number().int(),
      member: z.number().int(),
      index: z.number().int(),
      cosine: z.number(),
      label: z.string(),
      tokens: z.array(z.string()),
    }),
  ),
});
export type FeatureDetail = z.infer<typeof featureDetail>;

export const sortKey = z.enum(["clarity", "feature", "density", "max", "mean", "foundIn", "label"]);

export const listQuery = z.object({
  /** token, "text in contexts", /regular expression over tokens/, label:words. Empty: everything. */
  text: z.string(),
  member: z.number().int().nullable(),
  state: z.enum(["alive", "dead", "all"]),
  minFoundIn: z.number().int(),
  flaggedOnly: z.boolean(),
  /** Least and largest density, as shares; null: any. */
  density: z.tuple([z.number(), z.number()]).nullable(),
  sort: sortKey,
  descending: z.boolean(),
});
export type ListQuery = z.infer<typeof listQuery>;

export const snapshot = z.object({
  title: z.string(),
  ensembleFolder: z.string(),
  /** When its index was written, in milliseconds since 1970. */
  indexTime: z.number(),
  method: z.string(),
  members: z.number().int(),
  width: z.number().int(),
  hook: z.string(),
  corpusTokens: z.number(),
  canTryText: z.boolean(),
  /** Whether the editor offers a language model that could label features. */
  canLabel: z.boolean(),
  /** Feature to show first, from a link or a tree. */
  open: z.number().int().nullable(),
});
export type Snapshot = z.infer<typeof snapshot>;

/** Change of one or more features' annotations; absent keys stay as they are. */
export const annotation = z.object({
  features: z.array(z.number().int()).min(1),
  flagged: z.boolean().optional(),
  label: z.string().optional(),
  note: z.string().optional(),
});

export const triedToken = z.object({
  text: z.string(),
  features: z.array(z.object({ feature: z.number().int(), value: z.number() })),
});

/** Code of the error that an ensemble's index is whole and its annotations.json is not: to build the index anew would be no help. */
export const ANNOTATIONS_DAMAGED = 1;
/** Code of the error that an ensemble's folder is no more: there is nothing to open or to build. */
export const ENSEMBLE_DELETED = 2;

/** The webview asks, the host answers. */
export const featureBrowserHost = {
  requests: {
    ready: { params: z.object({}), result: snapshot },
    page: {
      params: z.object({ query: listQuery, offset: z.number().int().min(0), limit: z.number().int().min(1).max(500) }),
      result: z.object({ total: z.number().int(), rows: z.array(featureRow) }),
    },
    /** Where a feature stands among a query's rows; null where it is not among them. */
    place: {
      params: z.object({ query: listQuery, feature: z.number().int() }),
      result: z.object({ place: z.number().int().nullable() }),
    },
    detail: { params: z.object({ feature: z.number().int() }), result: featureDetail },
    annotate: { params: annotation, result: z.object({}) },
    undo: { params: z.object({}), result: z.object({ undone: z.boolean() }) },
    tryText: {
      params: z.object({ text: z.string().max(20_000) }),
      result: z.object({ tokens: z.array(triedToken), rows: z.array(featureRow) }),
    },
    /** Opens the source text in an editor. */
    openSource: { params: sourceQuestion, result: z.object({}) },
    /** Opens a feature's page in the browser. */
    openNeuronpedia: { params: z.object({ feature: z.number().int() }), result: z.object({}) },
    /** Has features labelled by the editor's language model; the host asks before anything is sent. */
    labelWithModel: { params: z.object({ features: z.array(z.number().int()).min(1) }), result: z.object({}) },
    /** Builds the index that could not be opened anew, as a run. */
    buildIndex: { params: z.object({}), result: z.object({}) },
    copy: { params: z.object({ text: z.string() }), result: z.object({}) },
    /** Closes the panel. */
    close: { params: z.object({}), result: z.object({}) },
  },
  notifications: {},
} as const satisfies Contract;

/** The host tells the webview. */
export const featureBrowserView = {
  requests: {},
  notifications: {
    /** Flags, labels or notes changed (here, in another window or on disk). */
    annotationsChanged: z.object({}),
    /** The index was built anew: its features are others, under the same numbers. */
    indexChanged: z.object({}),
    canLabelChanged: z.object({ canLabel: z.boolean() }),
    show: z.object({ feature: z.number().int() }),
  },
} as const satisfies Contract;
