// What the commands over labelled data share: their options, and running the job and printing its report.
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { expectation } from "../formats/schemaError.ts";
import type { Experiment } from "../jobs/experiment.ts";
import { hubPath } from "../jobs/obtain.ts";
import { sparingReports } from "../jobs/savedReports.ts";
import { runInForeground, shortPath } from "./foreground.ts";
import { reportText } from "./reportText.ts";

/** "1,2,3" → whole numbers that are `least` or more, each once. */
export function wholeNumbersFrom(least: number): (value: string) => number[] {
  return (value) => {
    const numbers = list(value).map((part) => (/^\d+$/.test(part) ? Number(part) : Number.NaN));
    if (!numbers.every((number) => number >= least) || new Set(numbers).size < numbers.length)
      throw new InvalidArgumentError(`Expected whole numbers from ${least} on with commas between them, each once.`);
    return numbers;
  };
}

/** A whole number that is `least` or more. */
export function wholeNumberFrom(least: number): (value: string) => number {
  return (value) => {
    if (!/^\d+$/.test(value) || Number(value) < least)
      throw new InvalidArgumentError(`Expected a whole number from ${least} on.`);
    return Number(value);
  };
}

export const positive = wholeNumberFrom(1);

/** "a,b" → a and b. */
export function list(value: string): string[] {
  const parts = value.split(",").map((part) => part.trim());
  if (parts.some((part) => part === "")) throw new InvalidArgumentError("Expected words with commas between them.");
  return parts;
}

/** "nurse,teacher/surgeon" → the values that stand for 1 and those for 0. */
export function valuePair(value: string): { positive: string[]; negative: string[] } {
  const sides = value.split("/");
  if (sides.length !== 2) throw new InvalidArgumentError('Expected two sides, like "nurse/surgeon" or "a,b/c,d".');
  return { positive: list(sides[0]!), negative: list(sides[1]!) };
}

/** Options by the keys of the section that they have other names than. */
const optionNames: Readonly<Record<string, string>> = {
  dataset_path: "data",
  test_dataset_path: "test",
  text_column: "text",
  label_column: "label",
  attribute_column: "attribute",
  ensembles: "ensemble",
};

/** What the options say, as the section of an experiment. Throws InputError where a file's section would be refused, by the option's name. */
export function checkedSection<Section extends z.ZodType>(
  schema: Section,
  given: z.output<Section>,
): z.output<Section> {
  const issue = schema.safeParse(given).error?.issues[0];
  if (!issue) return given;
  const key = String(issue.path[0]);
  const found = issue.path.reduce((value: unknown, part) => (value as Record<PropertyKey, unknown>)?.[part], given);
  throw new InputError({
    file: `--${optionNames[key] ?? key.replaceAll("_", "-")}`,
    found: JSON.stringify(found) ?? "nothing",
    expected: expectation(issue),
  });
}

export interface ProbingOptions {
  readonly json?: boolean;
}

/** "demo", the name of a data set on the hub, or the file as an absolute path. */
export function dataPath(value: string): string {
  const named = value === "demo" || (!existsSync(value) && hubPath(value, "dataset", process.cwd()) !== null);
  return named ? value : resolve(value);
}

/** Where a report or a probe goes that an option names, as an absolute path; what a view has saved is not replaced. */
export function outputPath(runFolder: string, value: string): string {
  const path = resolve(value);
  const free = sparingReports(resolve(runFolder), path);
  if (free !== path) console.error(`${shortPath(path)} is there already and stays: this goes to ${shortPath(free)}`);
  return free;
}

/** Runs one of the jobs on labelled texts in a run's folder and prints the tables of its report, or `<report>.json`. */
export async function runProbing(
  experiment: Experiment,
  kind: "debias" | "concepts",
  report: string,
  { json }: ProbingOptions,
): Promise<void> {
  const outcome = await runInForeground(experiment, [kind], {});
  if (outcome === "stopped") return;
  if (json) return console.log(JSON.stringify(JSON.parse(readFileSync(`${report}.json`, "utf8"))));
  console.log(reportText(readFileSync(`${report}.md`, "utf8"), Math.min(140, process.stdout.columns ?? 100)));
  console.log(`\nIn full: ${shortPath(`${report}.md`)}, ${shortPath(`${report}.json`)}`);
}
