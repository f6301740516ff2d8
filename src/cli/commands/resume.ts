// `resume`: goes on with a run that was stopped, failed or was killed.
import { Command } from "commander";
import { experimentOfRun, readRunStatus } from "../../jobs/runRecord.ts";
import { addRunOptions, type ExperimentCommandOptions, startDetached } from "../experimentCommand.ts";
import { runInForeground } from "../foreground.ts";

export function resumeCommand(): Command {
  const command = new Command("resume")
    .summary("go on with a stopped, failed or killed run")
    .description(
      "Goes on with a run from its newest checkpoint, with the jobs it was started with. The result has the same bits as that of a run that was never interrupted.",
    )
    .argument("<run>", "run folder")
    .option("--detach", "in a process of its own that outlives this terminal");
  return addRunOptions(command).action(async (folder: string, options: ExperimentCommandOptions) => {
    const { record } = readRunStatus(folder);
    const experiment = experimentOfRun(folder);
    await (options.detach
      ? startDetached(experiment, record.jobs, options)
      : runInForeground(experiment, record.jobs, options));
  });
}
