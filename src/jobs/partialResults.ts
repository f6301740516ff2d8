// Results of parts of a job, kept as JSON files while the job is not over, so that it goes on behind them. Not for anything that outlives the job.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../formats/atomicWrite.ts";

export class PartialResults {
  readonly #folder: string;

  /** Results made under other `settings` are not found again. */
  constructor(folder: string, settings: unknown) {
    this.#folder = join(folder, createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 16));
  }

  /** The kept result of that name, or a new one, which is then kept. */
  async get<T>(name: string, make: () => Promise<T>): Promise<T> {
    const file = join(this.#folder, `${name.replaceAll(" ", "-")}.json`);
    try {
      return JSON.parse(await readFile(file, "utf8"), revive) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    const result = await make();
    await writeFileAtomic(file, JSON.stringify(result, replace));
    return result;
  }
}

/** JSON knows neither float64 arrays nor NaN. */
function replace(_: string, value: unknown): unknown {
  if (value instanceof Float64Array)
    return { float64: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  return value;
}

function revive(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("float64" in value)) return value;
  const bytes = Buffer.from(value.float64 as string, "base64");
  return new Float64Array(new Uint8Array(bytes).buffer);
}
