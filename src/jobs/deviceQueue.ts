// The queue of a device: one run at a time works on it, the others wait in the order in which they came. Where a run waits is runJobs.ts.
import { mkdirSync } from "node:fs";
import { homedir, hostname, tmpdir, userInfo } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { InputError } from "../formats/inputError.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";
import { isRunLocked } from "./runLock.ts";

/** Names another folder for the queue: for tests, and for machines whose home is not to be written. */
export const STATE_VARIABLE = "SAE_ENSEMBLES_STATE";

/** What an experiment's arithmetic occupies. Both engines compute on the processor. */
export function deviceOf(_settings: ExperimentSettings): string {
  return "cpu";
}

export interface QueuePlace {
  /** Runs before this one, the one at work included; 0: it is this run's turn. */
  readonly ahead: number;
  /** In words; empty when it is this run's turn. */
  readonly waitsFor: string;
}

/**
 * A run's place in line. The line is a table in a small file of the user on this machine, so every window and terminal sees
 * the same one. A place is as alive as its run's lock, which the operating system takes back from a dead process, so nothing
 * stale stays and no process has to keep the queue.
 */
export class QueueTicket {
  readonly #database: DatabaseSync;
  readonly #device: string;
  readonly #number: number;

  private constructor(database: DatabaseSync, device: string, number: number) {
    this.#database = database;
    this.#device = device;
    this.#number = number;
  }

  /** Lines up for a device. The caller holds the run folder's lock, and keeps it until after `release`. */
  static take(device: string, runFolder: string): QueueTicket {
    const file = join(stateFolder(), `queue-${hostname()}.sqlite`);
    // The others hold the file for an instant at a time.
    const database = new DatabaseSync(file, { timeout: 10_000 });
    try {
      database.exec(
        "CREATE TABLE IF NOT EXISTS line (number INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, run TEXT NOT NULL)",
      );
      // Whoever else stood here with this run has lost its lock to us.
      database.prepare("DELETE FROM line WHERE run = ?").run(runFolder);
      const { lastInsertRowid } = database
        .prepare("INSERT INTO line (device, run) VALUES (?, ?)")
        .run(device, runFolder);
      return new QueueTicket(database, device, Number(lastInsertRowid));
    } catch (error) {
      database.close();
      throw new InputError({
        file,
        found: (error as Error).message,
        expected: "the queue of runs (it may be deleted while none runs: no results are in it)",
      });
    }
  }

  /** Where the run stands now. */
  place(): QueuePlace {
    const before = this.#database
      .prepare("SELECT number, run FROM line WHERE device = ? AND number < ? ORDER BY number")
      .all(this.#device, this.#number) as { number: number; run: string }[];
    const alive = before.filter(({ run }) => isRunLocked(run));
    const remove = this.#database.prepare("DELETE FROM line WHERE number = ?");
    for (const dead of before) if (!alive.includes(dead)) remove.run(dead.number);
    const first = alive[0];
    if (!first) return { ahead: 0, waitsFor: "" };
    const more = alive.length > 1 ? ` and ${alive.length - 1} more` : "";
    return { ahead: alive.length, waitsFor: `waits for ${basename(first.run)}${more}` };
  }

  /** Leaves the line, or the device. */
  release(): void {
    this.#database.prepare("DELETE FROM line WHERE number = ?").run(this.#number);
    this.#database.close();
  }
}

/** The user's own folder on this machine, where there is no better place: a device belongs to no workspace. */
function stateFolder(): string {
  const { env, platform } = process;
  const home = homedir();
  const usual =
    env[STATE_VARIABLE] ??
    (platform === "win32"
      ? join(env["LOCALAPPDATA"] ?? join(home, "AppData", "Local"), "sae-ensembles")
      : platform === "darwin"
        ? join(home, "Library", "Application Support", "sae-ensembles")
        : join(home, ".local", "state", "sae-ensembles"));
  try {
    mkdirSync(usual, { recursive: true });
    return usual;
  } catch {
    // A home that can't be written (a container's, say).
    const fallback = join(tmpdir(), `sae-ensembles-${userInfo().username}`);
    mkdirSync(fallback, { recursive: true, mode: 0o700 });
    return fallback;
  }
}
