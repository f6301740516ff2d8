// The training step where most latents are active (a ReLU SAE before its penalty bites), inside a worker: the step of trainStep.ts with dense products by onnxruntime. Chunks of latents take the place of lists; their gradients are in denseChunk.ts.
import { keepsLargest } from "../../sae/sae.ts";
import { EngineError, type StepInput } from "../engine.ts";
import { codeList, prepare, product } from "./codes.ts";
import { type Chunk, type DenseBuffers, type DenseView, gradientsOfChunk, viewOf } from "./denseChunk.ts";
import { floats, type Job, type Place, partOf, words } from "./job.ts";
import { BLOCK_ROWS, LATENT_PARTS, TILE } from "./layout.ts";
import { ACTIVE, PENALTY, SQUARES } from "./selection.ts";
import { AUX_ERROR, ERROR, type Step, tileOf } from "./step.ts";
import { beginStep, finishStep, type StepOutcome } from "./trainStep.ts";

/** Where errors of blocks are kept until they are summed; tiles of the sparse step come before. */
const BLOCK_ERRORS = 4096;
/** Counters of candidates by memory, as the sparse step would list them. */
const CANDIDATES = 1024;

/**
 * Not done where the lists of the sparse step would hold this batch: which way a batch goes depends on the batch alone, so a resumed
 * run goes the same way.
 */
export async function denseStep(
  job: Job,
  number: number,
  count: number,
  input: StepInput,
  buffers: DenseBuffers,
): Promise<StepOutcome> {
  const { crew } = job;
  const { config } = job.description.saes[number]!;
  // Below, every positive pre-activation is a code.
  if (keepsLargest(config)) throw new EngineError(`a step of ${config.architecture} can't be done by dense products`);
  const step = beginStep(job, number, count, input);
  const chunks = chunksOf(step);
  const view = viewOf(buffers);
  crew.barrier(() => {
    prepare(job, step.selection, step.places);
    for (const place of step.places) {
      crew.set(CANDIDATES + place.slab.bank, 0);
      // Every latent has a gradient here, which is what the phases after this one read from the list's offsets.
      const off = words(place, place.scratch.a.off, place.slab.padded + 1);
      for (let i = 0; i < off.length; i++) off[i] = i;
    }
  });
  for (const unit of crew.units(chunks.length)) decoderRowMajor(step, chunks[unit]!, view);
  crew.barrier();
  for (const block of crew.units(job.blocks)) await forwardBlock(step, chunks, block, view);
  crew.lap("dense forward");
  crew.barrier(() => sumBlocks(step, view));
  const fits = step.places.every(
    (place) => crew.get(CANDIDATES + place.slab.bank) >>> 0 <= codeList(place, step.sae).capacity,
  );
  if (fits) return { done: false };
  for (const unit of crew.units(chunks.length)) await gradientsOfChunk(step, chunks[unit]!, view);
  crew.lap("dense gradient");
  return finishStep(step);
}

function chunksOf({ places }: Step): Chunk[] {
  let before = 0;
  return places
    .flatMap((place) =>
      Array.from({ length: LATENT_PARTS }, (_, part): Chunk => {
        const [i0, i1] = partOf(place.slab.padded, LATENT_PARTS, part);
        const chunk = { place, part, i0, i1, before };
        before += i1 - i0;
        return chunk;
      }),
    )
    .filter(({ i0, i1 }) => i1 > i0);
}

/** The chunk's decoder rows out of their tiles, as the products want them. */
function decoderRowMajor({ sae }: Step, { place, i0, i1, before }: Chunk, { decoder }: DenseView): void {
  const { slab } = place;
  for (let tile = 0; tile < sae.d / TILE; tile++) {
    const from = floats(place, tileOf(slab.at.W_dec!, tile, slab.padded), slab.padded * TILE);
    for (let i = i0; i < i1; i++) {
      decoder.set(from.subarray(i * TILE, (i + 1) * TILE), (before + i - i0) * sae.d + tile * TILE);
    }
  }
}

/** Activations, reconstruction and residual of a block of rows. */
async function forwardBlock(step: Step, chunks: readonly Chunk[], block: number, view: DenseView): Promise<void> {
  const { job, sae, selection, places } = step;
  const { d } = sae;
  const first = block * BLOCK_ROWS;
  const rows = Math.min(BLOCK_ROWS, job.rows - first);
  const home = places[0]!;
  const powers = new Float64Array(rows);
  const { architecture } = sae.config;
  let active = 0;
  for (const place of places) {
    await product(job, sae, place, block);
    const { kernels, scratch, slab, worker } = place;
    const { pre } = worker;
    const counts = scratch.a.counts + first * 4;
    const listed = kernels.countAbove(pre, rows, slab.padded, scratch.bias, scratch.ones, 0, counts);
    job.crew.add(CANDIDATES + slab.bank, listed);
    const own = chunks.filter((chunk) => chunk.place === place);
    if (architecture === "gated" || (architecture === "standard" && step.config.lp_norm !== 1)) {
      for (const chunk of own) active += activations(step, chunk, first, rows, view, powers);
    } else {
      active += simpleActivations(step, place, own, first, rows, view, powers);
    }
  }
  view.input.set(floats(home, home.worker.block, rows * d), first * d);
  if (selection.moments) {
    const { kernels, scratch } = home;
    const sums = scratch.moments + block * d * 8;
    job.crew.put(SQUARES, block, kernels.moments(scratch.x + first * d * 4, d, rows, sums));
  }
  job.crew.put(ACTIVE, block, active);
  const p = sae.config.architecture === "standard" ? step.config.lp_norm : 1;
  let penalty = 0;
  for (let t = 0; t < rows; t++) {
    const power = powers[t]!;
    penalty += power > 0 ? power ** (1 / p) : 0;
    view.rowFactor[first + t] = p === 1 || !(power > 0) ? 1 : power ** (1 / p - 1);
  }
  job.crew.put(PENALTY, block, penalty);
  job.crew.put(
    ERROR,
    BLOCK_ERRORS + block,
    await residualBlock(step, chunks, view.values, view.gradient, first, rows, view),
  );
  if (sae.config.architecture === "gated") {
    const error = await residualBlock(step, chunks, view.second, view.gradient2, first, rows, view);
    job.crew.put(AUX_ERROR, BLOCK_ERRORS + block, error);
  }
}

/** standard with p = 1 and jumprelu, by SIMD: the worker's pre-activations become codes in place, and go to `values`. */
function simpleActivations(
  step: Step,
  place: Place,
  chunks: readonly Chunk[],
  first: number,
  rows: number,
  view: DenseView,
  powers: Float64Array,
): number {
  const { kernels, scratch, slab, worker } = place;
  const { pre } = worker;
  const { padded } = slab;
  const block = floats(place, pre, rows * padded);
  const copy = (to: Float32Array): void => {
    for (const { i0, i1, before } of chunks) {
      const start = step.job.rows * before + first * (i1 - i0);
      for (let t = 0; t < rows; t++) to.set(block.subarray(t * padded + i0, t * padded + i1), start + t * (i1 - i0));
    }
  };
  const isJumpRelu = step.sae.config.architecture === "jumprelu";
  kernels.addBias(pre, rows, padded, slab.at.b_enc!);
  if (isJumpRelu) copy(view.second);
  const theta = isJumpRelu ? scratch.theta : scratch.zeros;
  const active = kernels.threshold(pre, rows, padded, theta, slab.at.norm!, worker.length);
  copy(view.values);
  const own = floats(place, worker.length, rows);
  for (let t = 0; t < rows; t++) powers[t]! += own[t]!;
  return active >>> 0;
}

/** From the worker's pre-activations: codes to `values`, what else the architecture needs to `second`. Returns how many codes are positive. */
function activations(
  step: Step,
  chunk: Chunk,
  first: number,
  rows: number,
  view: DenseView,
  powers: Float64Array,
): number {
  const { place, i0, i1, before } = chunk;
  const { slab, scratch, worker } = place;
  const { architecture } = step.sae.config;
  const width = i1 - i0;
  const all = step.job.rows;
  const pre = floats(place, worker.pre, rows * slab.padded);
  const bias = floats(place, (slab.at.b_enc ?? slab.at.b_gate)!, slab.padded);
  const norm = floats(place, slab.at.norm!, slab.padded);
  const expR = floats(place, scratch.expR, slab.padded);
  const bMag = floats(place, slab.at.b_mag ?? scratch.zeros, slab.padded);
  const p = architecture === "standard" ? step.config.lp_norm : 1;
  const { values, second } = view;
  const { padded } = slab;
  const isGated = architecture === "gated";
  let active = 0;
  for (let t = 0; t < rows; t++) {
    const from = t * padded;
    const to = all * before + (first + t) * width - i0;
    let power = 0;
    // One loop for each architecture: a test in it would cost more than all the rest.
    if (isGated) {
      for (let i = i0; i < i1; i++) {
        const gate = pre[from + i]! + bias[i]!;
        const open = gate > 0;
        const magnitude = pre[from + i]! * expR[i]! + bMag[i]!;
        const on = open && magnitude > 0;
        second[to + i] = open ? gate : 0;
        values[to + i] = on ? magnitude : 0;
        power += open ? gate * norm[i]! : 0;
        active += on ? 1 : 0;
      }
    } else {
      for (let i = i0; i < i1; i++) {
        const z = pre[from + i]! + bias[i]!;
        const on = z > 0;
        values[to + i] = on ? z : 0;
        power += on ? (z * norm[i]!) ** p : 0;
        active += on ? 1 : 0;
      }
    }
    powers[t]! += power;
  }
  return active;
}

/** x̂ of a block, and the gradient by it; returns Σ(x̂ − x)². */
async function residualBlock(
  step: Step,
  chunks: readonly Chunk[],
  values: Float32Array,
  gradient: Float32Array,
  first: number,
  rows: number,
  view: DenseView,
): Promise<number> {
  const { job, sae, places } = step;
  const { d } = sae;
  const home = places[0]!;
  const { scratch, slab } = home;
  const bDec = floats(home, slab.at.b_dec!, d);
  const decoded = new Float32Array(rows * d);
  for (let t = 0; t < rows; t++) decoded.set(bDec, t * d);
  const part = new Float32Array(rows * d);
  for (const { i0, i1, before } of chunks) {
    const width = i1 - i0;
    const start = job.rows * before + first * width;
    await job.native!.run(
      "nn",
      { data: values.subarray(start, start + rows * width), shape: [rows, width] },
      { data: view.decoder.subarray(before * d, (before + width) * d), shape: [width, d] },
      part,
      [rows, d],
    );
    for (let at = 0; at < part.length; at++) decoded[at] = decoded[at]! + part[at]!;
  }
  const x = floats(home, scratch.x, job.rows * d);
  const outScale = floats(home, scratch.outScale, job.rows);
  const outShift = floats(home, scratch.outShift, job.rows);
  const factor = 2 / job.rows;
  let squares = 0;
  for (let t = first; t < first + rows; t++) {
    const scale = outScale[t]!;
    for (let j = 0; j < sae.config.d_in; j++) {
      const e = decoded[(t - first) * d + j]! * scale + outShift[t]! - x[t * d + j]!;
      squares += e * e;
      gradient[t * d + j] = factor * e * scale;
    }
  }
  return squares;
}

/** The blocks' errors, and the gradient by b_dec, to where the report and the bias' step look for them. One worker. */
function sumBlocks(step: Step, view: DenseView): void {
  const { job, sae, places } = step;
  const home = places[0]!;
  const lists = [
    { section: ERROR, gradient: view.gradient, sums: home.scratch.columnSums },
    { section: AUX_ERROR, gradient: view.gradient2, sums: home.scratch.columnSums2 },
  ];
  for (const { section, gradient, sums } of lists) {
    let error = 0;
    for (let block = 0; block < job.blocks; block++) error += job.crew.get64(section, BLOCK_ERRORS + block);
    for (let tile = 0; tile < sae.d / TILE; tile++) job.crew.put(section, tile, tile === 0 ? error : 0);
    const columns = new Float64Array(sae.d);
    for (let start = 0; start < gradient.length; start += sae.d) {
      for (let j = 0; j < columns.length; j++) columns[j] = columns[j]! + gradient[start + j]!;
    }
    floats(home, sums, sae.d).set(columns);
  }
}
