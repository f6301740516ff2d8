// The worker's side of working together: whose turn, barriers, and the float64 results that all share. One crew of threads does one call at a time.

/** Words of the shared control block. */
const ARRIVED = 0;
const GENERATION = 1;
const ABORTED = 2;
const TICKET = 3;
/** Free use by the phases: counters that start at 0. */
const FIRST_COUNTER = 16;
export const CONTROL_WORDS = 4096;
/** Float64 results of units of work, by section. */
export const SECTION = 8192;
const SECTIONS = 8;
export const PARTIALS = SECTION * SECTIONS;

/** What a worker throws when another one failed: the first error is the one that is reported. */
export class Aborted extends Error {
  override name = "Aborted";
}

export class Crew {
  readonly index: number;
  readonly size: number;
  /** Float64 results: section s has entries [s·SECTION, (s+1)·SECTION). */
  readonly partials: Float64Array;
  readonly #control: Int32Array;
  #laps: Record<string, number> = {};
  #lapped = 0;

  constructor(control: SharedArrayBuffer, partials: SharedArrayBuffer, index: number, size: number) {
    this.#control = new Int32Array(control);
    this.partials = new Float64Array(partials);
    this.index = index;
    this.size = size;
  }

  /** Waits for all. The last to arrive runs `alone` before anyone goes on. Work counters start afresh. */
  barrier(alone?: () => void): void {
    const control = this.#control;
    const generation = Atomics.load(control, GENERATION);
    if (Atomics.add(control, ARRIVED, 1) + 1 === this.size) {
      alone?.();
      Atomics.store(control, TICKET, 0);
      Atomics.store(control, ARRIVED, 0);
      Atomics.add(control, GENERATION, 1);
      Atomics.notify(control, GENERATION);
    } else {
      while (Atomics.load(control, GENERATION) === generation) {
        if (Atomics.load(control, ABORTED)) throw new Aborted();
        Atomics.wait(control, GENERATION, generation, 200);
      }
    }
    if (Atomics.load(control, ABORTED)) throw new Aborted();
  }

  /** Units 0..n−1 of a phase, each given to one worker: first come, first served. A barrier must follow. */
  *units(n: number): Generator<number> {
    for (;;) {
      const unit = Atomics.add(this.#control, TICKET, 1);
      if (unit >= n) return;
      yield unit;
    }
  }

  /** Adds the time since the last lap to `name`. */
  lap(name: string): void {
    const now = performance.now();
    this.#laps[name] = (this.#laps[name] ?? 0) + now - this.#lapped;
    this.#lapped = now;
  }

  /** Milliseconds by lap since they were last taken. */
  takeLaps(): Record<string, number> {
    const laps = this.#laps;
    this.#laps = {};
    this.#lapped = performance.now();
    return laps;
  }

  /** Lets the others stop waiting. */
  abort(): void {
    Atomics.store(this.#control, ABORTED, 1);
    Atomics.notify(this.#control, GENERATION);
  }

  add(counter: number, n: number): number {
    return Atomics.add(this.#control, FIRST_COUNTER + counter, n);
  }

  get(counter: number): number {
    return Atomics.load(this.#control, FIRST_COUNTER + counter);
  }

  set(counter: number, value: number): void {
    Atomics.store(this.#control, FIRST_COUNTER + counter, value);
  }

  /** Sum of the first n results of a section, in order. */
  sum(section: number, n: number): number {
    let total = 0;
    for (let i = 0; i < n; i++) total += this.partials[section * SECTION + i]!;
    return total;
  }

  get64(section: number, unit: number): number {
    return this.partials[section * SECTION + unit]!;
  }

  put(section: number, unit: number, value: number): void {
    this.partials[section * SECTION + unit] = value;
  }
}
