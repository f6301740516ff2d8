// Medians, and taking turns: ours and the peers' repetitions alternate, so that a slow minute of the machine hits all alike.
import { setTimeout as sleep } from "node:timers/promises";

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("no values");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Idle threads of OpenMP and onnxruntime spin for a while after their last work; the other side starts after that. */
const SPIN_MS = 400;

/**
 * Lets every contender run once a round, in turn and with a pause between, and collects what they return (milliseconds or
 * rates, any number of them a turn).
 */
export async function takeTurns<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, () => Promise<readonly number[]>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contenders) as Name[];
  const collected = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      await sleep(SPIN_MS);
      collected[name].push(...(await contenders[name]()));
    }
  }
  return collected;
}
