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

export const sequence = z.object({
  /** Where the text comes from: document number in the corpus. */
  document: z.number().int(),
  tokens: z.array(z.object({ text: z.string(), value: z.number() })),
  peak: z.number().int(),
});

export const featureDetail = z.object({
  row: featureRow,
  topLogits: z.array(z.object({ text: z.string(), value: z.number() })).nullable(),
  bottomLogits: z.array(z.object({ text: z.string(), value: z.number() })).nullable(),
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
  sort: sortKey,
  descending: z.boolean(),
});
export type ListQuery = z.infer<typeof listQuery>;

export const snapshot = z.object({
  title: z.string(),
  ensembleFolder: z.string(),
  method: z.string(),
  members: z.number().int(),
  width: z.number().int(),
  hook: z.string(),
  corpusTokens: z.number(),
  canTryText: z.boolean(),
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

/** The webview asks, the host answers. */
export const featureBrowserHost = {
  requests: {
    ready: { params: z.object({}), result: snapshot },
    page: {
      params: z.object({ query: listQuery, offset: z.number().int().min(0), limit: z.number().int().min(1).max(500) }),
      result: z.object({ total: z.number().int(), rows: z.array(featureRow) }),
    },
    detail: { params: z.object({ feature: z.number().int() }), result: featureDetail },
    annotate: { params: annotation, result: z.object({}) },
    undo: { params: z.object({}), result: z.object({ undone: z.boolean() }) },
    tryText: {
      params: z.object({ text: z.string().max(20_000) }),
      result: z.object({ tokens: z.array(triedToken), rows: z.array(featureRow) }),
    },
    copy: { params: z.object({ text: z.string() }), result: z.object({}) },
  },
  notifications: {},
} as const satisfies Contract;

/** The host tells the webview. */
export const featureBrowserView = {
  requests: {},
  notifications: {
    /** Flags, labels or notes changed (here, in another window or on disk). */
    annotationsChanged: z.object({}),
    show: z.object({ feature: z.number().int() }),
  },
} as const satisfies Contract;
