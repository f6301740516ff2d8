// What a batch needs on the device, and into how many micro-batches it is cut where a buffer would be larger than the adapter allows.
import { innerWidths, type SaeConfig } from "../../sae/sae.ts";
import { EngineError, type TrainerConfig } from "../engine.ts";
import { GROUP, LATENTS_EACH, vec4s } from "./kernels.ts";

/** Bytes of a Row and of a Latent in shared.wgsl. */
export const ROW_BYTES = 40;
export const LATENT_BYTES = 32;
/** Bytes of the header of single numbers. */
export const HEADER_BYTES = 64;
/** Bytes of codes that may lie on the device so that several members are encoded before anything is read; and no more than one buffer may have. */
const MOST_CODES = 2 ** 28;
/** Of a segment of the counting sort: SEGMENT_ROWS in shared.wgsl. */
const SEGMENT_ROWS = 32;

/** Bytes of the buffers that hold SAEs of one shape, one behind the other. */
export function saeSizes(sae: SaeConfig, training: TrainerConfig | undefined, members = 1): Record<string, number> {
  const { d_in, d_sae: F } = sae;
  const V = vec4s(d_in);
  const matrices = 2 * F * V * 16;
  const sizes = {
    parameters: matrices,
    ...(training ? { seconds: matrices } : {}),
    ...(training && training.adam_beta1 > 0 ? { firsts: matrices } : {}),
    // values, two moments, gradient
    vectors: F * 16 * (training ? 4 : 1),
    latents: F * LATENT_BYTES,
    // b_dec, two moments, gradient, two sums by column, and partial sums by block of latents
    bias: HEADER_BYTES + V * 16 * (training ? 6 + Math.ceil(F / LATENTS_EACH) : 1),
  };
  return Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, bytes * members]));
}

export interface MicroBatch {
  readonly first: number;
  readonly count: number;
  /** That the counting sort cuts it into. */
  readonly segments: number;
}

export interface BatchPlan {
  /** Members in one set of dispatches (encoding: whose codes have buffers of their own); the others follow in the same buffers. */
  readonly together: number;
  readonly microBatches: readonly MicroBatch[];
  /** Pairs of one member that a micro-batch has room for. */
  readonly pairs: number;
  /** Bytes by buffer. */
  readonly sizes: Readonly<Record<string, number>>;
}

export interface BatchNeeds {
  readonly saes: readonly SaeConfig[];
  readonly rows: number;
  /** Members that are trained on the batch, or encode it. */
  readonly members: number;
  /** Absent for encoding. */
  readonly training?: TrainerConfig;
  /** Gradients are kept until the norm of all is known, or until the last micro-batch. */
  readonly keepsGradients: boolean;
  readonly largestBuffer: number;
  /** Rows of all members that are computed by one product; any number unless given. */
  readonly mostRows?: number;
}

/**
 * Every plan whose buffers all fit what one may have, the best first: all members at once, fewer at once, one by one, then in more
 * and more micro-batches. Throws EngineError where even a single row, or what must be whole (weights, activations of the batch),
 * does not fit.
 */
export function* planBatch(needs: BatchNeeds): Generator<BatchPlan, undefined> {
  const { rows, largestBuffer, training, mostRows = Number.POSITIVE_INFINITY } = needs;
  const listed = Math.max(1, Math.floor(Math.min(MOST_CODES, largestBuffer) / codesBytes(needs, rows)));
  const members = training ? needs.members : Math.min(needs.members, listed);
  const tooLarge = (sizes: Readonly<Record<string, number>>) =>
    Object.entries(sizes).filter(([, bytes]) => bytes > largestBuffer);
  for (let passes = 1, before = 0; Math.ceil(members / passes) > 1; passes++) {
    const together = Math.ceil(members / passes);
    if (together === before) continue;
    before = together;
    if (together * rows > mostRows) continue;
    const plan = planOf(needs, together, rows, false);
    if (tooLarge(plan.sizes).length === 0) yield plan;
  }
  for (let parts = 1; ; parts *= 2) {
    const count = Math.max(1, Math.ceil(rows / parts));
    if (count > Math.max(1, mostRows)) continue;
    const plan = planOf(needs, 1, count, parts > 1);
    const beyond = tooLarge(plan.sizes);
    if (beyond.length === 0) yield plan;
    if (count === 1 && beyond.length === 0) return undefined;
    // What more and smaller micro-batches need as much of.
    const whole = beyond.find(([name]) => !/^(pre|reach|lists|marks|offsets|pairs|starts\d+|codes\d+)$/.test(name));
    if (count > 1 && !whole) continue;
    const [name, bytes] = whole ?? beyond[0]!;
    throw new EngineError(
      `${name} of this SAE needs a buffer of ${gib(bytes)} GiB and this GPU allows ${gib(largestBuffer)}: use a smaller train_batch_size_tokens or d_sae, or the device cpu`,
    );
  }
}

/** How many SAEs of a shape lie in one set of buffers: all `members`, or about equal parts of them. Throws EngineError where not even one fits. */
export function membersStacked(
  sae: SaeConfig,
  training: TrainerConfig | undefined,
  members: number,
  largestBuffer: number,
): number {
  checkSae(sae, training, largestBuffer);
  const most = Math.floor(largestBuffer / Math.max(...Object.values(saeSizes(sae, training))));
  return Math.ceil(members / Math.ceil(members / most));
}

/** Throws EngineError where an SAE's own buffers don't fit. */
function checkSae(sae: SaeConfig, training: TrainerConfig | undefined, largestBuffer: number): void {
  for (const [name, bytes] of Object.entries(saeSizes(sae, training))) {
    if (bytes <= largestBuffer) continue;
    throw new EngineError(
      `${name} of an SAE of ${sae.d_sae} features of width ${sae.d_in} need a buffer of ${gib(bytes)} GiB and this GPU allows ${gib(largestBuffer)}: use a smaller d_sae, or the device cpu`,
    );
  }
}

export function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(2);
}

function planOf(needs: BatchNeeds, together: number, count: number, parted: boolean): BatchPlan {
  const { saes, rows, training, keepsGradients } = needs;
  const V = vec4s(saes[0]!.d_in);
  const F = Math.max(...saes.map((sae) => sae.d_sae));
  const activations = rows * V * 16;
  const microBatches = cut(rows, count);
  if (!training) {
    const room = Math.max(...saes.map((one) => mostListed(one)));
    const sizes: Record<string, number> = {
      activations: activations * 3,
      rows: rows * ROW_BYTES,
      pre: count * F * 4,
      reach: count * groupsIn(F) * 4,
      lists: count * room * 4,
    };
    for (let place = 0; place < together; place++) {
      sizes[`starts${place}`] = (count + 1) * 4;
      sizes[`codes${place}`] = codesBytes(needs, count);
    }
    return { together, microBatches, pairs: 0, sizes };
  }
  const sae = saes[0]!;
  const pairs = mostPairs(sae, training, rows, count);
  // Finished members of a boosting run use the same lists, one after the other.
  const room = mostListed(sae, training);
  const frozen = Math.max(0, ...saes.slice(1).map((one) => mostListed(one)));
  const marks = together * segmentsOf(count) * sae.d_sae * 4;
  const sizes = {
    // The batch is the members' common one; what each makes of it is its own.
    activations: activations + together * (activations * (3 + innerWidths(sae).length) + innerErrorBytes(sae, rows)),
    rows: together * rows * ROW_BYTES,
    pre: count * 4 * Math.max(F, together * sae.d_sae),
    reach: count * 4 * Math.max(groupsIn(F), together * groupsIn(sae.d_sae)),
    lists: count * 4 * Math.max(frozen, together * room),
    pairs: together * 8 * pairs,
    marks,
    offsets: marks,
    bins: Math.max(2048, together * 256) * 4,
    ...(keepsGradients || parted ? { gradients: together * 2 * sae.d_sae * V * 16 } : {}),
  };
  return { together, microBatches, pairs, sizes };
}

/** Groups of latents whose reach the product says. */
export function groupsIn(F: number): number {
  return Math.ceil(F / GROUP);
}

/** Of a matryoshka's inner widths: the error of every row. */
export function innerErrorBytes(sae: SaeConfig, rows: number): number {
  return rows * vec4s(innerWidths(sae).length) * 16;
}

/** Where a member's lie in the activations' buffer: behind the gradients. */
export function innerErrorStart(sae: SaeConfig, rows: number, place: number): number {
  const section = rows * vec4s(sae.d_in) * 16;
  const sections = 3 + innerWidths(sae).length;
  return section + place * (sections * section + innerErrorBytes(sae, rows)) + sections * section;
}

/** Of one member's codes, at most. */
function codesBytes({ saes }: BatchNeeds, rows: number): number {
  return 8 * rows * Math.max(...saes.map((one) => mostListed(one)));
}

/** Active latents of a row, at most, for which its list has room: in training those that AuxK takes as well. */
export function mostListed({ architecture, d_in, d_sae, k }: SaeConfig, training?: TrainerConfig): number {
  if (architecture !== "topk") return d_sae;
  return Math.min(d_sae, k! + (training ? auxOf(d_in, training) : 0));
}

/** Dead latents of a row that AuxK takes, at most. */
function auxOf(d_in: number, { aux_loss_coefficient }: TrainerConfig): number {
  return aux_loss_coefficient === 0 ? 0 : Math.floor(d_in / 2);
}

/** Pairs that a micro-batch can list: bounded by k where there is one, else by all latents of all rows. */
function mostPairs(sae: SaeConfig, training: TrainerConfig, rows: number, count: number): number {
  const all = count * sae.d_sae;
  const aux = count * auxOf(sae.d_in, training);
  if (sae.architecture === "topk") return Math.min(all, count * sae.k! + aux);
  if (sae.architecture === "batchtopk") return Math.min(all, Math.floor(sae.k! * rows) + aux);
  return all;
}

function cut(rows: number, count: number): MicroBatch[] {
  const parts: MicroBatch[] = [];
  for (let first = 0; first < rows; first += count) {
    const own = Math.min(count, rows - first);
    parts.push({ first, count: own, segments: segmentsOf(own) });
  }
  return parts;
}

function segmentsOf(count: number): number {
  return Math.ceil(count / SEGMENT_ROWS);
}
