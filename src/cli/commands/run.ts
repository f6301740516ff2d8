// `run`: all jobs that an experiment asks for, one after the other.
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { Option } from "commander";
import { indexedEnsembles } from "../../jobs/buildIndex.ts";
import { readReportTable } from "../../jobs/evaluate.ts";
import { runPaths } from "../../jobs/runFolder.ts";
import { allJobs, jobsOf } from "../../jobs/runJobs.ts";
import type { JobKind } from "../../protocol/runEvents.ts";
import { type ExperimentCommandOptions, experimentCommand, parseJobs, runExperiment } from "../experimentCommand.ts";
import { shortPath } from "../foreground.ts";

export function runCommand(): Command {
  return experimentCommand("run", jobsOf)
    .summary("harvest, train, evaluate and index, going on wherever it ended before")
    .description(
      "Does everything that an experiment file asks for: harvest, train, evaluate, index, and debias and concepts where it has sections for them. What is done already is not done again.",
    )
    .addOption(
      new Option("--jobs <list>", `only these, e.g. harvest,train (of ${allJobs.join(", ")})`).argParser(parseJobs),
    )
    .action(async (file: string, options: ExperimentCommandOptions & { jobs?: JobKind[] }) => {
      const { outcome, runFolder } = await runExperiment(file, options.jobs ?? jobsOf, options);
      if (outcome === "done" && !options.json) sayWhatThereIs(runFolder);
    });
}

/** The table, and where everything is. */
export function sayWhatThereIs(runFolder: string): void {
  const { report } = runPaths(runFolder);
  if (existsSync(report("json"))) console.log(`\n${readReportTable(runFolder)}`);
  console.log(`\nEverything is in ${shortPath(runFolder)}`);
  if (indexedEnsembles(runFolder).length > 0)
    console.log(`Its features: sae-ensembles features ${shortPath(runFolder)}`);
}
