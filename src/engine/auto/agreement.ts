// How near two engines' results are: what a step reports, a member's state after some steps, and codes. Each with what is allowed of it, since a sum of float32 in another order moves some more than others.
import { withCurrentMoments } from "../currentMoments.ts";
import { type Encoded, entries, type MemberState, type StepReport, type TrainerConfig } from "../engine.ts";

export interface Difference {
  /** What differs, in words. */
  readonly what: string;
  /** Relative. */
  readonly apart: number;
  /** In units of the agreement asked for. */
  readonly allowed: number;
}

/** Latents or pairs at the very edge that either engine may count or not. */
const ON_THE_EDGE = 2;
/** Parts of a loss and gradients, second moments, steps of Adam (which divides by what may be tiny): as multiples of what a loss may differ by. */
const OF_PARTS = 10;
const OF_MOMENTS = 10;
const OF_STEPS = 50;
/** A parameter that has moved by less of itself than this shows float32's rounding and no step. */
const LEAST_MOVE = 1e-5;

/** The one that is furthest beyond what is allowed of it. */
export function worst(differences: readonly Difference[]): Difference {
  let found: Difference = { what: "nothing", apart: 0, allowed: 1 };
  for (const one of differences) {
    // A result that is no number does not agree, and nothing is worse.
    if (Number.isNaN(found.apart)) return found;
    if (!(one.apart / one.allowed <= found.apart / found.allowed)) found = one;
  }
  return found;
}

/** Of one member's step on a batch of `rows`. */
export function reportDifferences(found: StepReport, expected: StepReport, rows: number): Difference[] {
  const differences = [
    { what: "loss", apart: relative(found.loss, expected.loss), allowed: 1 },
    { what: "L0", apart: ofCounts(found.l0 * rows, expected.l0 * rows), allowed: 1 },
    { what: "number of dead latents", apart: ofCounts(found.n_dead, expected.n_dead), allowed: 1 },
    {
      what: "explained variance",
      apart: relative(1 - found.explained_variance, 1 - expected.explained_variance),
      allowed: OF_PARTS,
    },
    { what: "gradient norm", apart: relative(found.grad_norm, expected.grad_norm), allowed: OF_PARTS },
  ];
  for (const [what, value] of Object.entries(expected.losses)) {
    // What is next to nothing of the loss is noise.
    const least = 1e-6 * Math.abs(expected.loss);
    differences.push({ what, apart: relative(found.losses[what] ?? Number.NaN, value, least), allowed: OF_PARTS });
  }
  return differences;
}

/** Of one member after steps from `start`. */
export function stateDifferences(
  found: MemberState,
  expected: MemberState,
  start: MemberState,
  config: TrainerConfig,
): Difference[] {
  const differences: Difference[] = [];
  const [theirs, ours] = [withCurrentMoments(found, config), withCurrentMoments(expected, config)];
  for (const [name, values] of entries(ours.exp_avg_sq)) {
    const apart = distance(theirs.exp_avg_sq[name]!, values);
    differences.push({ what: `second moments of ${name}`, apart, allowed: OF_MOMENTS });
  }
  for (const [name, values] of entries(ours.weights)) {
    const before = start.weights[name]!;
    const moved = Math.max(length(values, before), LEAST_MOVE * length(values));
    const off = length(theirs.weights[name]!, values);
    differences.push({ what: `step of ${name}`, apart: off === 0 ? 0 : off / moved, allowed: OF_STEPS });
  }
  let others = 0;
  const { n_forward_passes_since_fired: counters } = ours;
  for (const [i, steps] of counters.entries()) others += Number(theirs.n_forward_passes_since_fired[i] !== steps);
  const apart = ofCounts(counters.length - others, counters.length);
  differences.push({ what: "steps since latents fired", apart, allowed: OF_PARTS });
  return differences;
}

/** Of codes and reconstructions of the same rows. */
export function encodedDifferences(found: Encoded, expected: Encoded): Difference[] {
  return [
    { what: "reconstruction", apart: distance(found.reconstruction, expected.reconstruction), allowed: 1 },
    { what: "codes", apart: codesApart(found.codes, expected.codes), allowed: 1 },
  ];
}

/** ‖a − b‖ / ‖b‖ of what both have and of what one of them has. */
function codesApart(a: Encoded["codes"], b: Encoded["codes"]): number {
  let squares = 0;
  let scale = 0;
  for (let t = 0; t < b.rows; t++) {
    let at = a.offsets[t]!;
    let to = b.offsets[t]!;
    while (at < a.offsets[t + 1]! || to < b.offsets[t + 1]!) {
      const left = at < a.offsets[t + 1]! ? a.indices[at]! : Number.POSITIVE_INFINITY;
      const right = to < b.offsets[t + 1]! ? b.indices[to]! : Number.POSITIVE_INFINITY;
      const own = left <= right ? a.values[at++]! : 0;
      const other = right <= left ? b.values[to++]! : 0;
      squares += (own - other) ** 2;
      scale += other ** 2;
    }
  }
  return squares === 0 ? 0 : Math.sqrt(squares / scale);
}

/** Nothing apart where neither is a number: what isn't reported. */
function relative(a: number, b: number, least = 1e-12): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  return Math.abs(a - b) / Math.max(Math.abs(b), least);
}

function ofCounts(a: number, b: number): number {
  if (Number.isNaN(a)) return a;
  return Math.max(0, Math.abs(a - b) - ON_THE_EDGE) / Math.max(1, b);
}

function distance(a: Float32Array, b: Float32Array): number {
  const off = length(a, b);
  return off === 0 ? 0 : off / length(b);
}

/** ‖a − b‖, or ‖a‖. */
function length(a: Float32Array, b?: Float32Array): number {
  let squares = 0;
  for (let at = 0; at < a.length; at++) squares += (a[at]! - (b?.[at] ?? 0)) ** 2;
  return Math.sqrt(squares);
}
