// `debias`: what a classifier loses to a spurious attribute, and what comes back when features are taken out; over seeds, beside the baselines.
import { Command, Option } from "commander";
import { LEAST_TRAIN } from "../../data/fourCells.ts";
import { debiasReportPath } from "../../jobs/debiasJob.ts";
import { debiasSchema } from "../../jobs/probingSchema.ts";
import { experimentOfRun } from "../../jobs/runRecord.ts";
import {
  checkedSection,
  dataPath,
  list,
  outputPath,
  type ProbingOptions,
  positive,
  runProbing,
  valuePair,
  wholeNumberFrom,
  wholeNumbersFrom,
} from "../labelledOptions.ts";

interface DebiasOptions extends ProbingOptions {
  readonly data: string;
  readonly test?: string;
  readonly text: string;
  readonly label: string;
  readonly attribute: string;
  readonly labels?: ReturnType<typeof valuePair>;
  readonly attributes?: ReturnType<typeof valuePair>;
  readonly ensemble?: string[];
  readonly flags?: string[];
  readonly seeds: number[];
  readonly n?: number[];
  readonly shift: number;
  readonly perCell?: number;
  readonly report?: string;
  readonly probe?: string;
  readonly saebenchCompatible?: boolean;
}

export function debiasCommand(): Command {
  return new Command("debias")
    .summary("remove a spurious correlation with flagged or suggested features")
    .description(
      "Trains probes of a label on biased and on balanced texts, takes features out of the activations, and says what the worst group of texts gains: SCR over n features, SHIFT with and without retraining, beside random features and mean-difference projection. For every trained ensemble of a run, in both directions of the bias. Without --data: the demo's biographies.",
    )
    .argument("<run>", "run folder")
    .option(
      "--data <file>",
      "labelled texts (.jsonl, .csv, .tsv, .parquet, plain or .gz), or a data set's name on the hub",
      "demo",
    )
    .option("--test <file>", "texts to test on; left out, 30% of --data is held out with each seed")
    .option("--text <column>", "column of the text", "text")
    .option("--label <column>", "column of the label", "profession")
    .option("--attribute <column>", "column of the spurious attribute", "gender")
    .addOption(
      new Option("--labels <a,b/c,d>", "values of the label to tell apart; left out, its only two").argParser(
        valuePair,
      ),
    )
    .addOption(new Option("--attributes <a/b>", "the same for the attribute").argParser(valuePair))
    .addOption(new Option("--ensemble <names>", "ensembles, with commas; default all that are trained").argParser(list))
    .addOption(
      new Option(
        "--flags <features>",
        "flagged features, member/index with commas; left out, those of annotations.json beside each ensemble",
      ).argParser(list),
    )
    .addOption(
      new Option("--seeds <numbers>", "seeds of draws and probes").argParser(wholeNumbersFrom(0)).default([0, 1, 2]),
    )
    .addOption(
      new Option("--n <numbers>", "numbers of features for SCR; default 2,5,10,20,50,100,500").argParser(
        wholeNumbersFrom(1),
      ),
    )
    .addOption(new Option("--shift <n>", "suggested features that stand in for flags").argParser(positive).default(20))
    .addOption(
      new Option(
        "--per-cell <n>",
        `at most so many texts a cell in the balanced training set (${LEAST_TRAIN} at least), and half as many to test on`,
      ).argParser(wholeNumberFrom(LEAST_TRAIN)),
    )
    .option("--report <path>", "where the report goes, without ending; default debias in the run folder")
    .option(
      "--probe <folder>",
      "also write the debiased probe of the flagged features (first seed, retrained), with code that applies it",
    )
    .option(
      "--saebench-compatible",
      "SAEBench's choices: probes selected on test rows, its padding encoded; the report lists them",
    )
    .option("--json", "the report as JSON on standard output, and nothing else there")
    .action(run);
}

async function run(folder: string, options: DebiasOptions): Promise<void> {
  const before = experimentOfRun(folder);
  const section = checkedSection(debiasSchema, {
    dataset_path: dataPath(options.data),
    ...(options.test !== undefined && { test_dataset_path: dataPath(options.test) }),
    text_column: options.text,
    label_column: options.label,
    attribute_column: options.attribute,
    ...(options.labels && { labels: options.labels }),
    ...(options.attributes && { attributes: options.attributes }),
    ...(options.ensemble && { ensembles: options.ensemble }),
    ...(options.flags && { flags: options.flags }),
    seeds: options.seeds,
    ...(options.n && { n: options.n }),
    shift: options.shift,
    ...(options.perCell !== undefined && { per_cell: options.perCell }),
    ...(options.report !== undefined && { report: outputPath(folder, options.report) }),
    ...(options.probe !== undefined && { probe: outputPath(folder, options.probe) }),
    saebench_compatible: options.saebenchCompatible === true,
  });
  const experiment = { ...before, settings: { ...before.settings, debias: section } };
  await runProbing(experiment, "debias", debiasReportPath(experiment), options);
}
