// `stop`: asks a run, wherever it runs, to checkpoint and end.
import { Command } from "commander";
import { requestStop, waitForEnd } from "../../jobs/launch.ts";
import { readRunStatus } from "../../jobs/runRecord.ts";
import { shortPath } from "../foreground.ts";

export function stopCommand(): Command {
  return new Command("stop")
    .summary("ask a run in another process to save a checkpoint and stop")
    .argument("<run>", "run folder")
    .option("--json", "the run's status as one JSON on standard output, as `status` has it")
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const asked = requestStop(folder);
      const status = asked ? await waitForEnd(folder) : readRunStatus(folder);
      const { state } = status;
      if (json) console.log(JSON.stringify(status));
      else if (!asked) console.error(`${shortPath(folder)} is not running.`);
      else console.error(`${shortPath(folder)}: ${state}. To go on: sae-ensembles resume ${shortPath(folder)}`);
    });
}
