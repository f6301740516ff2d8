// What the commands that run jobs have in common: an experiment file in, jobs run in this process or in one of its own.
import { Command, InvalidArgumentError, Option } from "commander";
import { type Experiment, readExperiment } from "../jobs/experiment.ts";
import { launchDetached, runArguments } from "../jobs/launch.ts";
import { allJobs } from "../jobs/runJobs.ts";
import type { JobKind } from "../protocol/runEvents.ts";
import { runInForeground, shortPath } from "./foreground.ts";

export interface ExperimentCommandOptions {
  readonly runFolder?: string;
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly detach?: boolean;
  readonly queue?: boolean;
}

/** Options of every command that runs jobs. */
export function addRunOptions(command: Command): Command {
  return command
    .option("--json", "events as JSON lines on standard output, and nothing else there")
    .option("--no-queue", "begin at once, beside whatever else runs on this machine")
    .addOption(new Option("--plain", "plain lines instead of a moving bar").hideHelp());
}

/** A command over an experiment file that runs `kinds`. */
export function experimentCommand(
  name: string,
  kinds: readonly JobKind[] | ((experiment: Experiment) => JobKind[]),
): Command {
  const command = new Command(name)
    .argument("<experiment>", "experiment file (*.sae.jsonc)")
    .option("--run-folder <folder>", "where everything goes, instead of the file's output_path")
    .option("--detach", "in a process of its own that outlives this terminal; `status --follow` watches it");
  return addRunOptions(command).action(async (file: string, options: ExperimentCommandOptions) => {
    await runExperiment(file, kinds, options);
  });
}

export async function runExperiment(
  file: string,
  jobs: readonly JobKind[] | ((experiment: Experiment) => JobKind[]),
  options: ExperimentCommandOptions,
): Promise<{ outcome: "done" | "stopped" | "started"; runFolder: string }> {
  const experiment = readExperiment(file, options);
  const { runFolder } = experiment.paths;
  const kinds = typeof jobs === "function" ? jobs(experiment) : jobs;
  const outcome = options.detach
    ? await startDetached(runFolder, runArguments(experiment, kinds), options)
    : await runInForeground(experiment, kinds, options);
  return { outcome, runFolder };
}

/** Starts a process of its own for `commandArguments` and says how to watch it. */
export async function startDetached(
  folder: string,
  commandArguments: readonly string[],
  options: ExperimentCommandOptions,
): Promise<"started"> {
  const queueing = options.queue === false ? ["--no-queue"] : [];
  const { pid, runFolder } = await launchDetached(folder, [...commandArguments, ...queueing], process.argv[1]!);
  if (options.json) console.log(JSON.stringify({ type: "started", pid, runFolder }));
  else console.error(`Started (process ${pid}). Watch it: sae-ensembles status --follow ${shortPath(runFolder)}`);
  return "started";
}

/** "harvest,train" → the jobs, in the order in which they build on each other. */
export function parseJobs(text: string): JobKind[] {
  const names = text.split(",").map((name) => name.trim());
  for (const name of names)
    if (!allJobs.includes(name as JobKind))
      throw new InvalidArgumentError(`Jobs are ${allJobs.join(", ")}; found "${name}".`);
  return allJobs.filter((job) => names.includes(job));
}
