// Options that the commands over labelled data share: which file, which columns, which seeds; and a line of progress.
import { InvalidArgumentError } from "commander";
import type { ProbeRunOptions } from "../jobs/probeRun.ts";
import { integer } from "./words.ts";

/** "1,2,3" → whole numbers. */
export function wholeNumbers(value: string): number[] {
  return list(value).map((part) => {
    if (!/^\d+$/.test(part)) throw new InvalidArgumentError("Expected whole numbers with commas between them.");
    return Number(part);
  });
}

export function positive(value: string): number {
  if (!/^[1-9]\d*$/.test(value)) throw new InvalidArgumentError("Expected a whole number from 1 on.");
  return Number(value);
}

/** "a,b" → a and b. */
export function list(value: string): string[] {
  const parts = value.split(",").map((part) => part.trim());
  if (parts.some((part) => part === "")) throw new InvalidArgumentError("Expected words with commas between them.");
  return parts;
}

/** "nurse,teacher/surgeon" → the values that stand for 1 and those for 0. */
export function valuePair(value: string): { positive: string[]; negative: string[] } {
  const sides = value.split("/");
  if (sides.length !== 2) throw new InvalidArgumentError('Expected two sides, like "nurse/surgeon" or "a,b/c,d".');
  return { positive: list(sides[0]!), negative: list(sides[1]!) };
}

/** A line that is written over while something goes on; nothing where standard error is no terminal. */
export function progressLine(): { onProgress: NonNullable<ProbeRunOptions["onProgress"]>; end: () => void } {
  const shown = process.stderr.isTTY === true;
  return {
    onProgress: (stage, done, total, unit) => {
      if (shown) process.stderr.write(`\r\x1b[K${stage}: ${integer(done)} of ${integer(total)} ${unit}`);
    },
    end: () => {
      if (shown) process.stderr.write("\r\x1b[K");
    },
  };
}

/** Aborted by Ctrl-C. What was pooled by then for whole ensembles is kept. */
export async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort(new DOMException("stopped", "AbortError"));
  process.once("SIGINT", onSignal);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (stop.signal.aborted) process.exit(130);
    throw error;
  } finally {
    process.off("SIGINT", onSignal);
  }
}
