// Selections that look beyond one memory or one row: the k largest over several slabs, and batchtopk's largest of a whole batch.

import { floats, type Job, type Place, words } from "./job.ts";
import type { ListPlan } from "./layout.ts";
import { ACTIVE, type Selection, startOver } from "./selection.ts";

interface PlacedList {
  readonly place: Place;
  readonly list: ListPlan;
}

/** A bound that leaves somewhat more candidates than are kept, as a share of the last threshold. */
const SLACK = 0.9;
/** Bounds tried before the lists are declared too short. */
const ATTEMPTS = 40;

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

type ScanBlock = (
  job: Job,
  selection: Selection,
  places: readonly Place[],
  block: number,
  limit: number,
) => Promise<number>;

/**
 * Lists every key above a guessed bound, and then keeps the ⌊k·rows⌋ largest of the batch, ties to the first row and latent.
 * The guess (0.9 of the last threshold) decides how much is listed, never what is kept.
 */
export async function chooseBatchTopk(
  job: Job,
  selection: Selection,
  places: readonly Place[],
  scan: ScanBlock,
): Promise<void> {
  const { crew } = job;
  const keep = Math.floor(selection.sae.config.k! * job.rows);
  const at = selection.number * 2;
  const TOTAL = 64;
  let low = 0;
  let high = Number.POSITIVE_INFINITY;
  let limit = job.lasting[at + 1]!;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    for (const block of crew.units(job.blocks)) crew.add(TOTAL, await scan(job, selection, places, block, limit));
    // Everyone has to know the outcome before the counters are set back.
    crew.barrier();
    const total = crew.get(TOTAL) >>> 0;
    const overflowed = crew.get(0) !== 0;
    crew.barrier(() => {
      crew.set(TOTAL, 0);
      const good = !overflowed && (total >= keep || limit === 0);
      if (good) keepLargestOfBatch(job, selection, places, keep, total, limit);
      else if (attempt + 1 < ATTEMPTS) startOver(job, places);
    });
    if (!overflowed && (total >= keep || limit === 0)) return;
    if (overflowed) low = Math.max(low, limit);
    else high = limit;
    if (high === Number.POSITIVE_INFINITY) limit = limit > 0 ? limit * 1.5 : firstBound(job, selection, places);
    else limit = low > 0 ? (low + high) / 2 : attempt > 6 ? 0 : limit * 0.6;
  }
}

/** A bound to begin with, from the pre-activations of nothing but the scale of the data: their root mean square over the first block. */
function firstBound(job: Job, { sae }: Selection, places: readonly Place[]): number {
  const home = places[0]!;
  const rows = Math.min(job.rows, 64);
  const x = floats(home, home.scratch.x, rows * sae.d);
  let squares = 0;
  for (const value of x) squares += value * value;
  const W = floats(home, home.slab.at.W_enc!, Math.min(home.slab.n, 64) * sae.d);
  let length = 0;
  for (const value of W) length += value * value;
  const scale = Math.sqrt(((squares / rows) * length) / Math.min(home.slab.n, 64) / sae.config.d_in);
  return Math.max(scale * 0.1, 1e-20);
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
    // Less than one in the whole batch: nothing is above this bound.
    least = keep > 0 ? kthOfAll(job, lists, keep, total) : Number.POSITIVE_INFINITY;
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
