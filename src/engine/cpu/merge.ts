// Selections that look beyond one memory or one row: the k largest over several slabs, and batchtopk's largest of a whole batch.

import { EngineError } from "../engine.ts";
import { floats, type Job, type Place, words } from "./job.ts";
import { BATCH_BINS, type ListPlan } from "./layout.ts";
import { ACTIVE, OVERFLOW, type Selection, startOver } from "./selection.ts";

interface PlacedList {
  readonly place: Place;
  readonly list: ListPlan;
}

/** A bound that leaves somewhat more candidates than are kept, as a share of the last threshold. */
const SLACK = 0.9;
/** Bounds that are guessed before one is worked out. */
const GUESSES = 2;
/** Counters of the crew: keys listed, and keys by some of their bits. */
const LISTED = 64;
const HISTOGRAM = 1024;

/** Each slab has listed its own k largest of each row: keeps the k largest of all, ties to the lowest latent. */
export function mergeTopk(lists: readonly PlacedList[], first: number, rows: number, k: number): void {
  for (let t = first; t < first + rows; t++) {
    const keys: number[] = [];
    for (const row of lists) keys.push(...rowKeys(row, t));
    if (keys.length <= k) continue;
    const least = keys.slice().sort((a, b) => b - a)[k - 1]!;
    let ties = k - keys.filter((key) => key > least).length;
    for (const { place, list } of lists) {
      ties =
        place.kernels.keepAbove(list.idx, list.val, list.starts + t * 4, list.counts + t * 4, 1, least, ties) >>> 0;
    }
  }
}

function rowKeys({ place, list }: PlacedList, t: number): Float32Array {
  const start = words(place, list.starts, t + 1)[t]!;
  return floats(place, list.val + start * 4, words(place, list.counts, t + 1)[t]!);
}

/** Of the keys with these bits, only the first `left` are candidates. */
export interface Ties {
  readonly bits: number;
  left: number;
}

/** Keys whose bits lie in [lowest, lowest + span), 2^shift of them in a bin. */
export interface BitRange {
  /** Just under the first of them. */
  readonly limit: number;
  readonly lowest: number;
  readonly span: number;
  readonly shift: number;
}

/** What can be asked of a block of rows. */
export interface BlockScan {
  /** Lists the keys above a limit; returns how many. */
  list(block: number, limit: number, ties?: Ties): Promise<number>;
  /** Adds to `counts` how many keys have which bits. */
  count(block: number, range: BitRange, counts: Uint32Array): Promise<void>;
}

/**
 * Keeps the ⌊k·rows⌋ largest of the batch, ties to the first row and latent. Bounds decide how much is listed, never what is kept: that
 * of the batch before is tried first, and where the scale has changed since, one is found that can't fail.
 */
export async function chooseBatchTopk(
  job: Job,
  selection: Selection,
  places: readonly Place[],
  scan: BlockScan,
): Promise<void> {
  const keep = Math.floor(selection.sae.config.k! * job.rows);
  let limit = keep === 0 ? Number.POSITIVE_INFINITY : job.lasting[selection.number * 2 + 1]!;
  for (let guess = 0; guess < GUESSES && limit > 0; guess++) {
    const outcome = await listBatch(job, selection, places, keep, scan, limit);
    if (outcome === "kept") return;
    limit *= outcome === "too many" ? 1.5 : 0.6;
  }
  const bound = await boundOfBatch(job, places, keep, scan);
  const outcome = await listBatch(job, selection, places, keep, scan, bound.limit, bound.ties);
  if (outcome !== "kept")
    throw new EngineError(
      `batchtopk's bound ${bound.limit} for ${keep} of a batch lists ${outcome}: an error of the engine`,
    );
}

async function listBatch(
  job: Job,
  selection: Selection,
  places: readonly Place[],
  keep: number,
  scan: BlockScan,
  limit: number,
  ties?: Ties,
): Promise<"kept" | "too many" | "too few"> {
  const { crew } = job;
  // Who counts ties has to see all blocks in order.
  const own = !ties ? crew.units(job.blocks) : crew.index === 0 ? Array(job.blocks).keys() : [];
  for (const block of own) crew.add(LISTED, await scan.list(block, limit, ties));
  // Everyone has to know the outcome before the counters are set back.
  crew.barrier();
  const total = crew.get(LISTED) >>> 0;
  const outcome = crew.get(OVERFLOW) !== 0 ? "too many" : total < keep && limit > 0 ? "too few" : "kept";
  crew.barrier(() => {
    crew.set(LISTED, 0);
    if (outcome === "kept") keepLargestOfBatch(job, selection, places, keep, total, limit);
    else startOver(job, places);
  });
  return outcome;
}

/**
 * A bound that leaves at least `keep` keys (or all positive ones) and no more than the lists hold: the keys are counted by the first 11 of
 * their 31 bits, and where that is too coarse by the next 10 among those with the same, and by the last 10. Positive floats are ordered
 * as their bits are.
 */
async function boundOfBatch(
  job: Job,
  places: readonly Place[],
  keep: number,
  scan: BlockScan,
): Promise<{ limit: number; ties?: Ties }> {
  const { crew } = job;
  const holdsAll = ({ slab, scratch }: Place): boolean => scratch.a.capacity >= job.rows * slab.padded;
  const room = Math.min(
    ...places.map((place) => (holdsAll(place) ? Number.POSITIVE_INFINITY : place.scratch.a.capacity)),
  );
  let lowest = 0;
  let span = 2 ** 31;
  let above = 0;
  for (const shift of [20, 10, 0]) {
    const own = new Uint32Array(BATCH_BINS);
    const range = { limit: justUnder(lowest), lowest, span, shift };
    for (const block of crew.units(job.blocks)) await scan.count(block, range, own);
    for (const [bin, n] of own.entries()) if (n > 0) crew.add(HISTOGRAM + bin, n);
    crew.barrier();
    const counts = own.map((_, bin) => crew.get(HISTOGRAM + bin));
    crew.barrier(() => {
      for (let bin = 0; bin < BATCH_BINS; bin++) crew.set(HISTOGRAM + bin, 0);
    });
    let bin = BATCH_BINS - 1;
    while (bin > 0 && above + counts[bin]! < keep) above += counts[bin--]!;
    lowest += bin << shift;
    span = 2 ** shift;
    if (above + counts[bin]! <= room) return { limit: justUnder(lowest) };
  }
  return { limit: justUnder(lowest), ties: { bits: lowest, left: keep - above } };
}

/** The float before the one with these bits; 0 before 0. */
function justUnder(bits: number): number {
  return new Float32Array(Uint32Array.of(Math.max(0, bits - 1)).buffer)[0]!;
}

function keepLargestOfBatch(
  job: Job,
  { number }: Selection,
  places: readonly Place[],
  keep: number,
  total: number,
  limit: number,
): void {
  const lists = places.map((place) => ({ place, list: place.scratch.a }));
  let least = limit;
  if (total > keep) {
    least = kthOfAll(job, lists, keep, total);
    let ties = keep;
    for (const { place, list } of lists) {
      ties -= place.kernels.countKeys(list.val, list.starts, list.counts, job.rows, least, 0) >>> 0;
    }
    for (const first of lists.length > 1 ? Array.from({ length: job.rows }, (_, t) => t) : [0]) {
      const rows = lists.length > 1 ? 1 : job.rows;
      for (const { place, list } of lists) {
        const starts = list.starts + first * 4;
        ties = place.kernels.keepAbove(list.idx, list.val, starts, list.counts + first * 4, rows, least, ties) >>> 0;
      }
    }
  } else {
    least = leastOfAll(job, lists);
  }
  for (let block = 0; block < job.blocks; block++) job.crew.put(ACTIVE, block, block === 0 ? Math.min(keep, total) : 0);
  if (total > 0 && keep > 0 && Number.isFinite(least)) {
    const rate = job.description.training?.topk_threshold_lr ?? 0;
    job.lasting[number * 2] = (1 - rate) * job.lasting[number * 2]! + rate * least;
    job.lasting[number * 2 + 1] = least * SLACK;
  }
}

function kthOfAll(job: Job, lists: readonly PlacedList[], k: number, total: number): number {
  if (lists.length === 1) {
    const { place, list } = lists[0]!;
    place.kernels.gatherKeys(list.val, list.starts, list.counts, job.rows, list.codes);
    return place.kernels.kthLargest(list.codes, total, k, place.worker.table);
  }
  const keys = new Float32Array(total);
  let at = 0;
  for (const row of lists) {
    for (let t = 0; t < job.rows; t++) {
      const part = rowKeys(row, t);
      keys.set(part, at);
      at += part.length;
    }
  }
  return keys.sort()[total - k]!;
}

function leastOfAll(job: Job, lists: readonly PlacedList[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const row of lists)
    for (let t = 0; t < job.rows; t++) for (const key of rowKeys(row, t)) least = Math.min(least, key);
  return least;
}
