// `evaluate`: the metrics of every trained ensemble, as a table and as files.
import type { Command } from "commander";
import { readReportTable } from "../../jobs/evaluate.ts";
import { type ExperimentCommandOptions, experimentCommand, runExperiment } from "../experimentCommand.ts";
import { shortPath } from "../foreground.ts";

export function evaluateCommand(): Command {
  return experimentCommand("evaluate", ["evaluate"])
    .summary("compute the metrics of every trained ensemble and compare them")
    .description(
      "Computes every metric over held-out text for each trained ensemble, prints them side by side and writes report.json, report.csv and report.md.",
    )
    .action(async (file: string, options: ExperimentCommandOptions) => {
      const { outcome, runFolder } = await runExperiment(file, ["evaluate"], options);
      if (outcome !== "done" || options.json) return;
      console.log(`\n${readReportTable(runFolder)}`);
      console.log(`\nreport.json, report.csv and report.md are in ${shortPath(runFolder)}`);
    });
}
