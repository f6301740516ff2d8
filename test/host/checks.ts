// How a suite inside VS Code's extension host says what it checks and finds: one line of JSON a check, in a file that runInHost.ts reads.
import { appendFileSync } from "node:fs";

/** A line of the file of results. */
export interface HostResult {
  readonly name: string;
  readonly error: string | null;
  /** What was measured on the way, for people to read. */
  readonly notes: readonly string[];
}

const checks: [name: string, check: () => Promise<void>][] = [];
let notes: string[] = [];

/** Adds a check; they run in the order in which they were added, whatever the others found. */
export const check = (name: string, run: () => Promise<void>) => void checks.push([name, run]);

/** Tells a number of the check that runs. */
export const note = (line: string) => void notes.push(line);

/** Waits until something holds; VS Code tells of most changes only by their being so. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  for (let waited = 0; waited < 60_000; waited += 50) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited a minute in vain until ${what}`);
}

/** A suite's `run`, which VS Code calls. */
export async function runChecks(): Promise<void> {
  const results = process.env["SAE_HOST_RESULTS"]!;
  for (const [name, body] of checks) {
    notes = [];
    const error = await body().then(
      () => null,
      (reason: unknown) => (reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)),
    );
    appendFileSync(results, `${JSON.stringify({ name, error, notes } satisfies HostResult)}\n`);
  }
}
