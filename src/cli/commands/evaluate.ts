// `evaluate`: the metrics of every trained ensemble, as a table and as files.
import type { Command } from "commander";
import { readReportTable } from "../../jobs/evaluate.ts";
import { readExperiment } from "../../jobs/experiment.ts";
import { type ExperimentCommandOptions, experimentCommand, startDetached } from "../experimentCommand.ts";
import { runInForeground, shortPath } from "../foreground.ts";

export function evaluateCommand(): Command {
  return experimentCommand("evaluate", ["evaluate"])
    .summary("compute the metrics of every trained ensemble and compare them")
    .description(
      "Computes every metric over held-out text for each trained ensemble, prints them side by side and writes report.json, report.csv and report.md.",
    )
    .action(async (file: string, options: ExperimentCommandOptions) => {
      const experiment = readExperiment(file, options);
      if (options.detach) return void (await startDetached(experiment, ["evaluate"], options));
      const outcome = await runInForeground(experiment, ["evaluate"], options);
      if (outcome !== "done" || options.json) return;
      console.log(`\n${readReportTable(experiment.paths.runFolder)}`);
      console.log(`\nreport.json, report.csv and report.md are in ${shortPath(experiment.paths.runFolder)}`);
    });
}
