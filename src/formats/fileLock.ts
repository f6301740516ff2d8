// A lock between processes that the operating system holds (a SQLite file lock), so that the lock of a dead process is gone with it; there are no stale locks to guess about.
import { DatabaseSync } from "node:sqlite";

/** SQLite's result code for a lock that someone else has. */
export const SQLITE_BUSY = 5;

export interface FileLock {
  release(): void;
}

/** Takes the lock, or null where somebody else still has it after `timeout` milliseconds. */
export function acquireFileLock(file: string, timeout: number): FileLock | null {
  return acquire(file, timeout, "BEGIN EXCLUSIVE");
}

/** The same for one of any number of holders, of whom none has the lock for himself. */
export function acquireSharedLock(file: string, timeout: number): FileLock | null {
  // A read begins it.
  return acquire(file, timeout, "BEGIN; SELECT 1 FROM sqlite_schema");
}

function acquire(file: string, timeout: number, begin: string): FileLock | null {
  const database = new DatabaseSync(file, { timeout });
  try {
    // Nothing is ever written, so no journal need lie about.
    database.exec(`PRAGMA journal_mode = MEMORY; ${begin}`);
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw error;
  }
  return { release: () => database.close() };
}
