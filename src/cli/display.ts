// Shows the events of a run: one moving bar in a terminal, plain lines elsewhere, JSON lines for machines.
import { SingleBar } from "cli-progress";
import type { ProgressEvent, RunEvent } from "../protocol/runEvents.ts";
import { ProgressText } from "./progressText.ts";
import { duration, integer, rate, stageShown } from "./words.ts";

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

function counts({ done, total, unit }: ProgressEvent): string {
  return `${integer(done)} / ${integer(total)} ${unit}`;
}

/** One line a stage when it ends, and one every ten seconds before. */
class PlainDisplay implements Display {
  readonly #text = new ProgressText();
  #time = Date.now();

  show(event: RunEvent): void {
    this.#text.take(event);
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
      this.#text.numbers.join("  "),
    ];
    console.error(`${stageShown(event.stage)}: ${parts.filter((part) => part !== "").join(", ")}`);
  }

  end(): void {}
}

/** The stage in hand as a bar at the bottom; finished stages and messages stay above it. */
class TerminalDisplay implements Display {
  readonly #text = new ProgressText();
  #bar: SingleBar | undefined;

  show(event: RunEvent): void {
    const begins = this.#text.take(event);
    if (event.type === "log" && event.level !== "error")
      this.#above(`${event.level === "warning" ? "! " : "  "}${event.message}`);
    else if (event.type === "state" && event.state === "queued") this.#above(`  queued: ${event.reason}`);
    else if (event.type === "progress") {
      if (begins) this.end();
      this.#update(event);
    }
  }

  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #update(event: RunEvent & ProgressEvent): void {
    if (event.done >= event.total) {
      this.#above(this.#text.ended(event));
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
        format: () => this.#text.moving(process.stderr.columns ?? 80),
      });
      this.#bar.start(event.total, event.done);
    }
    this.#bar.update(event.done);
  }

  #above(line: string): void {
    this.end();
    process.stderr.write(`${line}\n`);
  }
}
