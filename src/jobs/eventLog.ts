// events.jsonl: a job appends what happens, one JSON a line; anyone reads or follows it from another process. What the events are is protocol/runEvents.ts.
import { appendFileSync, closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type RunEvent, runEvent } from "../protocol/runEvents.ts";

type Untimed<T> = T extends unknown ? Omit<T, "time"> : never;
/** An event before the log puts the time on it. */
export type NewRunEvent = Untimed<RunEvent>;

/** Appends to `file`. Every event is handed to the system at once, so a killed process loses none that it logged; a power cut may lose the last seconds. */
export class EventLog {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
    // A line that a crash left torn must not swallow the next one.
    if (endsInsideLine(file)) appendFileSync(file, "\n");
  }

  append(event: NewRunEvent): RunEvent {
    const timed = { time: Date.now(), ...event } as RunEvent;
    appendFileSync(this.#file, `${JSON.stringify(timed)}\n`);
    return timed;
  }
}

function endsInsideLine(file: string): boolean {
  const handle = openSync(file, "a+");
  try {
    const { size } = fstatSync(handle);
    const last = Buffer.alloc(1);
    return size > 0 && readSync(handle, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
  } finally {
    closeSync(handle);
  }
}

export interface FollowOptions {
  /** Byte offset to start from; default 0. */
  readonly from?: number;
  /** Ends following. */
  readonly signal?: AbortSignal;
  /** Asked when everything there is has been read: true ends following. Default: never. */
  readonly ended?: () => boolean;
  /** Milliseconds between looks; default 200. Polling also works on network file systems, where watching does not. */
  readonly interval?: number;
}

/**
 * All events of `file` from the beginning, then new ones as they are written, until the signal or `ended`. Lines that are
 * no events (torn by a crash) are passed over. A file that is not there yet is waited for.
 */
export async function* followEvents(file: string, options: FollowOptions = {}): AsyncGenerator<RunEvent> {
  let offset = options.from ?? 0;
  let rest = Buffer.alloc(0);
  while (!options.signal?.aborted) {
    // Asked before reading: what was written before the end must still be read after it.
    const last = options.ended?.() ?? false;
    for (;;) {
      const chunk = await readFrom(file, offset);
      if (chunk.length === 0) break;
      offset += chunk.length;
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      for (const line of bytes.toString("utf8", 0, end).split("\n")) {
        const event = parseEvent(line);
        if (event) yield event;
        if (options.signal?.aborted) return;
      }
      rest = Buffer.from(bytes.subarray(end));
    }
    if (last) return;
    await sleep(options.interval ?? 200, undefined, options.signal ? { signal: options.signal } : {}).catch(() => {});
  }
}

/** Every event in `file` now. */
export async function readEvents(file: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of followEvents(file, { ended: () => true })) events.push(event);
  return events;
}

async function readFrom(file: string, offset: number): Promise<Buffer> {
  const size = await stat(file).then(
    (status) => status.size,
    () => 0,
  );
  if (size <= offset) return Buffer.alloc(0);
  const handle = await open(file, "r");
  try {
    const buffer = Buffer.alloc(Math.min(size - offset, 1 << 20));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Null for a line that is no event. */
export function parseEvent(line: string): RunEvent | null {
  try {
    return runEvent.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
