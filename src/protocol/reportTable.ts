// The evaluation report as a table, for whoever shows it. Shapes only.
import * as z from "zod";

/** The evaluation report as a table: methods in rows, metrics in columns. */
export const reportTable = z.object({
  /** What a row's numbers are over, in a sentence; empty where that goes without saying. */
  over: z.string(),
  columns: z.array(
    z.object({
      key: z.string(),
      title: z.string(),
      better: z.enum(["higher", "lower"]).nullable(),
      /** In the paper's own table. */
      paper: z.boolean(),
      /** How it is computed, in a sentence. */
      about: z.string(),
    }),
  ),
  rows: z.array(
    z.object({
      label: z.string(),
      /** One a column; a number that could not be had is null with its reason. */
      cells: z.array(z.object({ value: z.number().nullable(), reason: z.string() })),
    }),
  ),
});
export type ReportTable = z.infer<typeof reportTable>;
