// Turns counts into progress events with a rate and the time left, at most a few a second.
import type { ProgressEvent } from "../protocol/runEvents.ts";

/** Seconds over which the rate is taken. */
const WINDOW = 10;

export class ProgressMeter {
  readonly #emit: (event: ProgressEvent) => void;
  readonly #interval: number;
  readonly #now: () => number;
  #stage = "";
  #marks: { time: number; done: number }[] = [];
  #emitted = Number.NEGATIVE_INFINITY;
  /** The newest update, while it is held back. */
  #held: Parameters<ProgressMeter["update"]> | null = null;

  /** `interval`: milliseconds between events; the first and the last of a stage always come. */
  constructor(
    emit: (event: ProgressEvent) => void,
    interval = 500,
    now: () => number = performance.now.bind(performance),
  ) {
    this.#emit = emit;
    this.#interval = interval;
    this.#now = now;
  }

  /** `done` of `total` units are done. A new stage starts its own rate, from the `done` it comes with. */
  update(stage: string, done: number, total: number, unit: string): void {
    const now = this.#now();
    if (stage !== this.#stage) {
      this.#stage = stage;
      this.#marks = [];
      this.#emitted = Number.NEGATIVE_INFINITY;
    } else if (done >= total && done === this.#marks.at(-1)?.done) return;
    const early = now - this.#emitted < this.#interval && done < total;
    this.#held = early ? [stage, done, total, unit] : null;
    if (early) return;
    this.#emitted = now;
    this.#marks.push({ time: now, done });
    while (this.#marks.length > 2 && now - this.#marks[1]!.time > WINDOW * 1000) this.#marks.shift();
    const first = this.#marks[0]!;
    const seconds = (now - first.time) / 1000;
    const rate = seconds > 0 && done > first.done ? (done - first.done) / seconds : null;
    this.#emit({ type: "progress", stage, done, total, unit, rate, eta: rate === null ? null : (total - done) / rate });
  }

  /** Where no more updates come: gives the one that was held back. */
  flush(): void {
    this.#emitted = Number.NEGATIVE_INFINITY;
    if (this.#held) this.update(...this.#held);
  }
}
