// Shows the events of a run: one moving bar in a terminal, plain lines elsewhere, JSON lines for machines.
import { SingleBar } from "cli-progress";
import type { ProgressEvent, RunEvent, TrainEvent } from "../protocol/runEvents.ts";
import { bar, duration, integer, metric, rate, share } from "./words.ts";

export interface Display {
  show(event: RunEvent): void;
  /** Leaves the terminal in order. */
  end(): void;
}

export type DisplayMode = "terminal" | "plain" | "json";

export function createDisplay(mode: DisplayMode): Display {
  if (mode === "json") return { show: (event) => console.log(JSON.stringify(event)), end: () => {} };
  return mode === "terminal" ? new TerminalDisplay() : new PlainDisplay();
}

/** `--json`, `--plain`, or what the terminal can do. */
export function displayMode(options: { json?: boolean; plain?: boolean }): DisplayMode {
  if (options.json) return "json";
  return options.plain || !process.stderr.isTTY ? "plain" : "terminal";
}

/** "EV 0.712", "L0 16.0", "dead 2%", "loss 4.31": the members' means, the most telling first. */
function numbers(event: TrainEvent | undefined): string[] {
  if (!event) return [];
  const mean = (value: (member: TrainEvent["members"][number]) => number): number =>
    event.members.reduce((sum, member) => sum + value(member), 0) / event.members.length;
  return [
    `EV ${mean((member) => member.explained_variance).toFixed(3)}`,
    `L0 ${metric(mean((member) => member.l0))}`,
    `dead ${share(mean((member) => member.dead))}`,
    `loss ${metric(mean((member) => member.loss))}`,
  ];
}

function counts({ done, total, unit }: ProgressEvent): string {
  return `${integer(done)} / ${integer(total)} ${unit}`;
}

/** One line a stage when it ends, and one every ten seconds before. */
class PlainDisplay implements Display {
  #time = Date.now();
  #train: TrainEvent | undefined;

  show(event: RunEvent): void {
    if (event.type === "train") this.#train = event;
    if (event.type === "log" && event.level !== "error")
      console.error(`${event.level === "warning" ? "warning: " : ""}${event.message}`);
    if (event.type === "state" && event.state === "queued") console.error(`queued: ${event.reason}`);
    if (event.type !== "progress") return;
    if (event.done < event.total && event.time - this.#time < 10_000) return;
    this.#time = event.time;
    const parts = [
      counts(event),
      event.rate === null ? "" : rate(event.rate, event.unit),
      event.done < event.total && event.eta !== null ? `${duration(event.eta)} left` : "",
      numbers(this.#train?.stage === event.stage ? this.#train : undefined).join("  "),
    ];
    console.error(`${event.stage}: ${parts.filter((part) => part !== "").join(", ")}`);
  }

  end(): void {}
}

/** The stage in hand as a bar at the bottom; finished stages and messages stay above it. */
class TerminalDisplay implements Display {
  #bar: SingleBar | undefined;
  #progress: ProgressEvent | undefined;
  #train: TrainEvent | undefined;
  #started = 0;

  show(event: RunEvent): void {
    if (event.type === "train") this.#train = event;
    else if (event.type === "log" && event.level !== "error")
      this.#above(`${event.level === "warning" ? "! " : "  "}${event.message}`);
    else if (event.type === "state" && event.state === "queued") this.#above(`  queued: ${event.reason}`);
    else if (event.type === "progress") this.#update(event, event.time);
  }

  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #update(event: ProgressEvent, time: number): void {
    if (this.#progress?.stage !== event.stage) {
      this.end();
      this.#started = time;
    }
    this.#progress = event;
    if (event.done >= event.total) {
      this.end();
      const took = duration((time - this.#started) / 1000);
      const line = `✓ ${event.stage.padEnd(20)} ${integer(event.total)} ${event.unit} in ${took}  ${numbers(this.#trained()).join("  ")}`;
      process.stderr.write(`${line.trimEnd()}\n`);
      this.#progress = undefined;
      return;
    }
    if (!this.#bar) {
      this.#bar = new SingleBar({
        stream: process.stderr,
        hideCursor: true,
        clearOnComplete: true,
        stopOnComplete: false,
        gracefulExit: false,
        linewrap: true,
        fps: 8,
        format: () => this.#line(),
      });
      this.#bar.start(event.total, event.done);
    }
    this.#bar.update(event.done);
  }

  #line(): string {
    const event = this.#progress!;
    const done = event.done / Math.max(1, event.total);
    const parts = [
      `  ${event.stage.padEnd(20)} ${bar(done, 12)} ${share(done).padStart(4)}`,
      event.eta === null ? "" : `${duration(event.eta)} left`,
      event.rate === null ? "" : rate(event.rate, event.unit),
      ...numbers(this.#trained()),
    ];
    let line = "";
    const width = process.stderr.columns ?? 80;
    // What does not fit is left out, the least important last.
    for (const part of parts.filter((part) => part !== ""))
      if (line.length + part.length + 2 < width) line += (line && "  ") + part;
    return line;
  }

  /** Numbers of the stage in hand, where it is a training. */
  #trained(): TrainEvent | undefined {
    return this.#train?.stage === this.#progress?.stage ? this.#train : undefined;
  }

  #above(line: string): void {
    const before = this.#progress;
    this.end();
    process.stderr.write(`${line}\n`);
    if (before) {
      this.#progress = before;
    }
  }
}
