// `stop`: asks a run, wherever it runs, to checkpoint and end.
import { Command } from "commander";
import { requestStop, waitForEnd } from "../../jobs/launch.ts";
import { shortPath } from "../foreground.ts";

export function stopCommand(): Command {
  return new Command("stop")
    .summary("ask a run in another process to save a checkpoint and stop")
    .argument("<run>", "run folder")
    .action(async (folder: string) => {
      if (!requestStop(folder)) {
        console.error(`${shortPath(folder)} is not running.`);
        return;
      }
      const { state } = await waitForEnd(folder);
      console.error(`${shortPath(folder)}: ${state}. To go on: sae-ensembles resume ${shortPath(folder)}`);
    });
}
