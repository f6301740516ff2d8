// `run`: all jobs that an experiment asks for, one after the other.
import type { Command } from "commander";
import { Option } from "commander";
import { allJobs, jobsOf } from "../../jobs/runJobs.ts";
import type { JobKind } from "../../protocol/runEvents.ts";
import { type ExperimentCommandOptions, experimentCommand, parseJobs, runExperiment } from "../experimentCommand.ts";

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
      await runExperiment(file, options.jobs ?? jobsOf, options);
    });
}
