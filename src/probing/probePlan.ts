// Seeded plans for training probes: which rows are held out to choose the epoch, in which order the others are seen, where the weights begin.
import { SeededRandom } from "../data/seededRandom.ts";
import { type Examples, subset } from "./examples.ts";
import type { Probe } from "./probe.ts";
import { type ProbePlan, type ProbeSettings, probeDefaults } from "./trainProbe.ts";

/** Share of the training rows that choose the epoch. */
export const SELECTION_SHARE = 0.2;

/**
 * The default: a fifth of the training rows of each label is held out to choose the epoch, the weights begin at zero.
 * `name` tells plans of one seed apart ("biased", "desired", …).
 */
export function heldOutPlan(
  train: Examples,
  seed: number,
  name: string,
  { epochs }: Pick<ProbeSettings, "epochs"> = probeDefaults,
): ProbePlan {
  const random = SeededRandom.derive(seed, "probe", name);
  const order = random.permutation(train.rows.length);
  const held: number[] = [];
  const kept: number[] = [];
  for (const label of [0, 1]) {
    const own = Array.from(order).filter((position) => train.labels[position] === label);
    const share = Math.round(own.length * SELECTION_SHARE);
    held.push(...own.slice(0, share));
    kept.push(...own.slice(share));
  }
  if (held.length === 0) throw new RangeError(`${name}: ${train.rows.length} rows are too few to hold a fifth out`);
  return {
    train: subset(train, Uint32Array.from(kept).sort()),
    selection: subset(train, Uint32Array.from(held).sort()),
    orders: Array.from({ length: epochs }, () => random.permutation(kept.length)),
  };
}

/**
 * `saebench_compatible`: all training rows are learnt from, the epoch is chosen on the probe's own *test* rows, and the
 * weights begin as torch.nn.Linear's, uniform within 1/√d.
 */
export function testSelectedPlan(
  train: Examples,
  test: Examples,
  seed: number,
  name: string,
  { epochs }: Pick<ProbeSettings, "epochs"> = probeDefaults,
): ProbePlan {
  const random = SeededRandom.derive(seed, "probe", name);
  return {
    train,
    selection: test,
    initial: linearStart(train.x.d, random),
    orders: Array.from({ length: epochs }, () => random.permutation(train.rows.length)),
  };
}

function linearStart(d: number, random: SeededRandom): Probe {
  const bound = 1 / Math.sqrt(d);
  const draw = (): number => bound * (2 * random.uniform() - 1);
  return { w: Float64Array.from({ length: d }, draw), b: draw() };
}
