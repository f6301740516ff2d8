// The sections "debias" and "concepts" of an experiment file: labelled texts and what to do with them. The jobs are debiasJob.ts and conceptsJob.ts.
import { z } from "zod";
import { LEAST_TRAIN } from "../data/fourCells.ts";

const count = z.int().positive();
const names = z.array(z.string().min(1)).nonempty();

/** Lists in which nothing stands twice: the same seed again would be no replication. */
function once<List extends z.ZodArray>(list: List): List {
  return list.superRefine((values, context) => {
    const again = values.findIndex((value, at) => values.indexOf(value) < at);
    if (again >= 0) context.addIssue({ code: "custom", path: [again], message: "each one once" });
  });
}

const seeds = once(z.array(z.int().nonnegative()).nonempty())
  .default([0, 1, 2])
  .meta({ description: "Seeds of draws and probes; numbers are means and spreads over them." });
const path = z.string().min(1);

const labelled = {
  dataset_path: path.meta({
    description:
      'Labelled texts: .jsonl, .csv, .tsv or .parquet, plain or .gz; the name of a data set on the Hugging Face hub (owner/name, perhaps with /test behind it for that part); or "demo" for the demo\'s biographies.',
  }),
  text_column: z.string().min(1).default("text").meta({ description: "Column that holds the text." }),
  ensembles: names.optional().meta({ description: "Names of trained ensembles; default all." }),
  seeds,
  report: path.optional().meta({ description: "Where the report goes, without an ending; default the run folder." }),
};

const saebenchCompatible = z.boolean().default(false).meta({
  description: "SAEBench's choices: probes selected on test rows, its padding encoded; the report lists them.",
});

const pair = z.strictObject({ positive: names, negative: names });

export const debiasSchema = z
  .strictObject({
    ...labelled,
    test_dataset_path: path
      .optional()
      .meta({ description: "Texts to test on; without them 30% of dataset_path are held out with each seed." }),
    label_column: z.string().min(1).default("profession").meta({ description: "Column of the label." }),
    attribute_column: z.string().min(1).default("gender").meta({ description: "Column of the spurious attribute." }),
    labels: pair.optional().meta({ description: "Values of the label to tell apart; default its only two." }),
    attributes: pair.optional().meta({ description: "The same for the attribute." }),
    per_cell: z
      .int()
      .min(LEAST_TRAIN)
      .optional()
      .meta({ description: "At most so many texts a cell in the balanced training set, and half as many to test on." }),
    n: once(z.array(count).nonempty()).optional().meta({ description: "Numbers of features for SCR." }),
    shift: count.default(20).meta({ description: "Suggested features that stand in for flags." }),
    flags: z
      .array(z.string().regex(/^\d+\/\d+$/, "a feature's name, member/index"))
      .optional()
      .meta({ description: "Flagged features, member/index; default those of annotations.json beside each ensemble." }),
    probe: path
      .optional()
      .meta({ description: "Folder for the debiased probe of the flagged features (first seed, retrained)." }),
    saebench_compatible: saebenchCompatible,
  })
  .meta({ description: "Spurious-correlation removal on labelled texts, with every trained ensemble." });

export const conceptsSchema = z
  .strictObject({
    ...labelled,
    test_dataset_path: path.optional().meta({
      description: "Labelled texts to test on; without them 30% of each class are held out with the first seed.",
    }),
    label_column: z.string().min(1).default("profession").meta({ description: "Column of the class." }),
    classes: once(names).optional().meta({ description: "Classes; default all with enough texts." }),
    per_class: count
      .default(400)
      .meta({ description: "At most so many texts a class for training, and half as many to test on." }),
    tpp: once(z.array(count))
      .default([2, 5, 10, 20, 50, 100])
      .meta({ description: "Numbers of features for targeted probe perturbation; empty: none." }),
    saebench_compatible: saebenchCompatible,
  })
  .meta({ description: "Concept detection on labelled texts, with every trained ensemble." });

export type DebiasSection = z.output<typeof debiasSchema>;
export type ConceptsSection = z.output<typeof conceptsSchema>;
