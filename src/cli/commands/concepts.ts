// `concepts`: which features tell a class of texts from the rest, and how well one, two or five of them do it.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import { InputError } from "../../formats/inputError.ts";
import { concepts } from "../../jobs/concepts.ts";
import { demoPath } from "../../jobs/demoData.ts";
import { shortPath } from "../foreground.ts";
import { list, positive, progressLine, wholeNumbers, withInterrupt } from "../labelledOptions.ts";

interface ConceptsOptions {
  readonly data: string;
  readonly test?: string;
  readonly text: string;
  readonly label: string;
  readonly classes?: string[];
  readonly ensemble?: string[];
  readonly seeds: number[];
  readonly perClass: number;
  readonly report?: string;
  readonly json?: boolean;
}

export function conceptsCommand(): Command {
  return new Command("concepts")
    .summary("which features detect each class of labelled texts")
    .description(
      "Concept detection by sparse probing: for every class the k features (1, 2, 5) that differ most, a logistic regression on them, and its accuracy against the rest; beside raw activations and all features at once. For every trained ensemble of a run. Without --data: the professions of the demo's biographies.",
    )
    .argument("<run>", "run folder")
    .option("--data <file>", "labelled texts (.jsonl, .csv, .tsv, .parquet, plain or .gz)", "demo")
    .option("--test <file>", "labelled texts to test on; needed with --data")
    .option("--text <column>", "column of the text", "text")
    .option("--label <column>", "column of the class", "profession")
    .addOption(new Option("--classes <names>", "classes, with commas; default all with enough texts").argParser(list))
    .addOption(new Option("--ensemble <names>", "ensembles, with commas; default all that are trained").argParser(list))
    .addOption(
      new Option("--seeds <numbers>", "seeds of the texts to tell a class from")
        .argParser(wholeNumbers)
        .default([0, 1, 2]),
    )
    .addOption(
      new Option("--per-class <n>", "at most so many texts a class, and half as many to test on")
        .argParser(positive)
        .default(400),
    )
    .option("--report <path>", "where the report goes, without ending; default concepts in the run folder")
    .option("--json", "the report as JSON on standard output, and nothing else there")
    .action(run);
}

async function run(folder: string, options: ConceptsOptions): Promise<void> {
  const demo = options.data === "demo";
  const testFile = demo ? demoPath("testBios") : options.test;
  if (testFile === undefined)
    throw new InputError({ file: options.data, where: "--test", found: "nothing", expected: "a file to test on" });
  const report = resolve(options.report ?? join(folder, "concepts"));
  const progress = progressLine();
  const result = await withInterrupt((signal) =>
    concepts(folder, report, {
      trainFile: demo ? demoPath("bios") : options.data,
      testFile,
      columns: { text: options.text, label: options.label },
      ...(options.classes && { classes: options.classes }),
      ...(options.ensemble && { ensembles: options.ensemble }),
      perClass: { train: options.perClass, test: Math.ceil(options.perClass / 2) },
      seeds: options.seeds,
      command: ["sae-ensembles", ...process.argv.slice(2)].join(" "),
      signal,
      onProgress: progress.onProgress,
    }),
  ).finally(progress.end);
  if (options.json) return console.log(JSON.stringify(result));
  console.log(readFileSync(`${report}.md`, "utf8").trimEnd());
  console.log(`\nIn full: ${shortPath(`${report}.md`)}, ${shortPath(`${report}.json`)}`);
}
