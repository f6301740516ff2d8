// Runs jobs in this process for a command: shows what happens, turns Ctrl-C into a checkpoint, says how to go on.
import { relative, sep } from "node:path";
import type { Experiment } from "../jobs/experiment.ts";
import { runJobs } from "../jobs/runJobs.ts";
import type { JobKind } from "../protocol/runEvents.ts";
import { createDisplay, displayMode } from "./display.ts";

export interface ForegroundOptions {
  readonly json?: boolean;
  readonly plain?: boolean;
  /** false: begins at once, whatever else runs on the device. */
  readonly queue?: boolean;
}

/** npm hands on the Ctrl-C that the terminal has sent already: what comes within so many milliseconds is the same wish. */
const SAME_WISH = 1000;

/** `goOn`: the command that goes on after a stop. Returns "stopped" (and sets the exit code) where it was stopped; throws what made it fail. */
export async function runInForeground(
  experiment: Experiment,
  kinds: readonly JobKind[],
  options: ForegroundOptions,
  goOn = `sae-ensembles resume ${shortPath(experiment.paths.runFolder)}`,
): Promise<"done" | "stopped"> {
  const display = createDisplay(displayMode(options));
  const stop = new AbortController();
  let asked = Number.POSITIVE_INFINITY;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) {
      if (performance.now() - asked < SAME_WISH) return;
      display.end();
      // Not process.exit: it would take worker threads down in the middle of native code, which ends in an abort.
      process.kill(process.pid, "SIGKILL");
    }
    asked = performance.now();
    if (!options.json)
      process.stderr.write(
        `\n${signal === "SIGINT" ? "Ctrl-C" : signal}: saving a checkpoint …  (again: end at once, losing what came after the last checkpoint)\n`,
      );
    stop.abort(new DOMException(signal, "AbortError"));
  };
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const outcome = await runJobs(experiment, kinds, {
      signal: stop.signal,
      queue: options.queue !== false,
      onEvent: (event) => display.show(event),
    });
    display.end();
    if (outcome === "stopped") {
      process.exitCode = 130;
      if (!options.json) process.stderr.write(`Stopped. To go on: ${goOn}\n`);
    }
    return outcome;
  } finally {
    display.end();
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** As it would be typed here. */
export function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  const shown = short === "" ? "." : short.startsWith("..") ? path : short;
  return quoted(shown, sep);
}

/** One word to a shell. Where "\\" stands between folders, no shell takes it for an escape, and no name has a quote in it. */
export function quoted(path: string, separator: string): string {
  if (!/[^\w@%+=:,./\\-]/.test(path)) return path;
  return separator === "\\" ? `"${path}"` : JSON.stringify(path);
}
