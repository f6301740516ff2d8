// The queue of the devices: one run at a time works on each, the others wait in the order in which they came. Where a run waits is runJobs.ts.
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { InputError } from "../formats/inputError.ts";
import { deviceFor } from "./device.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";
import { isRunLocked } from "./runLock.ts";
import { stateFolder } from "./stateFolder.ts";

/** What an experiment's arithmetic occupies: "auto" both, since its trial needs both and either may be what it goes on with. */
export function deviceOf(settings: ExperimentSettings): string {
  return deviceFor(settings);
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
  readonly #run: string;
  readonly #number: number;

  private constructor(database: DatabaseSync, device: string, run: string, number: number) {
    this.#database = database;
    this.#device = device;
    this.#run = run;
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
      return new QueueTicket(database, device, runFolder, Number(lastInsertRowid));
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
      .prepare(
        "SELECT number, run FROM line WHERE (device = ? OR device = 'auto' OR ? = 'auto') AND number < ? ORDER BY number",
      )
      .all(this.#device, this.#device, this.#number) as { number: number; run: string }[];
    const alive = before.filter(({ run }) => isRunLocked(run));
    const remove = this.#database.prepare("DELETE FROM line WHERE number = ?");
    for (const dead of before) if (!alive.includes(dead)) remove.run(dead.number);
    const first = alive[0];
    if (!first) return { ahead: 0, waitsFor: "" };
    const more = alive.length > 1 ? ` and ${alive.length - 1} more` : "";
    return { ahead: alive.length, waitsFor: `waits for ${nameBeside(first.run, this.#run)}${more}` };
  }

  /** Leaves the line, or the device. */
  release(): void {
    this.#database.prepare("DELETE FROM line WHERE number = ?").run(this.#number);
    this.#database.close();
  }
}

/** A run's name, with as much of its path before it as tells it from another: two folders may each have a run "demo". */
export function nameBeside(run: string, other: string): string {
  const [parts, others] = [run, other].map((path) => path.split(/[\\/]/)) as [string[], string[]];
  let same = 0;
  while (same < parts.length && parts.at(-1 - same) === others.at(-1 - same)) same++;
  return parts.slice(-1 - same).join("/");
}
