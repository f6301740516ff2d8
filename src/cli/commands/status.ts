// `status`: the runs here, or one run followed while it works.
import { Command } from "commander";
import { followEvents } from "../../jobs/eventLog.ts";
import { runPaths } from "../../jobs/runFolder.ts";
import { findRuns, isAtWork, type RunStatus, readRunStatus, workingTime } from "../../jobs/runRecord.ts";
import { createDisplay, displayMode } from "../display.ts";
import { shortPath } from "../foreground.ts";
import { duration, share, stageShown } from "../words.ts";

interface StatusOptions {
  readonly follow?: boolean;
  readonly json?: boolean;
}

export function statusCommand(): Command {
  return new Command("status")
    .summary("list runs, or follow one")
    .argument("[folder]", "a run folder, or a folder with runs in it", ".")
    .option("--follow", "show what the run does until it ends")
    .option("--json", "JSON lines on standard output")
    .action(async (folder: string, options: StatusOptions) => {
      if (options.follow) return follow(folder, options);
      const runs = findRuns(folder);
      if (options.json) for (const run of runs) console.log(JSON.stringify(statusOrDamage(run)));
      else if (runs.length === 0) console.log("No runs here. Begin with: sae-ensembles demo");
      else console.log(runs.map((run) => line(run)).join("\n"));
    });
}

/** One damaged run must not hide the others. */
function statusOrDamage(folder: string): RunStatus | { folder: string; state: "damaged"; reason: string } {
  try {
    return readRunStatus(folder);
  } catch (error) {
    return { folder, state: "damaged", reason: (error as Error).message };
  }
}

function line(folder: string): string {
  const name = shortPath(folder).padEnd(28);
  const status = statusOrDamage(folder);
  if (status.state === "damaged") return `${name}  damaged   ${status.reason}`;
  const { state, record, reason } = status;
  const { progress } = record;
  const detail =
    state === "running" && progress
      ? `${stageShown(progress.stage)} ${share(progress.done / progress.total)}${progress.eta === null ? "" : `, ${duration(progress.eta)} left`}`
      : state === "done"
        ? `${record.jobs.join(", ")}; ${duration(workingTime(record) / 1000)} of work in all`
        : (reason ?? "");
  return `${name}  ${state.padEnd(8)}  ${detail}`.trimEnd();
}

async function follow(folder: string, options: StatusOptions): Promise<void> {
  const status = readRunStatus(folder);
  const display = createDisplay(displayMode(options));
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const ended = () => !isAtWork(readRunStatus(folder).state);
  for await (const event of followEvents(runPaths(status.folder).events, { signal: stop.signal, ended }))
    display.show(event);
  display.end();
  if (!options.json) console.error(line(folder));
}
