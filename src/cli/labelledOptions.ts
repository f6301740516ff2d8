// What the commands over labelled data share: their options, and running the job and printing its report.
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Experiment } from "../jobs/experiment.ts";
import { hubPath } from "../jobs/obtain.ts";
import { runInForeground, shortPath } from "./foreground.ts";

/** "1,2,3" → whole numbers. */
export function wholeNumbers(value: string): number[] {
  return list(value).map((part) => {
    if (!/^\d+$/.test(part)) throw new InvalidArgumentError("Expected whole numbers with commas between them.");
    return Number(part);
  });
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

export interface ProbingOptions {
  readonly json?: boolean;
}

/** "demo", the name of a data set on the hub, or the file as an absolute path. */
export function dataPath(value: string): string {
  const named = value === "demo" || (!existsSync(value) && hubPath(value, "dataset", process.cwd()) !== null);
  return named ? value : resolve(value);
}

/** Runs one of the jobs on labelled texts in a run's folder and prints its report, `<report>.md` or `.json`. */
export async function runProbing(
  experiment: Experiment,
  kind: "debias" | "concepts",
  report: string,
  { json }: ProbingOptions,
): Promise<void> {
  const outcome = await runInForeground(experiment, [kind], {});
  if (outcome === "stopped") return;
  if (json) return console.log(JSON.stringify(JSON.parse(readFileSync(`${report}.json`, "utf8"))));
  console.log(readFileSync(`${report}.md`, "utf8").trimEnd());
  console.log(`\nIn full: ${shortPath(`${report}.md`)}, ${shortPath(`${report}.json`)}`);
}
