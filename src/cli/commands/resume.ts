// `resume`: goes on with a run that was stopped, failed or was killed.
import { statSync } from "node:fs";
import { Command, Option } from "commander";
import { InputError } from "../../formats/inputError.ts";
import { resumeArguments } from "../../jobs/launch.ts";
import { allJobs } from "../../jobs/runJobs.ts";
import { experimentOfRun, readRunStatus } from "../../jobs/runRecord.ts";
import type { JobKind } from "../../protocol/runEvents.ts";
import { addRunOptions, type ExperimentCommandOptions, parseJobs, startDetached } from "../experimentCommand.ts";
import { runInForeground } from "../foreground.ts";
import { sayWhatThereIs } from "./run.ts";

export function resumeCommand(): Command {
  const command = new Command("resume")
    .summary("go on with a stopped, failed or killed run")
    .description(
      "Goes on with a run from its newest checkpoint, with the jobs it was started with. The result has the same bits as that of a run that was never interrupted.",
    )
    .argument("<run>", "run folder")
    .addOption(new Option("--jobs <list>", `only these, e.g. evaluate (of ${allJobs.join(", ")})`).argParser(parseJobs))
    .option("--detach", "in a process of its own that outlives this terminal");
  return addRunOptions(command).action(
    async (folder: string, options: ExperimentCommandOptions & { jobs?: JobKind[] }) => {
      if (statSync(folder, { throwIfNoEntry: false })?.isFile()) {
        const expected = "a run folder; sae-ensembles run takes an experiment file, and goes on with its run";
        throw new InputError({ file: folder, found: "a file", expected });
      }
      const { record, folder: runFolder } = readRunStatus(folder);
      const experiment = experimentOfRun(folder);
      if (options.detach) await startDetached(runFolder, resumeArguments(runFolder, options.jobs), options);
      else if ((await runInForeground(experiment, options.jobs ?? record.jobs, options)) === "done" && !options.json)
        sayWhatThereIs(runFolder);
    },
  );
}
