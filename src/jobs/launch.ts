// Starts a run in a process of its own that outlives this one, and asks a run to stop, from any process. The process is the command line.
import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { JobKind } from "../protocol/runEvents.ts";
import type { Experiment } from "./experiment.ts";
import { makeFolders, removeFolders, runPaths } from "./runFolder.ts";
import { isRunLocked } from "./runLock.ts";
import { isAtWork, lastWords, type RunStatus, readRunRecord, readRunStatus } from "./runRecord.ts";

export interface DetachedRun {
  readonly pid: number;
  readonly runFolder: string;
}

/** The run ended before it began, over wrong input. It has left nothing that was not there before. */
export class RunRefusedError extends Error {
  override name = "RunRefusedError";
}

/** The command line's exit code for wrong input. */
const WRONG_INPUT = 2;

/** Arguments of the command line that run `kinds` of an experiment. */
export function runArguments(experiment: Experiment, kinds: readonly JobKind[]): string[] {
  return ["run", experiment.file, "--run-folder", experiment.paths.runFolder, "--jobs", kinds.join(",")];
}

/** Arguments of the command line that go on with a run; `kinds`: with these jobs instead of those it was started with. */
export function resumeArguments(runFolder: string, kinds?: readonly JobKind[]): string[] {
  return ["resume", runFolder, ...(kinds ? ["--jobs", kinds.join(",")] : [])];
}

/**
 * Starts the command line in a detached child: closing this process, its terminal or its connection does not end it. What
 * it prints goes to output.log in the run folder. `entry`: the command line's script (dist/sae-ensembles.js).
 * Returns once the child has the run folder. Where it ended before, throws: RunRefusedError with its message over wrong input, otherwise an
 * error that names its output.
 */
export async function launchDetached(
  runFolder: string,
  commandArguments: readonly string[],
  entry: string,
): Promise<DetachedRun> {
  const { output } = runPaths(runFolder);
  const made = makeFolders(runFolder);
  const log = openSync(output, "a");
  const { size } = fstatSync(log);
  const child = spawn(process.execPath, [entry, ...commandArguments, "--plain"], {
    detached: true,
    stdio: ["ignore", log, log],
    windowsHide: true,
  });
  closeSync(log);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  let exit: number | null | undefined;
  void ended.then(
    (code) => (exit = code ?? -1),
    () => (exit = -1),
  );
  while (exit === undefined && !(isRunLocked(runFolder) && processOf(runFolder) === child.pid)) await sleep(50);
  if (exit === WRONG_INPUT) {
    const message = lastWords(runFolder).replace(/^error: /, "");
    if (made.length > 0) removeFolders(made);
    else if (size > 0) truncateSync(output, size);
    else rmSync(output);
    throw new RunRefusedError(message);
  }
  if (exit !== undefined && exit !== 0)
    throw new Error(`the run ended at once (exit code ${exit}). The last in ${output}: ${lastWords(runFolder)}`);
  child.unref();
  return { pid: child.pid!, runFolder };
}

/** The process that wrote the run's record last; undefined where there is none that can be read. */
function processOf(runFolder: string): number | undefined {
  try {
    return readRunRecord(runFolder).pid;
  } catch {
    return undefined;
  }
}

/** Asks the run to checkpoint and stop, or to leave the queue; it does so within a second or two. Returns whether it was there. */
export function requestStop(runFolder: string): boolean {
  const status = readRunStatus(runFolder);
  if (!isAtWork(status.state)) return false;
  writeFileSync(runPaths(status.folder).stop, "");
  return true;
}

/** Waits until no process works on the run; its last status. */
export async function waitForEnd(runFolder: string, signal?: AbortSignal): Promise<RunStatus> {
  while (isRunLocked(runFolder)) {
    await sleep(100, undefined, signal ? { signal } : {});
  }
  return readRunStatus(runFolder);
}
