// The lock of a run folder: one process at a time works on it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { acquireFileLock, type FileLock, SQLITE_BUSY } from "../formats/fileLock.ts";

const lockFile = (folder: string): string => join(folder, "run.lock");

/** Takes the lock of an existing folder, or null where another process (or another part of this one) has it. */
export function acquireRunLock(folder: string): FileLock | null {
  // A watcher that looks (`isRunLocked`) holds it for an instant: wait that out.
  return acquireFileLock(lockFile(folder), 1000);
}

/** Whether a process is at work on the folder right now. */
export function isRunLocked(folder: string): boolean {
  const file = lockFile(folder);
  if (!existsSync(file)) return false;
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    // A shared lock is enough to meet an exclusive one, and two watchers don't disturb each other.
    database.exec("BEGIN; SELECT count(*) FROM sqlite_schema; ROLLBACK");
    return false;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return true;
    throw error;
  } finally {
    database.close();
  }
}
