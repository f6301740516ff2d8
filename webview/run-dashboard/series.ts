// Training numbers from the events file, as columns that a chart takes: one x (tokens), one line a member, and the members' mean.
import type { RunEvent } from "../../src/protocol/runEvents.ts";
import { seedSetOf } from "../../src/protocol/seedSet.ts";

export const quantities = [
  { key: "loss", title: "Loss" },
  { key: "l0", title: "L0" },
  { key: "explained_variance", title: "Explained variance" },
  { key: "dead", title: "Dead share" },
] as const;
export type Quantity = (typeof quantities)[number]["key"];

/** One training: a method from one set of seeds, as its stage is called. */
export interface Training {
  readonly stage: string;
  readonly tokens: number[];
  /** Whether members learn the same at the same time. Boosting's come one after the other, each with a target of its own, so that a mean over them means nothing. */
  readonly together: boolean;
  /** Whether the loss is more than the squared error: penalties, or the auxiliary loss of dead latents. */
  penalised: boolean;
  /** By member, then by point. */
  readonly values: Map<number, Record<Quantity, (number | null)[]>>;
}

/** At most this many points a training: above, every second one is dropped. */
const most = 2000;

export class TrainingSeries {
  readonly trainings = new Map<string, Training>();
  lastTime = 0;

  /** Takes in one event; whether a chart changed. */
  add(event: RunEvent): boolean {
    this.lastTime = event.time;
    if (event.type !== "train") return false;
    let training = this.trainings.get(event.stage);
    if (!training) {
      training = {
        stage: event.stage,
        tokens: [],
        together: event.members.length > 1,
        penalised: false,
        values: new Map(),
      };
      this.trainings.set(event.stage, training);
    }
    const { tokens, values } = training;
    // A resumed run repeats what came after its checkpoint: the later line counts. Boosting's members start over at 0.
    let at = tokens.length - 1;
    while (at >= 0 && tokens[at]! > event.tokens) at--;
    if (tokens[at] !== event.tokens) {
      at++;
      tokens.splice(at, 0, event.tokens);
      for (const columns of values.values()) for (const { key } of quantities) columns[key].splice(at, 0, null);
    }
    for (const numbers of event.members) {
      if (numbers.loss !== null && numbers.mse !== null && numbers.loss > 1.001 * numbers.mse)
        training.penalised = true;
      let columns = values.get(numbers.member);
      if (!columns) {
        const empty = () => new Array<number | null>(tokens.length).fill(null);
        columns = { loss: empty(), l0: empty(), explained_variance: empty(), dead: empty() };
        values.set(numbers.member, columns);
      }
      for (const { key } of quantities) columns[key][at] = numbers[key];
    }
    if (tokens.length > most) thin(training);
    return true;
  }
}

function thin({ tokens, values }: Training): void {
  const keep = (_: unknown, i: number) => i % 2 === 0;
  tokens.splice(0, tokens.length, ...tokens.filter(keep));
  for (const columns of values.values()) for (const { key } of quantities) columns[key] = columns[key].filter(keep);
}

/** Mean over the members at each point; null where one of them has no value. */
export function memberMean(training: Training, quantity: Quantity): (number | null)[] {
  const columns = [...training.values.values()].map((values) => values[quantity]);
  return training.tokens.map((_, i) => {
    let sum = 0;
    for (const column of columns) {
      const value = column[i] ?? null;
      if (value === null) return null;
      sum += value;
    }
    return sum / columns.length;
  });
}

/** A training's method, and its seed set from 1. */
export function trainingSeedSet(stage: string): { readonly method: string; readonly seedSet: number } {
  return seedSetOf(trainingName(stage));
}

/** A stage's name without what all of them share: "bagging", and "bagging-1" from the second set of seeds, as their ensembles are called. */
export function trainingName(stage: string): string {
  return stage.replace(/^train /, "");
}
