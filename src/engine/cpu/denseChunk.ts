// Gradients of one chunk of latents by dense products, inside a worker, to where the sparse step's own would lie.
import { floats, type Place, words } from "./job.ts";
import { BLOCK_ROWS, LATENT_PARTS, TILE, vectorNames } from "./layout.ts";
import { GRADIENT, type Step, tileOf } from "./step.ts";

/** dictionary_learning's ε where it projects gradients on decoder rows. */
const PROJECTION_EPS = 1e-6;

/** Buffers of dense steps, shared by all workers; the caller makes them when the first batch needs them. */
export interface DenseBuffers {
  /** Codes, chunk after chunk: [rows, width of the chunk] each. */
  readonly values: SharedArrayBuffer;
  /** jumprelu: pre-activations; gated: relu(π); empty for others. */
  readonly second: SharedArrayBuffer;
  /** W_dec by rows [F, d]. */
  readonly decoder: SharedArrayBuffer;
  /** [rows, d]: the centred input, and the gradients by the reconstructions. */
  readonly input: SharedArrayBuffer;
  readonly gradient: SharedArrayBuffer;
  readonly gradient2: SharedArrayBuffer;
  /** [rows] */
  readonly rowFactor: SharedArrayBuffer;
}

export type DenseView = { readonly [name in keyof DenseBuffers]: Float32Array };

export function viewOf(buffers: DenseBuffers): DenseView {
  const view = Object.entries(buffers).map(([name, buffer]) => [name, new Float32Array(buffer as SharedArrayBuffer)]);
  return Object.fromEntries(view) as DenseView;
}

/** One part of one slab's latents, and the widths of all parts before it, over slabs. */
export interface Chunk {
  readonly place: Place;
  readonly part: number;
  readonly i0: number;
  readonly i1: number;
  readonly before: number;
}

export async function gradientsOfChunk(step: Step, chunk: Chunk, view: DenseView): Promise<void> {
  const { job, sae } = step;
  const { place, i0, i1, before, part } = chunk;
  const { kernels, scratch, slab } = place;
  const { d } = sae;
  const { rows } = job;
  const width = i1 - i0;
  const W = view.decoder.subarray(before * d, (before + width) * d);
  const range: [number, number] = [rows * before, rows * (before + width)];
  const values = view.values.subarray(...range);
  const second = view.second.subarray(...range);
  const gated = sae.config.architecture === "gated";
  const matrix = (data: Float32Array, columns: number) => ({ data, shape: [rows, columns] as const });
  const byCodes = async (gradient: Float32Array): Promise<Float32Array> => {
    const out = new Float32Array(rows * width);
    await job.native!.run("nt", matrix(gradient, d), { data: W, shape: [width, d] }, out, [rows, width]);
    return out;
  };
  const codes = await byCodes(view.gradient);
  const simple = sae.config.architecture === "jumprelu" || (!gated && step.config.lp_norm === 1);
  const pen = simple
    ? maskBySimd(step, chunk, codes, values, second)
    : toPreActivations(
        step,
        chunk,
        view.rowFactor,
        codes,
        gated ? await byCodes(view.gradient2) : codes,
        values,
        second,
      );

  const GE = floats(place, scratch.GE + i0 * d * 4, width * d);
  await job.native!.run("tn", matrix(codes, width), matrix(view.input, d), GE, [width, d]);
  const GD = new Float32Array(width * d);
  await job.native!.run("tn", matrix(values, width), matrix(view.gradient, d), GD, [width, d]);
  if (gated) {
    const more = new Float32Array(width * d);
    await job.native!.run("tn", matrix(second, width), matrix(view.gradient2, d), more, [width, d]);
    for (let at = 0; at < GD.length; at++) GD[at] = GD[at]! + more[at]!;
  }
  let squares = intoTiles(step, chunk, GD, W, pen);
  if (step.config.decoder_norm === "unit") {
    const { a } = scratch;
    squares = kernels.removeParallel(
      scratch.GD,
      slab.at.W_dec!,
      slab.padded,
      d,
      slab.at.norm!,
      a.off,
      0,
      i0,
      i1,
      PROJECTION_EPS,
    );
  }
  squares += kernels.squaresOf(scratch.GE + i0 * d * 4, width * d);
  for (const name of vectorNames(sae.config.architecture)) {
    squares += kernels.squaresOf(slab.at[`g.${name}`]! + i0 * 4, width);
  }
  if (sae.config.apply_b_dec_to_input) {
    kernels.biasGradient(slab.at.W_enc!, scratch.sumA, i0, i1, d, scratch.biasParts + part * d * 4);
  }
  job.crew.put(GRADIENT, place.number * LATENT_PARTS + part, squares);
}

/** The same as toPreActivations for standard with p = 1 and for jumprelu: rows go through the worker's memory, some at a time. */
function maskBySimd(
  step: Step,
  { place, i0, i1 }: Chunk,
  codes: Float32Array,
  values: Float32Array,
  second: Float32Array,
): Float64Array {
  const { job, config, input } = step;
  const { kernels, scratch, slab, worker } = place;
  const width = i1 - i0;
  const isJumpRelu = step.sae.config.architecture === "jumprelu";
  const perToken = input.sparsity_coefficient / job.rows;
  // Three matrices of this many rows fit where a block's pre-activations were; sums go where candidates would be listed.
  const most = Math.max(1, Math.floor((BLOCK_ROWS * slab.padded) / (3 * width)));
  const at = [0, 1, 2].map((matrix) => worker.pre + matrix * most * width * 4);
  const sums = [worker.ids, worker.keys, worker.copy];
  for (const sum of sums) floats(place, sum, width).fill(0);
  for (let first = 0; first < job.rows; first += most) {
    const rows = Math.min(most, job.rows - first);
    const range: [number, number] = [first * width, (first + rows) * width];
    floats(place, at[0]!, rows * width).set(codes.subarray(...range));
    floats(place, at[1]!, rows * width).set(values.subarray(...range));
    if (isJumpRelu) floats(place, at[2]!, rows * width).set(second.subarray(...range));
    kernels.maskCodes(
      at[0]!,
      at[1]!,
      isJumpRelu ? at[2]! : 0,
      rows,
      width,
      slab.at.norm! + i0 * 4,
      isJumpRelu ? 0 : perToken,
      scratch.theta + i0 * 4,
      config.jumprelu_bandwidth,
      perToken / config.jumprelu_bandwidth,
      sums[0]!,
      sums[1]!,
      sums[2]!,
    );
    codes.set(floats(place, at[0]!, rows * width), range[0]);
  }
  const [sumA, codeSums, thetaSums] = sums.map((sum) => floats(place, sum, width));
  floats(place, scratch.sumA + i0 * 4, width).set(sumA!);
  floats(place, slab.at["g.b_enc"]! + i0 * 4, width).set(sumA!);
  if (isJumpRelu) floats(place, slab.at["g.threshold"]! + i0 * 4, width).set(thetaSums!);
  const fired = words(place, scratch.fired + i0 * 4, width);
  const norms = floats(place, slab.at.norm! + i0 * 4, width);
  const pen = new Float64Array(width);
  for (let i = 0; i < width; i++) {
    fired[i] = codeSums![i]! > 0 ? 1 : 0;
    if (!isJumpRelu && norms[i]! > 0) pen[i] = (perToken * codeSums![i]!) / norms[i]!;
  }
  return pen;
}

/**
 * Gradients by codes [rows, width] become gradients by x·W_enc, in place, with the vectors' gradients on the way. Returns, for each
 * latent, the multiple of its decoder row that the penalty's gradient is.
 */
function toPreActivations(
  step: Step,
  { place, i0, i1 }: Chunk,
  rowFactor: Float32Array,
  codes: Float32Array,
  codes2: Float32Array,
  values: Float32Array,
  second: Float32Array,
): Float64Array {
  const { job, sae, config, input } = step;
  const { slab, scratch } = place;
  const { at, padded } = slab;
  const { architecture } = sae.config;
  const width = i1 - i0;
  const { rows } = job;
  const perToken = input.sparsity_coefficient / rows;
  const p = config.lp_norm;
  const pen = new Float64Array(width);
  const sums = new Float64Array(width);
  const sumsMag = new Float64Array(width);
  const sumsOther = new Float64Array(width);
  const firedSum = new Float64Array(width);
  const fired = floats(place, scratch.fired, padded);
  const firedWords = new Uint32Array(fired.buffer, fired.byteOffset, padded);
  const norms = floats(place, at.norm!, padded);
  const expR = floats(place, scratch.expR, padded);
  const bMag = floats(place, at.b_mag ?? scratch.zeros, padded);
  firedWords.fill(0, i0, i1);
  const isStandard = architecture === "standard";
  for (let t = 0; t < rows; t++) {
    const weight = perToken * rowFactor[t]!;
    const from = t * width;
    // One loop for each architecture: a test in it would cost more than all the rest.
    if (isStandard) {
      for (let i = 0; i < width; i++) {
        const f = values[from + i]!;
        const n = norms[i0 + i]!;
        const on = f > 0;
        const slope = !on ? 0 : weight * (f * n) ** (p - 1);
        pen[i] = pen[i]! + slope * f;
        sumsMag[i] = sumsMag[i]! + f;
        codes[from + i] = on ? codes[from + i]! + slope * n : 0;
      }
    } else {
      for (let i = 0; i < width; i++) {
        const open = second[from + i]! > 0;
        const f = values[from + i]!;
        const g = f > 0 ? codes[from + i]! : 0;
        // The gate's own sum, for b_gate: what goes through the magnitude is added after it.
        const gate = open ? codes2[from + i]! + perToken * norms[i0 + i]! : 0;
        pen[i] = pen[i]! + perToken * second[from + i]!;
        sumsOther[i] = sumsOther[i]! + gate;
        sumsMag[i] = sumsMag[i]! + g;
        sums[i] = sums[i]! + g * (f - bMag[i0 + i]!);
        firedSum[i] = firedSum[i]! + f;
        codes[from + i] = gate + g * expR[i0 + i]!;
      }
    }
  }
  const codeSums = architecture === "gated" ? firedSum : sumsMag;
  for (let i = 0; i < width; i++) firedWords[i0 + i] = codeSums[i]! > 0 ? 1 : 0;
  const sumA = new Float64Array(width);
  for (let start = 0; start < codes.length; start += width) {
    for (let i = 0; i < width; i++) sumA[i] = sumA[i]! + codes[start + i]!;
  }
  floats(place, scratch.sumA + i0 * 4, width).set(sumA);
  const put = (name: "b_enc" | "b_gate" | "b_mag" | "r_mag", from: Float64Array): void => {
    floats(place, at[`g.${name}`]! + i0 * 4, width).set(from);
  };
  if (architecture === "gated") {
    put("b_gate", sumsOther);
    put("b_mag", sumsMag);
    put("r_mag", sums);
  } else {
    put("b_enc", sumA);
  }
  for (let i = 0; i < width; i++) pen[i] = norms[i0 + i]! > 0 ? pen[i]! / norms[i0 + i]! : 0;
  return pen;
}

/** Decoder gradients with the penalty's part, into their tiles; returns Σ of squares. */
function intoTiles({ sae }: Step, { place, i0 }: Chunk, GD: Float32Array, W: Float32Array, pen: Float64Array): number {
  const { scratch, slab } = place;
  const { d } = sae;
  let squares = 0;
  for (let i = 0; i < pen.length; i++) {
    const factor = pen[i]!;
    for (let at = i * d; at < (i + 1) * d; at++) {
      const value = Math.fround(GD[at]! + factor * W[at]!);
      GD[at] = value;
      squares += value * value;
    }
  }
  for (let tile = 0; tile < d / TILE; tile++) {
    const to = floats(place, tileOf(scratch.GD, tile, slab.padded), slab.padded * TILE);
    for (let i = 0; i < pen.length; i++) {
      const start = i * d + tile * TILE;
      to.set(GD.subarray(start, start + TILE), (i0 + i) * TILE);
    }
  }
  return squares;
}
