// From rows to active latents, inside a worker: matrix product and selection block by block, then the pairs grouped by latent. Training and encoding share it.
import { keepsLargest } from "../../sae/sae.ts";
import { SECTION } from "./crew.ts";
import { floats, type Job, type Place, partOf, words } from "./job.ts";
import { BATCH_BINS, BLOCK_ROWS, candidateCapacity, type ListPlan, type SaePlan } from "./layout.ts";
import { type BitRange, chooseBatchTopk, mergeTopk, type Ties } from "./merge.ts";
import { ACTIVE, DEAD, FILLED, OVERFLOW, PENALTY, type Selection, SQUARES } from "./selection.ts";

/** Keys are scaled by decoder norms where the topk family asks for it. */
function rescales({ config }: SaePlan): boolean {
  return keepsLargest(config) && config.rescale_acts_by_decoder_norm === true;
}

/** The list that candidates go to first. */
export function codeList({ scratch }: Place, { config }: SaePlan): ListPlan {
  return config.architecture === "gated" ? scratch.b : scratch.a;
}

function normOf(place: Place, sae: SaePlan): number {
  return rescales(sae) ? place.slab.at.norm! : place.scratch.ones;
}

function biasOf(place: Place): number {
  return (place.slab.at.b_enc ?? place.slab.at.b_gate)!;
}

/** Finds the codes of all rows and groups them by latent. False where a list was too short (never of topk and batchtopk): the step has to be dense. */
export async function findCodes(job: Job, selection: Selection): Promise<boolean> {
  const { crew } = job;
  const places = job.places(selection.sae);
  if (!(await selectCodes(job, selection, places))) return false;
  groupAll(job, selection, places);
  crew.lap("group");
  crew.barrier();
  crew.lap("wait");
  return true;
}

/** Finds the codes of all rows, by row. False where a list was too short. */
export async function selectCodes(job: Job, selection: Selection, places: readonly Place[]): Promise<boolean> {
  const { crew } = job;
  const { sae } = selection;
  crew.barrier(() => prepare(job, selection, places));
  if (sae.config.architecture === "batchtopk") {
    await chooseBatchTopk(job, selection, places, {
      list: (block, limit, ties) => listBlock(job, selection, places, block, limit, ties),
      count: (block, range, counts) => countBlock(job, selection, places, block, range, counts),
    });
  } else for (const block of crew.units(job.blocks)) await selectBlock(job, selection, places, block);
  crew.lap("select");
  crew.barrier();
  crew.lap("wait");
  return !crew.get(OVERFLOW);
}

/** What the selection needs of the parameters, and empty lists. One worker, before all others. */
export function prepare(job: Job, { sae, training, auxK }: Selection, places: readonly Place[]): void {
  job.crew.set(OVERFLOW, 0);
  for (const place of places) {
    const { slab, scratch } = place;
    job.crew.set(FILLED + slab.bank, 0);
    const bias = floats(place, scratch.bias, slab.padded);
    bias.set(floats(place, biasOf(place), slab.padded));
    if (sae.config.architecture === "jumprelu") {
      const threshold = floats(place, slab.at.threshold!, slab.padded);
      const theta = floats(place, scratch.theta, slab.padded);
      const half = training ? job.description.training!.jumprelu_bandwidth / 2 : 0;
      for (let i = 0; i < slab.n; i++) {
        theta[i] = Math.max(0, threshold[i]!);
        // SAELens' projection; the estimator needs θ ≥ 0.
        if (training) threshold[i] = theta[i]!;
        // A little lower than the band, as rounding may differ: what is not in it falls out afterwards.
        bias[i] = bias[i]! - theta[i]! + half * 1.001 + 1e-6 * (1 + Math.abs(bias[i]!) + theta[i]!);
      }
    }
    if (sae.config.architecture === "gated") {
      const r = floats(place, slab.at.r_mag!, slab.padded);
      const expR = floats(place, scratch.expR, slab.padded);
      for (let i = 0; i < slab.n; i++) expR[i] = Math.exp(r[i]!);
    }
    if (auxK === 0) words(place, scratch.b.counts, job.rows).fill(0);
  }
}

/** Centres the rows of a block and multiplies them by the encoder, for one slab: pre-activations without bias in the worker's `pre`. */
export async function product(job: Job, sae: SaePlan, place: Place, block: number): Promise<number> {
  const { kernels, scratch, slab, worker } = place;
  const first = block * BLOCK_ROWS;
  const rows = Math.min(BLOCK_ROWS, job.rows - first);
  const bDec = sae.config.apply_b_dec_to_input ? slab.at.b_dec! : scratch.zeros;
  kernels.center(
    scratch.x,
    bDec,
    scratch.inScale,
    scratch.inShift,
    worker.block,
    scratch.XT,
    worker.length,
    first,
    rows,
    job.rows,
    sae.d,
    sae.config.d_in,
  );
  job.crew.lap("center");
  if (job.native) {
    await job.native.run(
      "nt",
      { data: floats(place, worker.block, rows * sae.d), shape: [rows, sae.d] },
      { data: floats(place, slab.at.W_enc!, slab.padded * sae.d), shape: [slab.padded, sae.d] },
      floats(place, worker.pre, rows * slab.padded),
      [rows, slab.padded],
    );
  } else {
    kernels.gemm(worker.block, slab.at.W_enc!, worker.pre, worker.panel, rows, slab.padded, sae.d);
  }
  job.crew.lap("gemm");
  return rows;
}

async function selectBlock(job: Job, selection: Selection, places: readonly Place[], block: number): Promise<void> {
  job.crew.lap("select");
  const { sae } = selection;
  const first = block * BLOCK_ROWS;
  const topk = sae.config.architecture === "topk";
  let active = 0;
  for (const place of places) {
    const rows = await product(job, sae, place, block);
    if (topk) {
      const { kernels, scratch, slab, worker } = place;
      const k = Math.min(sae.config.k!, slab.padded);
      const { a } = scratch;
      const cap = candidateCapacity(sae.config.k!, slab.padded);
      kernels.topk(
        worker.pre,
        rows,
        slab.padded,
        k,
        scratch.bias,
        normOf(place, sae),
        worker.length,
        worker.guess,
        a.idx + first * k * 4,
        a.val + first * k * 4,
        a.counts + first * 4,
        worker.ids,
        worker.keys,
        worker.copy,
        worker.table,
        cap,
      );
      const starts = words(place, a.starts, job.rows);
      for (let t = first; t < first + rows; t++) starts[t] = t * k;
      auxBlock(job, selection, place, first, rows);
    } else {
      scanRows(job, selection, place, first, rows, 0);
    }
    if (selection.moments && place.number === 0) {
      const { kernels, scratch } = place;
      job.crew.put(
        SQUARES,
        block,
        kernels.moments(scratch.x + first * sae.d * 4, sae.d, rows, scratch.moments + block * sae.d * 8),
      );
    }
  }
  const rows = Math.min(BLOCK_ROWS, job.rows - first);
  if (topk && places.length > 1) {
    mergeTopk(
      places.map((place) => ({ place, list: place.scratch.a })),
      first,
      rows,
      sae.config.k!,
    );
  }
  if (selection.auxK > 0 && places.length > 1) {
    mergeTopk(
      places.map((place) => ({ place, list: place.scratch.b })),
      first,
      rows,
      selection.auxK,
    );
  }
  for (const {
    kernels,
    scratch: { a },
  } of places) {
    active += kernels.countKeys(a.val, a.starts + first * 4, a.counts + first * 4, rows, 0, 0) >>> 0;
  }
  job.crew.put(ACTIVE, block, active);
  if (selection.training) penaltyOfBlock(job, selection, places, block, first, rows);
}

/** All latents of rows [first, first + rows) whose key passes the limit, into the slab's list. */
function scanRows(job: Job, selection: Selection, place: Place, first: number, rows: number, limit: number): number {
  const { sae } = selection;
  const { kernels, scratch, slab, worker } = place;
  const architecture = sae.config.architecture;
  const list = codeList(place, sae);
  const norm = normOf(place, sae);
  const counts = list.counts + first * 4;
  const total = kernels.countAbove(worker.pre, rows, slab.padded, scratch.bias, norm, limit, counts) >>> 0;
  const at = job.crew.add(FILLED + slab.bank, total) >>> 0;
  if (at + total > list.capacity) {
    job.crew.set(OVERFLOW, 1);
    words(place, counts, rows).fill(0);
    words(place, scratch.a.counts + first * 4, rows).fill(0);
    return total;
  }
  kernels.emitAbove(
    worker.pre,
    rows,
    slab.padded,
    scratch.bias,
    norm,
    limit,
    biasOf(place),
    list.idx + at * 4,
    list.val + at * 4,
    list.starts + first * 4,
    at,
  );
  const row = (base: number): number => base + first * 4;
  if (architecture === "jumprelu") {
    const bandwidth = selection.training ? job.description.training!.jumprelu_bandwidth : 0;
    kernels.jumpRelu(list.idx, list.val, row(list.starts), row(list.counts), rows, scratch.theta, bandwidth);
  } else if (architecture === "gated") {
    const { a, b } = scratch;
    kernels.magnitudes(
      b.idx,
      b.val,
      row(b.starts),
      row(b.counts),
      rows,
      slab.at.b_gate!,
      scratch.expR,
      slab.at.b_mag!,
      a.idx,
      a.val,
      row(a.counts),
    );
    words(place, row(a.starts), rows).set(words(place, row(b.starts), rows));
  }
  return total;
}

/** One block of batchtopk: candidates above a limit, and AuxK's; returns how many candidates. */
async function listBlock(
  job: Job,
  selection: Selection,
  places: readonly Place[],
  block: number,
  limit: number,
  ties?: Ties,
): Promise<number> {
  const { sae } = selection;
  const first = block * BLOCK_ROWS;
  const rows = Math.min(BLOCK_ROWS, job.rows - first);
  for (const place of places) {
    await product(job, sae, place, block);
    // A list that was too short leaves nothing to merge: the block is scanned again with another limit.
    if (!job.crew.get(OVERFLOW)) auxBlock(job, selection, place, first, rows);
  }
  if (ties) strikeTies(sae, places, rows, ties);
  let total = 0;
  for (const place of places) {
    total += scanRows(job, selection, place, first, rows, limit);
    if (selection.moments && place.number === 0) {
      const { kernels, scratch } = place;
      const { d } = sae;
      job.crew.put(
        SQUARES,
        block,
        kernels.moments(scratch.x + first * d * 4, d, rows, scratch.moments + block * d * 8),
      );
    }
  }
  if (selection.auxK > 0 && places.length > 1 && !job.crew.get(OVERFLOW)) {
    mergeTopk(
      places.map((place) => ({ place, list: place.scratch.b })),
      first,
      rows,
      selection.auxK,
    );
  }
  return total;
}

/** How many keys of a block have which bits. */
async function countBlock(
  job: Job,
  { sae }: Selection,
  places: readonly Place[],
  block: number,
  { limit, lowest, span, shift }: BitRange,
  counts: Uint32Array,
): Promise<void> {
  for (const place of places) {
    const rows = await product(job, sae, place, block);
    const { kernels, scratch, slab, worker } = place;
    const bins = words(place, worker.bins, BATCH_BINS).fill(0);
    const norm = normOf(place, sae);
    kernels.countBits(worker.pre, rows, slab.padded, scratch.bias, norm, limit, lowest, span, shift, worker.bins);
    for (let bin = 0; bin < BATCH_BINS; bin++) counts[bin]! += bins[bin]!;
  }
}

/** Of the keys with the bits of `ties`, by row and then by latent, only the first that are left stay candidates. Slow, and hardly ever needed. */
function strikeTies(sae: SaePlan, places: readonly Place[], rows: number, ties: Ties): void {
  const key = new Float32Array(1);
  const bits = new Uint32Array(key.buffer);
  const slabs = places.map((place) => {
    const { padded } = place.slab;
    const vector = (at: number): Float32Array => floats(place, at, padded);
    const pre = floats(place, place.worker.pre, rows * padded);
    return { padded, pre, bias: vector(place.scratch.bias), norm: vector(normOf(place, sae)) };
  });
  for (let t = 0; t < rows; t++) {
    for (const { padded, pre, bias, norm } of slabs) {
      for (let i = 0; i < padded; i++) {
        // Rounded after each operation, as the kernels do.
        key[0] = Math.fround(pre[t * padded + i]! + bias[i]!) * norm[i]!;
        if (bits[0] === ties.bits && ties.left-- <= 0) pre[t * padded + i] = Number.NEGATIVE_INFINITY;
      }
    }
  }
}

/** AuxK's largest dead latents of a block. Their list has fixed places, as topk's has. */
function auxBlock(job: Job, { sae, auxK, auxPositive }: Selection, place: Place, first: number, rows: number): void {
  if (auxK === 0) return;
  const { kernels, scratch, slab, worker } = place;
  const { b } = scratch;
  // A narrow slab can't give more than it has; the list is as wide.
  const k = Math.min(auxK, slab.padded);
  const n = job.crew.partials[DEAD * SECTION + place.number]!;
  kernels.topkAmong(
    worker.pre,
    rows,
    slab.padded,
    k,
    scratch.dead,
    n,
    scratch.bias,
    normOf(place, sae),
    auxPositive ? 1 : 0,
    b.idx + first * k * 4,
    b.val + first * k * 4,
    b.counts + first * 4,
    worker.ids,
    worker.keys,
    worker.copy,
    worker.table,
  );
  const starts = words(place, b.starts, job.rows);
  for (let t = first; t < first + rows; t++) starts[t] = t * k;
}

/** What the sparsity penalty adds to the loss in this block, before its coefficient: Σ_t of the p-norm, or Σ relu(π)‖W_dec‖. */
function penaltyOfBlock(
  job: Job,
  { sae }: Selection,
  places: readonly Place[],
  block: number,
  first: number,
  rows: number,
): void {
  const { architecture } = sae.config;
  if (architecture !== "standard" && architecture !== "gated") return;
  const p = architecture === "standard" ? job.description.training!.lp_norm : 1;
  const powers = new Float64Array(rows);
  for (const place of places) {
    const { kernels, scratch, slab } = place;
    const list = architecture === "gated" ? scratch.b : scratch.a;
    const to = scratch.rowFactor + first * 4;
    kernels.rowPowers(list.idx, list.val, list.starts + first * 4, list.counts + first * 4, rows, slab.at.norm!, p, to);
    const part = floats(place, to, rows);
    for (let t = 0; t < rows; t++) powers[t]! += part[t]!;
  }
  let total = 0;
  for (const power of powers) total += power > 0 ? power ** (1 / p) : 0;
  job.crew.put(PENALTY, block, total);
  for (const place of places) {
    const factor = floats(place, place.scratch.rowFactor + first * 4, rows);
    for (let t = 0; t < rows; t++) factor[t] = p === 1 || !(powers[t]! > 0) ? 1 : powers[t]! ** (1 / p - 1);
  }
}

/** Sorts the pairs of both lists by latent, each worker a range of the latents. */
function groupAll(job: Job, { sae, auxK }: Selection, places: readonly Place[]): void {
  for (const place of places) {
    const { kernels, scratch, slab } = place;
    const [i0, i1] = partOf(slab.padded, job.crew.size, job.crew.index);
    const lists = auxK > 0 || sae.config.architecture === "gated" ? [scratch.a, scratch.b] : [scratch.a];
    for (const list of lists) {
      const norm = rescales(sae) ? slab.at.norm! : 0;
      kernels.group(
        list.idx,
        list.val,
        list.starts,
        list.counts,
        job.rows,
        i0,
        i1,
        norm,
        list.off,
        list.cursor,
        list.rowOf,
        list.values,
      );
    }
  }
}
