// Sends a run's events to a page: the whole file, then what is appended to it. Knows neither VS Code nor the service.
import type { RunEvent } from "../../protocol/runEvents.ts";

/** Milliseconds between looks at a file that nothing was appended to. */
const pause = 700;

export class EventPump {
  readonly #ask: (from: number) => Promise<{ events: RunEvent[]; next: number }>;
  readonly #send: (events: RunEvent[]) => void;
  #stop = new AbortController();

  /** `ask`: the events from a byte on, and the byte after them. */
  constructor(
    ask: (from: number) => Promise<{ events: RunEvent[]; next: number }>,
    send: (events: RunEvent[]) => void,
  ) {
    this.#ask = ask;
    this.#send = send;
  }

  /** Begins with the file's first event: for a page that has just been loaded, maybe in the place of one that is gone. */
  start(): void {
    this.stop();
    this.#stop = new AbortController();
    void this.#pump(this.#stop.signal);
  }

  stop(): void {
    this.#stop.abort();
  }

  async #pump(signal: AbortSignal): Promise<void> {
    for (let from = 0; !signal.aborted; ) {
      const answered = await this.#ask(from).catch(() => undefined);
      if (signal.aborted) return;
      if (answered && answered.events.length > 0) this.#send(answered.events);
      const more = answered && answered.next > from;
      from = answered?.next ?? from;
      if (!more) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
