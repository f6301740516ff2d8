// Renames and removals that wait for whoever has the files open. Windows refuses to replace, move or remove what is being read, by a watcher, an indexer or a virus scanner, mostly for an instant; elsewhere nothing is refused and nobody waits.
import { statSync } from "node:fs";
import { rename, rm, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How Windows refuses what somebody else has open. */
const IN_USE = new Set(["EPERM", "EACCES", "EBUSY"]);
/** Milliseconds for readers that are done in an instant, and for those that have to be asked. */
const PATIENCE = 2_000;
const ASKED_PATIENCE = 10_000;
const PAUSE = 20;

export interface PatientOptions {
  /** A folder of which a process may keep files open (an index that is browsed): while they are in the way, it is asked to let go (`isWanted`). */
  readonly ask?: string;
}

export async function renamePatiently(from: string, to: string, options?: PatientOptions): Promise<void> {
  await patiently(() => rename(from, to), options);
}

/** Removes a file, or a folder with all that is in it, if it is there. */
export async function removePatiently(path: string, options?: PatientOptions): Promise<void> {
  await patiently(() => rm(path, { recursive: true, force: true, maxRetries: 3 }), options);
}

/** Does what may be refused because of open files, again and again for a while. */
export async function patiently<T>(work: () => Promise<T>, { ask }: PatientOptions = {}): Promise<T> {
  const end = performance.now() + (ask === undefined ? PATIENCE : ASKED_PATIENCE);
  let asked = false;
  try {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isInUse(error) || performance.now() > end) throw error;
      }
      if (ask !== undefined && !asked) {
        asked = true;
        await writeFile(markOf(ask), "");
      }
      await sleep(PAUSE);
    }
  } finally {
    if (asked) await unlink(markOf(ask!)).catch(() => {});
  }
}

/** Whether somebody waits for this process to close what it has open in a folder. A mark that a killed process left counts for no longer than it would have waited. */
export function isWanted(folder: string): boolean {
  const time = statSync(markOf(folder), { throwIfNoEntry: false })?.mtimeMs;
  return time !== undefined && Date.now() - time < ASKED_PATIENCE;
}

/** Whether the error may say that somebody has the file open. */
export function isInUse(error: unknown): boolean {
  return IN_USE.has((error as NodeJS.ErrnoException).code ?? "");
}

/** Beside the folder: in it, it would be in the way itself. */
function markOf(folder: string): string {
  return join(dirname(folder), `.${basename(folder)}.wanted`);
}
