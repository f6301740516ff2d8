// What the view of a file of tensors shows, and what it asks of its host. Shapes only.
import * as z from "zod";
import type { Contract } from "./rpc.ts";

export const tensorFile = z.object({
  title: z.string(),
  /** What the file is, as names and values: "layout" → "sparsify, topk SAE". */
  facts: z.array(z.tuple([z.string(), z.string()])),
  warnings: z.array(z.string()),
  /** Empty where nothing is wrong: why it isn't what it seems to be. */
  problem: z.string(),
  tensors: z.array(z.object({ name: z.string(), dtype: z.string(), shape: z.array(z.number()), bytes: z.number() })),
});
export type TensorFileView = z.infer<typeof tensorFile>;

export const tensorStatistics = z.object({
  elements: z.number(),
  notFinite: z.number(),
  min: z.number(),
  max: z.number(),
  mean: z.number(),
  norm: z.number(),
  zeros: z.number(),
  histogram: z.array(z.number()),
});
export type TensorStatisticsView = z.infer<typeof tensorStatistics>;

export const tensorFileHost = {
  requests: {
    ready: { params: z.object({}), result: tensorFile },
    /** Of the tensor at a place in the list. */
    statistics: { params: z.object({ tensor: z.number().int() }), result: tensorStatistics },
    openAsText: { params: z.object({}), result: z.object({}) },
  },
  notifications: {},
} as const satisfies Contract;
