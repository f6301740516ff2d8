// Labelled data as the views of debiasing and concepts choose it: a file's columns, its values with their counts. Shapes only.
import * as z from "zod";

/** Mean over seeds and standard deviation; null where there is none (an empty cell, a single seed). */
export const spread = z.object({ mean: z.number().nullable(), sd: z.number().nullable() });
export type Spread = z.infer<typeof spread>;

export const columns = z.object({ text: z.string(), label: z.string(), attribute: z.string() });
export type Columns = z.infer<typeof columns>;

export const labelledQuestion = z.object({
  /** A file, or a data set of the hub by its name; so is the other. */
  trainFile: z.string().min(1),
  testFile: z.string().nullable(),
  /** Guessed from the columns' names and contents where left out. */
  columns: columns.nullable(),
  /** Whether an attribute is wanted too. */
  attribute: z.boolean(),
});

/** Texts that a cell must have at least, in either file; `test` is 0 where texts are held out of the first. */
const leastTexts = z.object({ train: z.number().int(), test: z.number().int() });

export const labelledData = z.object({
  trainFile: z.string(),
  testFile: z.string().nullable(),
  /** Names of the file's columns. */
  names: z.array(z.string()),
  columns,
  /** Texts of each pair of values; `attribute` is empty where none was asked for. `test`: of the other file, null without one. */
  counts: z.array(
    z.object({ label: z.string(), attribute: z.string(), train: z.number().int(), test: z.number().int().nullable() }),
  ),
  /** What was left out, in words: empty texts, texts without a label, texts that came before; "" where nothing was. */
  leftOut: z.string(),
  /** Why these columns can't be read; "" where they can. Others can be chosen then. */
  trouble: z.string(),
  /** What a debiasing needs of the cells in which label and attribute agree, and of the others. */
  least: z.object({ agree: leastTexts, differ: leastTexts }),
});
export type LabelledData = z.infer<typeof labelledData>;

/** What a view's heading says of the ensemble that it probes. */
export const probedEnsemble = z.object({
  title: z.string(),
  ensemble: z.string(),
  method: z.string(),
  members: z.number().int(),
  hook: z.string(),
});

/** Where long work on labelled texts is. */
export const probingProgress = z.object({
  stage: z.string(),
  done: z.number(),
  total: z.number(),
  unit: z.string(),
  /** Seconds left; null while unknown. */
  eta: z.number().nullable(),
});
export type ProbingProgress = z.infer<typeof probingProgress>;

/** What a view saved: its path, from the service whole, for a webview as a person reads it. */
export const savedFile = z.object({ file: z.string() });
