// Gradients of a range of latents, inside a worker: both rows tile by tile, then the vectors. Clipping needs their norm before Adam may begin.
import { floats, type Place, partOf } from "./job.ts";
import { LATENT_PARTS, type ListPlan, TILE, vectorNames } from "./layout.ts";
import { gradientOf, latentsOf, widthsOf } from "./levels.ts";
import { AUX_FACTOR, GRADIENT, type Step, tileOf, usesSecond } from "./step.ts";

/** dictionary_learning's ε where it projects gradients on decoder rows. */
const PROJECTION_EPS = 1e-6;

/** One slab's part of the work, with what all of its parts need. */
interface Part {
  readonly i0: number;
  readonly i1: number;
  /** Number of the part in its slab. */
  readonly part: number;
  /** Σ of squared gradients so far. */
  squares: number;
}

/**
 * Each worker takes a fixed range of latents, so that a tile of the batch stays in its cache for as many of them as possible;
 * sums are kept by part, so that they don't depend on the number of workers.
 */
export function gradients(step: Step): void {
  const { crew } = step.job;
  const [first, end] = partOf(LATENT_PARTS, crew.size, crew.index);
  for (const place of step.places) {
    const parts: Part[] = [];
    for (let part = first; part < end; part++) {
      const [i0, i1] = partOf(place.slab.padded, LATENT_PARTS, part);
      parts.push({ i0, i1, part, squares: 0 });
    }
    const penalised = penalisedList(step, place);
    if (penalised) for (const part of parts) penalty(step, place, part, penalised, "penalties");
    decoderRows(step, place, parts, penalised);
    for (const part of parts) codeGradients(step, place, part, penalised);
    encoderRows(step, place, parts);
    for (const part of parts) {
      vectors(step, place, part);
      crew.put(GRADIENT, place.number * LATENT_PARTS + part.part, part.squares);
    }
  }
}

/** The list whose values the sparsity penalty is of. */
function penalisedList({ sae }: Step, { scratch }: Place): ListPlan | undefined {
  if (sae.config.architecture === "standard") return scratch.a;
  return sae.config.architecture === "gated" ? scratch.b : undefined;
}

/** "penalties": the multiple of each decoder row that the penalty's gradient is. "addPenalty": its part of each code's gradient. */
function penalty(step: Step, place: Place, { i0, i1 }: Part, list: ListPlan, kernel: "penalties" | "addPenalty"): void {
  const { scratch, slab, kernels } = place;
  const perToken = step.input.sparsity_coefficient / step.job.rows;
  const p = step.sae.config.architecture === "standard" ? step.config.lp_norm : 1;
  const { off, rowOf, values, codes } = list;
  const norm = slab.at.norm!;
  if (kernel === "penalties") {
    kernels.penalties(off, rowOf, values, i0, i1, norm, perToken, p, scratch.rowFactor, scratch.pen);
  } else {
    kernels.addPenalty(off, rowOf, values, codes, i0, i1, norm, perToken, p, scratch.rowFactor);
  }
}

/** Latents [i0, i1) that the same gradient reaches. */
interface Reach {
  readonly i0: number;
  readonly i1: number;
  readonly gradient: number;
}

function reachesOf({ sae, job }: Step, place: Place, part: Part): Reach[] {
  return Array.from(widthsOf(sae), (_, level) => {
    const [i0, i1] = latentsOf(sae, place, level);
    const gradient = gradientOf(sae, place, level, job.rows);
    return { i0: Math.max(i0, part.i0), i1: Math.min(i1, part.i1), gradient };
  }).filter(({ i0, i1 }) => i0 < i1);
}

/** Gradient rows of W_dec, and of each code the part that comes through the reconstruction. */
function decoderRows(step: Step, place: Place, parts: readonly Part[], penalised: ListPlan | undefined): void {
  const { kernels, scratch, slab } = place;
  const { a, b } = scratch;
  const second = usesSecond(step);
  const factor = second ? step.job.crew.partials[AUX_FACTOR]! : 1;
  const offB = second ? b.off : 0;
  const { rows } = step.job;
  const reaches = new Map(parts.map((part) => [part, reachesOf(step, place, part)]));
  for (let tile = 0; tile < step.sae.d / TILE; tile++) {
    const GD = tileOf(scratch.GD, tile, slab.padded);
    const W = tileOf(slab.at.W_dec!, tile, slab.padded);
    const isFirst = tile === 0 ? 1 : 0;
    const products = (
      part: Part,
      { i0, i1, gradient }: Reach,
      list: ListPlan,
      earlier: number,
      later: number,
      times: number,
    ): void => {
      const { off, rowOf, values, codes } = list;
      const G = tileOf(gradient, tile, rows);
      const pen = penalised === list ? scratch.pen : 0;
      part.squares += kernels.decoderGradient(
        GD,
        W,
        G,
        off,
        rowOf,
        values,
        codes,
        i0,
        i1,
        pen,
        earlier,
        later,
        times,
        isFirst,
      );
    };
    for (const part of parts) for (const reach of reaches.get(part)!) products(part, reach, a, 0, offB, 1);
    if (!second) continue;
    for (const part of parts) products(part, { ...part, gradient: scratch.GT2 }, b, a.off, 0, factor);
  }
  if (step.config.decoder_norm !== "unit") return;
  const W_dec = slab.at.W_dec!;
  const norm = slab.at.norm!;
  for (const part of parts) {
    const { i0, i1 } = part;
    part.squares = kernels.removeParallel(
      scratch.GD,
      W_dec,
      slab.padded,
      step.sae.d,
      norm,
      a.off,
      offB,
      i0,
      i1,
      PROJECTION_EPS,
    );
  }
}

/** What the architecture makes of the gradients by codes: gradients by x·W_enc + bias, and of the vectors that only codes see. */
function codeGradients(step: Step, place: Place, part: Part, penalised: ListPlan | undefined): void {
  const { kernels, scratch, slab } = place;
  const { at } = slab;
  const { i0, i1 } = part;
  const { off, rowOf, values, codes } = scratch.a;
  if (penalised) penalty(step, place, part, penalised, "addPenalty");
  kernels.firedLatents(off, values, i0, i1, scratch.fired);
  const { architecture } = step.sae.config;
  if (architecture === "jumprelu") {
    const { jumprelu_bandwidth: bandwidth } = step.config;
    const perBand = step.input.sparsity_coefficient / step.job.rows / bandwidth;
    kernels.thresholdGradient(off, rowOf, values, codes, i0, i1, at.threshold!, bandwidth, perBand, at["g.threshold"]!);
  } else if (architecture === "gated") {
    kernels.magnitudeGradient(off, values, codes, i0, i1, scratch.expR, at.b_mag!, at["g.b_mag"]!, at["g.r_mag"]!);
  }
}

function encoderRows(step: Step, place: Place, parts: readonly Part[]): void {
  const { kernels, scratch } = place;
  const { a, b } = scratch;
  const second = usesSecond(step);
  const { d } = step.sae;
  for (let tile = 0; tile < d / TILE; tile++) {
    const GE = scratch.GE + tile * TILE * 4;
    const X = tileOf(scratch.XT, tile, step.job.rows);
    const products = (part: Part, { off, rowOf, codes }: ListPlan, earlier: number, later: number): void => {
      part.squares += kernels.encoderGradient(GE, d, X, off, rowOf, codes, part.i0, part.i1, earlier, later);
    };
    for (const part of parts) products(part, a, 0, second ? b.off : 0);
    if (second) for (const part of parts) products(part, b, a.off, 0);
  }
}

/** Gradients of the biases: of what is added before the relu, and of b_dec through the centred input. */
function vectors(step: Step, place: Place, part: Part): void {
  const { kernels, scratch, slab } = place;
  const { at, padded } = slab;
  const { i0, i1 } = part;
  const { architecture, apply_b_dec_to_input } = step.sae.config;
  const sumA = floats(place, scratch.sumA, padded);
  const sumB = floats(place, scratch.sumB, padded);
  kernels.sumByLatent(scratch.a.off, scratch.a.codes, i0, i1, scratch.sumA);
  if (usesSecond(step)) {
    kernels.sumByLatent(scratch.b.off, scratch.b.codes, i0, i1, scratch.sumB);
    for (let i = i0; i < i1; i++) sumA[i]! += sumB[i]!;
  }
  if (architecture === "gated") floats(place, at["g.b_gate"]!, padded).set(sumB.subarray(i0, i1), i0);
  else floats(place, at["g.b_enc"]!, padded).set(sumA.subarray(i0, i1), i0);
  for (const name of vectorNames(architecture)) part.squares += kernels.squaresOf(at[`g.${name}`]! + i0 * 4, i1 - i0);
  if (apply_b_dec_to_input) {
    kernels.biasGradient(at.W_enc!, scratch.sumA, i0, i1, step.sae.d, scratch.biasParts + part.part * step.sae.d * 4);
  }
}
