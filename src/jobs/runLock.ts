// The lock of a run folder: one process at a time works on it. The operating system holds it (a SQLite file lock), so the lock of a dead process is gone with it; there are no stale locks to guess about.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** SQLite's result code for a lock that someone else has. */
const SQLITE_BUSY = 5;

export interface RunLock {
  release(): void;
}

/** Takes the lock of an existing folder, or null where another process (or another part of this one) has it. */
export function acquireRunLock(folder: string): RunLock | null {
  // A watcher that looks (`isRunLocked`) holds it for an instant: wait that out.
  const database = new DatabaseSync(join(folder, "run.lock"), { timeout: 1000 });
  try {
    // Nothing is ever written, so no journal need lie about.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw error;
  }
  return { release: () => database.close() };
}

/** Whether a process is at work on the folder right now. */
export function isRunLocked(folder: string): boolean {
  const file = join(folder, "run.lock");
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
