// How near two engines' results are: what a step reports, a member's state after some steps, and codes. Each with what is allowed of it, since a sum of float32 in another order moves some more than others.
import { withCurrentMoments } from "../currentMoments.ts";
import {
  type Encoded,
  entries,
  type MemberState,
  type SparseCodes,
  type StepReport,
  type TrainerConfig,
} from "../engine.ts";

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
/** In encoding, as many rows more as there are ten thousands of codes: each is one that may lie at the edge. Never more than one row in ten, so that there is something to compare. */
const CODES_TO_AN_EDGE = 10_000;
const ROWS_TO_AN_EDGE = 10;
/** Parts of a loss and gradients, second moments, steps of Adam (which divides by what may be tiny): as multiples of what a loss may differ by. */
const OF_PARTS = 10;
const OF_MOMENTS = 10;
const OF_STEPS = 50;
/** A parameter that has moved by less of itself than this shows float32's rounding and no step. */
const LEAST_MOVE = 1e-5;

/** Nothing may differ by more, however many units of agreement are allowed of it: beyond it a check would say nothing. */
const LARGEST_DIFFERENCE = 0.3;

/** Relative. */
export function mostAllowed({ allowed }: Difference, agreement: number): number {
  return Math.min(LARGEST_DIFFERENCE, allowed * agreement);
}

export function agrees(difference: Difference, agreement: number): boolean {
  return difference.apart <= mostAllowed(difference, agreement);
}

/** The one that is furthest beyond what is allowed of it. */
export function worst(differences: readonly Difference[], agreement: number): Difference {
  let found: Difference = { what: "nothing", apart: 0, allowed: 1 };
  for (const one of differences) {
    // A result that is no number does not agree, and nothing is worse.
    if (Number.isNaN(found.apart)) return found;
    if (!(one.apart / mostAllowed(one, agreement) <= found.apart / mostAllowed(found, agreement))) found = one;
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

/**
 * Of codes and reconstructions of the same rows. Two latents that are equal to float32's last digits at the cut of a topk, or one at
 * its threshold, may fall either way, and then nothing in their row need agree: so a few rows that have other latents are left out.
 */
export function encodedDifferences(found: Encoded, expected: Encoded): Difference[] {
  const { rows, indices } = expected.codes;
  const others = new Set<number>();
  for (let t = 0; t < rows; t++) if (!hasSameLatents(found.codes, expected.codes, t)) others.add(t);
  const atTheEdge = ON_THE_EDGE + Math.floor(indices.length / CODES_TO_AN_EDGE);
  if (others.size > Math.min(atTheEdge, rows / ROWS_TO_AN_EDGE)) others.clear();
  const reconstruction = rowsApart(found.reconstruction, expected.reconstruction, rows, others);
  return [
    { what: "reconstruction", apart: reconstruction, allowed: 1 },
    { what: "codes", apart: codesApart(found.codes, expected.codes, others), allowed: 1 },
  ];
}

function hasSameLatents(a: SparseCodes, b: SparseCodes, t: number): boolean {
  const [from, start] = [a.offsets[t]!, b.offsets[t]!];
  const count = b.offsets[t + 1]! - start;
  if (a.offsets[t + 1]! - from !== count) return false;
  for (let n = 0; n < count; n++) if (a.indices[from + n] !== b.indices[start + n]) return false;
  return true;
}

/** ‖a − b‖ / ‖b‖ of what both have and of what one of them has, but for the rows `without`. */
function codesApart(a: SparseCodes, b: SparseCodes, without: ReadonlySet<number>): number {
  let squares = 0;
  let scale = 0;
  for (let t = 0; t < b.rows; t++) {
    if (without.has(t)) continue;
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

/** ‖a − b‖ / ‖b‖ of [rows, d], but for the rows `without`, which have to be numbers all the same. */
function rowsApart(a: Float32Array, b: Float32Array, rows: number, without: ReadonlySet<number>): number {
  const d = b.length / rows;
  let squares = 0;
  let scale = 0;
  for (let t = 0; t < rows; t++) {
    for (let at = t * d; at < (t + 1) * d; at++) {
      const square = (a[at]! - b[at]!) ** 2;
      if (without.has(t) && !Number.isNaN(square)) continue;
      squares += square;
      scale += b[at]! ** 2;
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
