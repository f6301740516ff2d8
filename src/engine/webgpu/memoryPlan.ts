// What a batch needs on the device, and into how many micro-batches it is cut where a buffer would be larger than the adapter allows.
import type { SaeConfig } from "../../sae/sae.ts";
import { EngineError, type TrainerConfig } from "../engine.ts";
import { LATENTS_EACH, vec4s } from "./kernels.ts";

/** Bytes of a Row and of a Latent in shared.wgsl. */
export const ROW_BYTES = 48;
export const LATENT_BYTES = 32;
/** Bytes of the header of single numbers. */
export const HEADER_BYTES = 64;
/** Segments of rows that the counting sort cuts a micro-batch into, at most. */
const MOST_SEGMENTS = 64;
const LEAST_ROWS_OF_SEGMENT = 32;

/** Bytes of the buffers that hold one SAE. */
export function saeSizes(sae: SaeConfig, training: TrainerConfig | undefined): Record<string, number> {
  const { d_in, d_sae: F } = sae;
  const V = vec4s(d_in);
  const matrices = 2 * F * V * 16;
  return {
    parameters: matrices,
    ...(training ? { seconds: matrices } : {}),
    ...(training && training.adam_beta1 > 0 ? { firsts: matrices } : {}),
    // values, two moments, gradient
    vectors: F * 16 * (training ? 4 : 1),
    latents: F * LATENT_BYTES,
    // b_dec, two moments, gradient, two sums by column, and partial sums by block of latents
    bias: HEADER_BYTES + V * 16 * (training ? 6 + Math.ceil(F / LATENTS_EACH) : 1),
  };
}

export interface MicroBatch {
  readonly first: number;
  readonly count: number;
  readonly segmentRows: number;
  readonly segments: number;
}

export interface BatchPlan {
  readonly microBatches: readonly MicroBatch[];
  /** Bytes by buffer, for all members one after the other. */
  readonly sizes: Readonly<Record<string, number>>;
}

export interface BatchNeeds {
  readonly saes: readonly SaeConfig[];
  readonly rows: number;
  /** Absent for encoding. */
  readonly training?: TrainerConfig;
  /** Gradients are kept until the norm of all is known, or until the last micro-batch. */
  readonly keepsGradients: boolean;
  readonly largestBuffer: number;
}

/**
 * The fewest micro-batches whose buffers all fit, at least `least`. Throws EngineError where even a single row, or what must be
 * whole (weights, activations of the batch), does not fit.
 */
export function planBatch(needs: BatchNeeds, least = 1): BatchPlan {
  const { rows, largestBuffer } = needs;
  for (let parts = Math.max(1, least); ; parts *= 2) {
    const count = Math.max(1, Math.ceil(rows / parts));
    const sizes = sizesFor(needs, count, parts > 1);
    const tooLarge = Object.entries(sizes).filter(([, bytes]) => bytes > largestBuffer);
    if (tooLarge.length === 0) return { microBatches: cut(rows, count), sizes };
    if (count > 1 && tooLarge.every(([name]) => ["pre", "pairs", "codes"].includes(name))) continue;
    const [name, bytes] = tooLarge[0]!;
    throw new EngineError(
      `${name} of this SAE needs a buffer of ${gib(bytes)} GiB and this GPU allows ${gib(largestBuffer)}: use a smaller train_batch_size_tokens or d_sae, or the device cpu`,
    );
  }
}

/** Throws EngineError where an SAE's own buffers don't fit. */
export function checkSae(sae: SaeConfig, training: TrainerConfig | undefined, largestBuffer: number): void {
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

function sizesFor(needs: BatchNeeds, count: number, parted: boolean): Record<string, number> {
  const { saes, rows, training, keepsGradients } = needs;
  const V = vec4s(saes[0]!.d_in);
  const F = Math.max(...saes.map((sae) => sae.d_sae));
  const activations = rows * V * 16;
  const base = { activations: activations * (training ? 4 : 3), rows: rows * ROW_BYTES, pre: count * F * 4 };
  if (!training) {
    return { ...base, starts: (count + 1) * 4, codes: 8 * Math.max(...saes.map((sae) => count * mostCodes(sae))) };
  }
  const sae = saes[0]!;
  return {
    ...base,
    pairs: 8 * mostPairs(sae, training, rows, count),
    counts: segmentsOf(count).segments * F * 4,
    bins: 2048 * 4,
    ...(keepsGradients || parted ? { gradients: 2 * F * V * 16 } : {}),
  };
}

/** Codes of a row. */
function mostCodes(sae: SaeConfig): number {
  return sae.architecture === "topk" ? Math.min(sae.d_sae, sae.k!) : sae.d_sae;
}

/** Pairs that a micro-batch can list: bounded by k where there is one, else by all latents of all rows. */
function mostPairs(sae: SaeConfig, training: TrainerConfig, rows: number, count: number): number {
  const all = count * sae.d_sae;
  const aux = training.aux_loss_coefficient === 0 ? 0 : count * Math.floor(sae.d_in / 2);
  if (sae.architecture === "topk") return Math.min(all, count * sae.k! + aux);
  if (sae.architecture === "batchtopk") return Math.min(all, Math.floor(sae.k! * rows) + aux);
  return all;
}

function cut(rows: number, count: number): MicroBatch[] {
  const parts: MicroBatch[] = [];
  for (let first = 0; first < rows; first += count) {
    const own = Math.min(count, rows - first);
    parts.push({ first, count: own, ...segmentsOf(own) });
  }
  return parts;
}

function segmentsOf(count: number): { segmentRows: number; segments: number } {
  const segmentRows = Math.max(LEAST_ROWS_OF_SEGMENT, Math.ceil(count / MOST_SEGMENTS));
  return { segmentRows, segments: Math.ceil(count / segmentRows) };
}
