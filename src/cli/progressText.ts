// A run's progress as lines for a terminal: the stage in hand, cut to the terminal's width, and the stage that has ended. For the command line, and for the terminal of a task in the editor.
import type { ProgressEvent, RunEvent, TrainEvent, TrainMemberNumbers } from "../protocol/runEvents.ts";
import { bar, duration, integer, metric, rate, share, stageShown } from "./words.ts";

/** "EV 0.712", "L0 16.0", "dead 2%", "loss 4.31": the members' means, the most telling first. A later member of boosting is said to learn what is left. */
function trainingNumbers(event: TrainEvent | undefined): string[] {
  if (!event) return [];
  const mean = (value: (member: TrainMemberNumbers) => number | null): number =>
    event.members.reduce((sum, member) => sum + (value(member) ?? Number.NaN), 0) / event.members.length;
  const [{ member }] = event.members as [TrainMemberNumbers];
  const dead = mean((member) => member.dead);
  const left = event.members.length === 1 && member > 0 ? ` of what is left for member ${member}` : "";
  return [
    `EV ${metric(mean((member) => member.explained_variance))}${left}`,
    `L0 ${metric(mean((member) => member.l0))}`,
    // Not known before a latent can have been silent for so long.
    ...(Number.isNaN(dead) ? [] : [`dead ${share(dead)}`]),
    `loss ${metric(mean((member) => member.loss))}`,
  ];
}

export class ProgressText {
  #progress: ProgressEvent | undefined;
  #train: TrainEvent | undefined;
  /** When the stage in hand began, in milliseconds. */
  #started = 0;

  /** Takes in an event; whether it is progress that begins another stage. */
  take(event: RunEvent): boolean {
    if (event.type === "train") this.#train = event;
    if (event.type !== "progress") return false;
    const begins = this.#progress?.stage !== event.stage;
    if (begins) this.#started = event.time;
    this.#progress = event;
    return begins;
  }

  /** Numbers of the stage in hand, where it is a training. */
  get numbers(): string[] {
    return trainingNumbers(this.#train?.stage === this.#progress?.stage ? this.#train : undefined);
  }

  /** The stage in hand. What does not fit into `columns` is left out, the least important first, so that the line can be written over. */
  moving(columns: number): string {
    const event = this.#progress;
    if (!event) return "";
    const done = event.done / Math.max(1, event.total);
    const parts = [
      `  ${stageShown(event.stage).padEnd(20)} ${bar(done, 12)} ${share(done).padStart(4)}`,
      event.eta === null ? "" : `${duration(event.eta)} left`,
      event.rate === null ? "" : rate(event.rate, event.unit),
      ...this.numbers,
      `${integer(event.done)} of ${integer(event.total)}`,
    ];
    let line = "";
    for (const part of parts.filter((part) => part !== "")) {
      if (line.length + part.length + 2 >= columns) break;
      line += (line && "  ") + part;
    }
    return line;
  }

  /** The stage that has just ended, with what it took. */
  ended(event: RunEvent & ProgressEvent): string {
    const took = duration((event.time - this.#started) / 1000);
    const words = `✓ ${stageShown(event.stage).padEnd(20)} ${integer(event.total)} ${event.unit} in ${took}`;
    return [words, ...this.numbers].join("  ");
  }
}
