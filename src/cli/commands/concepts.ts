// `concepts`: which features tell a class of texts from the rest, and how well one, two or five of them do it.
import { Command, Option } from "commander";
import { conceptsReportPath } from "../../jobs/conceptsJob.ts";
import { conceptsSchema } from "../../jobs/probingSchema.ts";
import { experimentOfRun } from "../../jobs/runRecord.ts";
import {
  checkedSection,
  dataPath,
  list,
  outputPath,
  type ProbingOptions,
  positive,
  runProbing,
  wholeNumbersFrom,
} from "../labelledOptions.ts";

interface ConceptsOptions extends ProbingOptions {
  readonly data: string;
  readonly test?: string;
  readonly text: string;
  readonly label: string;
  readonly classes?: string[];
  readonly ensemble?: string[];
  readonly seeds: number[];
  readonly perClass: number;
  readonly tpp: number[];
  readonly report?: string;
  readonly saebenchCompatible?: boolean;
}

export function conceptsCommand(): Command {
  return new Command("concepts")
    .summary("which features detect each class of labelled texts")
    .description(
      "Concept detection by sparse probing: for every class the k features (1, 2, 5) that differ most, a logistic regression on them, and its accuracy against the rest; beside raw activations and all features at once. For every trained ensemble of a run. Without --data: the professions of the demo's biographies.",
    )
    .argument("<run>", "run folder")
    .option(
      "--data <file>",
      "labelled texts (.jsonl, .csv, .tsv, .parquet, plain or .gz), or a data set's name on the hub",
      "demo",
    )
    .option("--test <file>", "texts to test on; left out, 30% of each class of --data is held out")
    .option("--text <column>", "column of the text", "text")
    .option("--label <column>", "column of the class", "profession")
    .addOption(new Option("--classes <names>", "classes, with commas; default all with enough texts").argParser(list))
    .addOption(new Option("--ensemble <names>", "ensembles, with commas; default all that are trained").argParser(list))
    .addOption(
      new Option("--seeds <numbers>", "seeds of the texts to tell a class from")
        .argParser(wholeNumbersFrom(0))
        .default([0, 1, 2]),
    )
    .addOption(
      new Option("--per-class <n>", "at most so many texts a class, and half as many to test on")
        .argParser(positive)
        .default(400),
    )
    .addOption(
      new Option("--tpp <numbers>", "numbers of features for targeted probe perturbation, or none")
        .argParser((value) => (value === "none" ? [] : wholeNumbersFrom(1)(value)))
        .default([2, 5, 10, 20, 50, 100]),
    )
    .option("--report <path>", "where the report goes, without ending; default concepts in the run folder")
    .option(
      "--saebench-compatible",
      "SAEBench's choices for all features at once and for perturbation; the report lists them",
    )
    .option("--json", "the report as JSON on standard output, and nothing else there")
    .action(run);
}

async function run(folder: string, options: ConceptsOptions): Promise<void> {
  const before = experimentOfRun(folder);
  const section = checkedSection(conceptsSchema, {
    dataset_path: dataPath(options.data),
    ...(options.test !== undefined && { test_dataset_path: dataPath(options.test) }),
    text_column: options.text,
    label_column: options.label,
    ...(options.classes && { classes: options.classes }),
    ...(options.ensemble && { ensembles: options.ensemble }),
    per_class: options.perClass,
    tpp: options.tpp,
    seeds: options.seeds,
    ...(options.report !== undefined && { report: outputPath(folder, options.report) }),
    saebench_compatible: options.saebenchCompatible === true,
  });
  const experiment = { ...before, settings: { ...before.settings, concepts: section } };
  await runProbing(experiment, "concepts", conceptsReportPath(experiment), options);
}
