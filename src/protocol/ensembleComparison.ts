// What the comparison of ensembles shows, and what it asks of its host. Shapes only.
import * as z from "zod";
import { reportTable } from "./reportTable.ts";
import type { Contract } from "./rpc.ts";

export const comparison = z.object({
  ensembles: z.array(
    z.object({
      label: z.string(),
      folder: z.string(),
      method: z.string(),
      /** Counted from 1; null where it was not trained here. */
      seedSet: z.number().int().nullable(),
      members: z.number().int(),
      features: z.number().int(),
      d_in: z.number().int(),
      hook: z.string(),
    }),
  ),
  /** A row an ensemble, in the same order. */
  table: reportTable,
  /** How the features of ensemble `of` are found in ensemble `in`; null where they can't be matched, with the reason. */
  matches: z.array(
    z.object({
      of: z.number().int(),
      in: z.number().int(),
      meanCosine: z.number().nullable(),
      found: z.number().nullable(),
      reason: z.string(),
    }),
  ),
});
export type Comparison = z.infer<typeof comparison>;

export const comparisonHost = {
  requests: {
    ready: { params: z.object({}), result: comparison },
    browse: { params: z.object({ ensemble: z.string() }), result: z.object({}) },
  },
  notifications: {},
} as const satisfies Contract;
