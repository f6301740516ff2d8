// Where everything lies in the shared memories: pure arithmetic, done alike by the calling side and by every worker.
import { type Architecture, type ParameterName, parameterNames, type SaeConfig } from "../../sae/sae.ts";
import { EngineError } from "../engine.ts";

/** Columns of a tile (kernels/views.ts); rows are padded to it. */
export const TILE = 32;
/** Rows of the batch that go through the matrix product and the selection together. Fixed, so that results don't depend on threads. */
export const BLOCK_ROWS = 256;
/** Parts of the latents that are worked on as one; fixed for the same reason. */
export const LATENT_PARTS = 16;
/** The first page of a memory holds the kernels' own constants (tables of Math.pow). */
const PAGE = 65536;
/** Bins of a histogram (kernels/select.ts). */
const HISTOGRAM_BINS = 256;
/** Bins of a histogram over a batch (merge.ts). */
export const BATCH_BINS = 2048;
/** A 32-bit memory, less a page that is never touched. */
export const MEMORY_LIMIT = 65535 * PAGE;
/** Of one memory, for weights and moments; the rest is for batches and lists of active latents. */
export const DEFAULT_SLAB_LIMIT = 2.5 * 2 ** 30;

/** Latents [lo, lo + n) of one SAE in one memory, padded to a multiple of 16. Offsets in bytes. */
export interface Slab {
  /** Index of the memory. */
  readonly bank: number;
  readonly lo: number;
  readonly n: number;
  readonly padded: number;
  readonly at: SlabOffsets;
}

/** Weights, their moments (`m.`, `v.`), gradients of the vectors (`g.`), decoder norms, and the two counters of a latent. */
export type SlabOffsets = {
  readonly [name in `${"" | "m." | "v." | "g."}${ParameterName}` | "norm" | "last" | "silent"]?: number;
};

/** One SAE spread over slabs, each in a memory of its own. */
export interface SaePlan {
  readonly config: SaeConfig;
  /** d_in padded to tiles. */
  readonly d: number;
  readonly slabs: readonly Slab[];
}

/** Sizes of the scratch that a memory needs besides its slabs. */
export interface ScratchNeeds {
  readonly rows: number;
  readonly threads: number;
  readonly d: number;
  /** Widest slab of this memory. */
  readonly padded: number;
  /** Capacity of the list of codes and of the second list (AuxK, gates), in pairs. */
  readonly pool: number;
  readonly pool2: number;
  readonly training: boolean;
  readonly k: number;
  /** Inner widths of a matryoshka in training. */
  readonly inner: number;
}

/** Places things one after the other, each on a boundary of its own cache lines. */
class Region {
  used: number;

  constructor(start: number) {
    this.used = start;
  }

  take(bytes: number): number {
    const at = this.used;
    this.used = at + Math.ceil(bytes / 128) * 128;
    return at;
  }
}

export function padColumns(d_in: number): number {
  return Math.ceil(d_in / TILE) * TILE;
}

/** 1-D parameters of a latent. */
export function vectorNames(architecture: Architecture): ParameterName[] {
  return parameterNames(architecture).filter((name) => !["W_enc", "W_dec", "b_dec"].includes(name));
}

/** Bytes of one latent's state: weights; and with training, moments and gradients. */
function latentBytes(config: SaeConfig, training: boolean, momentum: boolean): number {
  const vectors = vectorNames(config.architecture).length;
  const copies = training ? (momentum ? 3 : 2) : 1;
  return (2 * padColumns(config.d_in) + vectors) * 4 * copies + (training ? 4 * (3 + vectors) : 4);
}

/** Splits SAEs over memories: each slab at most `limit` bytes, and slabs of one SAE never share a memory. */
export function planSaes(
  configs: readonly SaeConfig[],
  training: boolean,
  momentum: boolean,
  limit: number,
): { saes: SaePlan[]; banks: number[] } {
  const regions: Region[] = [];
  const saes = configs.map((config): SaePlan => {
    const d = padColumns(config.d_in);
    const bytes = latentBytes(config, training, momentum);
    const parts = Math.max(1, Math.ceil((config.d_sae * bytes) / limit));
    const share = Math.ceil(config.d_sae / parts / 16) * 16;
    const slabs: Slab[] = [];
    let bank = 0;
    for (let lo = 0; lo < config.d_sae; lo += share) {
      const n = Math.min(share, config.d_sae - lo);
      const padded = Math.ceil(n / 16) * 16;
      while (bank < regions.length && regions[bank]!.used + padded * bytes > limit) bank++;
      const region = regions[bank] ?? new Region(PAGE);
      regions[bank] = region;
      slabs.push({ bank, lo, n, padded, at: placeSlab(region, config.architecture, padded, d, training, momentum) });
      bank++;
    }
    return { config, d, slabs };
  });
  return { saes, banks: regions.map((region) => region.used) };
}

function placeSlab(
  region: Region,
  architecture: Architecture,
  padded: number,
  d: number,
  training: boolean,
  momentum: boolean,
): SlabOffsets {
  const at: { -readonly [name in keyof SlabOffsets]: number } = {};
  const vectors = vectorNames(architecture);
  const sets: ("" | "m." | "v.")[] = training ? ["", "v.", ...(momentum ? (["m."] as const) : [])] : [""];
  for (const set of sets) {
    at[`${set}W_enc`] = region.take(padded * d * 4);
    at[`${set}W_dec`] = region.take(padded * d * 4);
    at[`${set}b_dec`] = region.take(d * 4);
    for (const name of vectors) at[`${set}${name}`] = region.take(padded * 4);
  }
  at.norm = region.take(padded * 4);
  if (training) {
    for (const name of vectors) at[`g.${name}`] = region.take(padded * 4);
    at["g.b_dec"] = region.take(d * 4);
    at.last = region.take(padded * 4);
    at.silent = region.take(padded * 4);
  }
  return at;
}

/** Offsets of one list of (row, latent) pairs: by row as selected, then grouped by latent. */
export interface ListPlan {
  readonly idx: number;
  readonly val: number;
  readonly starts: number;
  readonly counts: number;
  readonly off: number;
  readonly rowOf: number;
  readonly values: number;
  readonly codes: number;
  readonly cursor: number;
  readonly capacity: number;
}

export interface WorkerPlan {
  readonly block: number;
  readonly pre: number;
  readonly ids: number;
  readonly keys: number;
  readonly copy: number;
  /** Words of a histogram, for the k-th largest. */
  readonly table: number;
  /** Words of a histogram over a batch. */
  readonly bins: number;
  readonly panel: number;
  readonly guess: number;
  readonly length: number;
  readonly tile: number;
  readonly tile2: number;
}

export interface Scratch {
  readonly x: number;
  readonly XT: number;
  readonly GT: number;
  readonly GT2: number;
  /** Of a matryoshka's inner widths: gradients, their sums by column, errors (levels.ts). */
  readonly inner: number;
  readonly innerSums: number;
  readonly innerErrors: number;
  readonly out: number;
  readonly inScale: number;
  readonly inShift: number;
  readonly outScale: number;
  readonly outShift: number;
  readonly rowFactor: number;
  readonly a: ListPlan;
  readonly b: ListPlan;
  readonly ones: number;
  readonly zeros: number;
  readonly bias: number;
  readonly theta: number;
  readonly expR: number;
  readonly dead: number;
  readonly mode: number;
  readonly decayM: number;
  readonly decayV: number;
  readonly largest: number;
  readonly squares: number;
  readonly pen: number;
  readonly fired: number;
  readonly sumA: number;
  readonly sumB: number;
  readonly GE: number;
  readonly GD: number;
  /** [tiles, 32] Σ_t of the gradient by the decoded values; second list likewise. */
  readonly columnSums: number;
  readonly columnSums2: number;
  /** [LATENT_PARTS, d] */
  readonly biasParts: number;
  /** [blocks, d] float64 */
  readonly moments: number;
  readonly workers: readonly WorkerPlan[];
  /** End of the memory in use, bytes. */
  readonly end: number;
}

/** Candidates that a top-k row may have before it is cut back. */
export function candidateCapacity(k: number, padded: number): number {
  return Math.max(4 * k + 64, padded > 0 ? Math.min(padded + 32, 4096) : 0);
}

export function planScratch(start: number, needs: ScratchNeeds): Scratch {
  const region = new Region(start);
  const { rows, d, padded, training } = needs;
  const floats = (n: number): number => region.take(n * 4);
  const padRows = Math.max(rows, 1);
  const candidates = candidateCapacity(needs.k, padded);
  const list = (capacity: number): ListPlan => ({
    idx: floats(capacity),
    val: floats(capacity),
    starts: floats(padRows),
    counts: floats(padRows),
    off: floats(padded + 1),
    rowOf: floats(capacity),
    values: floats(capacity),
    codes: floats(training ? capacity : 0),
    cursor: floats(padded),
    capacity,
  });
  const plan = {
    x: floats(padRows * d),
    XT: floats(padRows * d),
    GT: floats(padRows * d),
    GT2: floats(needs.pool2 > 0 ? padRows * d : 0),
    inner: floats(needs.inner * padRows * d),
    innerSums: floats(needs.inner * d),
    innerErrors: region.take((needs.inner * d * 8) / TILE),
    out: floats(training ? 0 : padRows * d),
    inScale: floats(padRows),
    inShift: floats(padRows),
    outScale: floats(padRows),
    outShift: floats(padRows),
    rowFactor: floats(padRows),
    a: list(needs.pool),
    b: list(needs.pool2),
    ones: floats(Math.max(padded, d)),
    zeros: floats(Math.max(padded, d)),
    bias: floats(padded),
    theta: floats(padded),
    expR: floats(padded),
    dead: floats(padded),
    mode: floats(padded),
    decayM: floats(padded),
    decayV: floats(padded),
    largest: floats(padded),
    squares: floats(padded),
    pen: floats(padded),
    fired: floats(padded),
    sumA: floats(padded),
    sumB: floats(padded),
    GE: floats(training ? padded * d : 0),
    GD: floats(training ? padded * d : 0),
    columnSums: floats(d),
    columnSums2: floats(d),
    biasParts: floats(LATENT_PARTS * d),
    moments: region.take(Math.ceil(padRows / BLOCK_ROWS) * d * 8),
  };
  const workers = Array.from({ length: needs.threads }, () => ({
    block: floats(BLOCK_ROWS * d),
    pre: floats(BLOCK_ROWS * padded),
    ids: floats(Math.max(candidates, padded)),
    keys: floats(Math.max(candidates, padded)),
    copy: floats(Math.max(candidates, padded)),
    table: floats(HISTOGRAM_BINS),
    bins: floats(BATCH_BINS),
    panel: floats(8 * d),
    guess: floats(32),
    length: floats(BLOCK_ROWS),
    tile: floats(padRows * TILE),
    tile2: floats(padRows * TILE),
  }));
  return { ...plan, workers, end: region.used };
}

/** Pages of a memory that ends at `end`; EngineError where 32 bits cannot address it. */
export function pagesFor(end: number, what: string): number {
  if (end > MEMORY_LIMIT) {
    throw new EngineError(
      `${what} needs ${gib(end)} GiB in one memory, and 4 GiB is the most: use a smaller batch (train_batch_size_tokens) or a smaller d_sae`,
    );
  }
  return Math.ceil(end / PAGE) + 1;
}

export function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(2);
}
