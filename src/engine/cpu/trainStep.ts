// One training step of one member, inside a worker: codes, residual tile by tile, gradients and Adam latent by latent. Everything sparse; denseStep.ts is for batches in which most latents are active.
import type { StepInput, StepReport, TrainerConfig } from "../engine.ts";
import { findCodes } from "./codes.ts";
import { SECTION } from "./crew.ts";
import { floats, type Job, type Place, partOf, words } from "./job.ts";
import { LATENT_PARTS, type ListPlan, type SaePlan, TILE, vectorNames } from "./layout.ts";
import { ACTIVE, DEAD, PENALTY, type Selection, SQUARES } from "./selection.ts";

/** Sections of the crew's results, after those of codes.ts. */
const ERROR = 4;
const AUX_ERROR = 5;
const GRADIENT = 6;
/** Single numbers: what one worker works out for all. */
const SHARED = 7;
const AUX_FACTOR = SHARED * SECTION;
const CLIP = SHARED * SECTION + 1;

/** dictionary_learning's ε where it projects and renormalises decoder rows. */
const PROJECTION_EPS = 1e-6;
const RENORMALISE_EPS = 2 ** -23;
/** torch's clip_grad_norm_ adds it to the norm. */
const CLIP_EPS = 1e-6;

/** The step of one member as all workers see it. */
interface Step {
  readonly job: Job;
  readonly config: TrainerConfig;
  readonly sae: SaePlan;
  readonly places: readonly Place[];
  readonly selection: Selection;
  /** Steps taken once this one is done. */
  readonly count: number;
  readonly input: StepInput;
  readonly nDead: number;
}

/** What came of a step: done, with the report from the one worker that made it; or nothing done, as the batch is too dense for lists. */
export interface StepOutcome {
  readonly done: boolean;
  readonly report?: StepReport | undefined;
}

export async function trainStep(job: Job, number: number, count: number, input: StepInput): Promise<StepOutcome> {
  const { crew } = job;
  const config = job.description.training!;
  const sae = job.description.saes[number]!;
  const places = job.places(sae);
  crew.barrier(() => findDead(job, config, places));
  let nDead = 0;
  for (const place of places) nDead += crew.partials[DEAD * SECTION + place.number]!;
  const topkFamily = sae.config.architecture === "topk" || sae.config.architecture === "batchtopk";
  const aux = topkFamily && config.aux_loss_coefficient !== 0;
  const selection: Selection = {
    sae,
    number,
    auxK: aux ? Math.min(Math.floor(sae.config.d_in / 2), nDead) : 0,
    auxPositive: config.aux_loss_form === "dictionary_learning",
    training: true,
    moments: number === 0,
  };
  if (!(await findCodes(job, selection))) return { done: false };

  const step: Step = { job, config, sae, places, selection, count, input, nDead };
  for (const tile of crew.units(sae.d / TILE)) residualTile(step, tile);
  crew.barrier(() => setAuxFactor(step));
  for (const unit of crew.units(places.length * LATENT_PARTS)) gradientPart(step, unit);
  let report: StepReport | undefined;
  crew.barrier(() => {
    report = finishGradients(step);
  });
  for (const unit of crew.units(places.length * LATENT_PARTS)) adamPart(step, unit);
  crew.barrier();
  return { done: true, report };
}

/** Whether the second list is in use: AuxK or gates. */
function usesSecond({ selection, sae }: Step): boolean {
  return selection.auxK > 0 || sae.config.architecture === "gated";
}

/** Dead latents of each slab, by the counters as they stand before the step. */
function findDead(job: Job, config: TrainerConfig, places: readonly Place[]): void {
  for (const place of places) {
    const { slab, scratch } = place;
    const silent = words(place, slab.at["silent"]!, slab.n);
    const dead = words(place, scratch.dead, slab.padded);
    let n = 0;
    for (let i = 0; i < slab.n; i++) if (silent[i]! > config.dead_feature_window) dead[n++] = i;
    job.crew.put(DEAD, place.number, n);
  }
}

/** Pointer of tile j0/32 in [d/32][rows][32]. */
function tileOf(base: number, tile: number, rows: number): number {
  return base + tile * rows * TILE * 4;
}

/** x̂ of 32 columns from all slabs' codes, then the gradient by it, to every memory that has latents of this SAE. */
export function decodeTile(
  job: Job,
  places: readonly Place[],
  tile: number,
  list: "a" | "b",
  withBias: boolean,
): number {
  const home = places[0]!;
  const { rows } = job;
  const out = list === "a" ? tileOf(home.scratch.GT, tile, rows) : tileOf(home.scratch.GT2, tile, rows);
  const bias = withBias ? home.slab.at["b_dec"]! + tile * TILE * 4 : home.scratch.zeros;
  home.kernels["fillTile"]!(out, bias, rows);
  for (const place of places) {
    const { kernels, scratch, slab, worker } = place;
    const pairs = scratch[list];
    const W = tileOf(slab.at["W_dec"]!, tile, slab.padded);
    if (place === home) {
      kernels["scatter"]!(out, W, pairs.off, pairs.rowOf, pairs.valueOf, 0, slab.padded);
      continue;
    }
    kernels["fillTile"]!(worker.tile, scratch.zeros, rows);
    kernels["scatter"]!(worker.tile, W, pairs.off, pairs.rowOf, pairs.valueOf, 0, slab.padded);
    floats(home, home.worker.tile2, rows * TILE).set(floats(place, worker.tile, rows * TILE));
    home.kernels["addInto"]!(out, home.worker.tile2, rows * TILE);
  }
  return out;
}

/** Copies a tile that the home memory has just got to the other memories of the SAE. */
function spread(job: Job, places: readonly Place[], tile: number, of: "GT" | "GT2"): void {
  const home = places[0]!;
  const length = job.rows * TILE;
  for (const place of places.slice(1)) {
    floats(place, tileOf(place.scratch[of], tile, job.rows), length).set(
      floats(home, tileOf(home.scratch[of], tile, job.rows), length),
    );
  }
}

function residualTile(step: Step, tile: number): void {
  const { job, places, sae, selection } = step;
  const { crew, rows } = job;
  const home = places[0]!;
  const { scratch, kernels } = home;
  const columns = Math.min(TILE, sae.config.d_in - tile * TILE);
  const factor = 2 / rows;
  const residual = (out: number, sums: number): number =>
    kernels["residual"]!(
      out,
      scratch.x + tile * TILE * 4,
      sae.d,
      columns,
      rows,
      scratch.outScale,
      scratch.outShift,
      factor,
      sums + tile * TILE * 4,
    );
  const G = decodeTile(job, places, tile, "a", true);
  crew.put(ERROR, tile, residual(G, scratch.columnSums));
  spread(job, places, tile, "GT");
  if (!usesSecond(step)) return;
  const second = decodeTile(job, places, tile, "b", selection.auxK === 0);
  const error =
    selection.auxK > 0 ? kernels["auxResidual"]!(second, G, rows, factor) : residual(second, scratch.columnSums2);
  crew.put(AUX_ERROR, tile, error);
  spread(job, places, tile, "GT2");
}

/** What AuxK's gradients are multiplied by: its coefficient, and its definition's scale. */
function setAuxFactor(step: Step): void {
  const { job, config, sae, selection, places } = step;
  const { crew, rows } = job;
  let factor = 1;
  if (selection.auxK > 0 && config.aux_loss_form === "sae_lens") {
    factor = config.aux_loss_coefficient * Math.min(step.nDead / Math.floor(sae.config.d_in / 2), 1);
  } else if (selection.auxK > 0) {
    const error = crew.sum(ERROR, sae.d / TILE);
    const sums = floats(places[0]!, places[0]!.scratch.columnSums, sae.d);
    let ofMean = 0;
    for (const sum of sums) ofMean += ((sum * rows) / 2 / rows) ** 2;
    const variance = error / rows - ofMean;
    factor = variance > 0 ? config.aux_loss_coefficient / variance : 0;
  }
  crew.partials[AUX_FACTOR] = factor;
}

/** Both gradient rows, and those of the vectors, for one part of one slab's latents. */
function gradientPart(step: Step, unit: number): void {
  const { job, config, sae, places, input } = step;
  const place = places[Math.floor(unit / LATENT_PARTS)]!;
  const part = unit % LATENT_PARTS;
  const { kernels: K, scratch, slab } = place;
  const [i0, i1] = partOf(slab.padded, LATENT_PARTS, part);
  const { a, b } = scratch;
  const { rows } = job;
  const { architecture } = sae.config;
  const second = usesSecond(step);
  const gated = architecture === "gated";
  const perToken = input.sparsity_coefficient / rows;
  const norm = slab.at["norm"]!;
  const factor = second ? job.crew.partials[AUX_FACTOR]! : 1;
  const p = architecture === "standard" ? config.lp_norm : 1;

  const penalised = architecture === "standard" ? a : gated ? b : undefined;
  if (penalised) {
    K["penalties"]!(
      penalised.off,
      penalised.rowOf,
      penalised.valueOf,
      i0,
      i1,
      norm,
      perToken,
      p,
      scratch.rowFactor,
      scratch.pen,
    );
  }
  const offA = a.off;
  const offB = second ? b.off : 0;
  let squares = 0;
  const tiles = sae.d / TILE;
  for (let tile = 0; tile < tiles; tile++) {
    const GD = tileOf(scratch.GD, tile, slab.padded);
    const W = tileOf(slab.at["W_dec"]!, tile, slab.padded);
    const decoder = (list: ListPlan, G: number, earlier: number, later: number, times: number): number =>
      K["decoderGradient"]!(
        GD,
        W,
        tileOf(G, tile, rows),
        list.off,
        list.rowOf,
        list.valueOf,
        list.codes,
        i0,
        i1,
        penalised === list ? scratch.pen : 0,
        earlier,
        later,
        times,
        tile === 0 ? 1 : 0,
      );
    squares += decoder(a, scratch.GT, 0, offB, 1);
    if (second) squares += decoder(b, scratch.GT2, offA, 0, factor);
  }
  if (config.decoder_norm === "unit") {
    squares = K["removeParallel"]!(
      scratch.GD,
      slab.at["W_dec"]!,
      slab.padded,
      sae.d,
      norm,
      offA,
      offB,
      i0,
      i1,
      PROJECTION_EPS,
    );
  }

  if (penalised) {
    K["addPenalty"]!(
      penalised.off,
      penalised.rowOf,
      penalised.valueOf,
      penalised.codes,
      i0,
      i1,
      norm,
      perToken,
      p,
      scratch.rowFactor,
    );
  }
  K["firedLatents"]!(a.off, a.valueOf, i0, i1, scratch.fired);
  if (architecture === "jumprelu") {
    const perBand = perToken / config.jumprelu_bandwidth;
    K["thresholdGradient"]!(
      a.off,
      a.rowOf,
      a.valueOf,
      a.codes,
      i0,
      i1,
      slab.at["threshold"]!,
      config.jumprelu_bandwidth,
      perBand,
      slab.at["g.threshold"]!,
    );
  }
  if (gated) {
    K["magnitudeGradient"]!(
      a.off,
      a.valueOf,
      a.codes,
      i0,
      i1,
      scratch.expR,
      slab.at["b_mag"]!,
      slab.at["g.b_mag"]!,
      slab.at["g.r_mag"]!,
    );
  }
  for (let tile = 0; tile < tiles; tile++) {
    const GE = scratch.GE + tile * TILE * 4;
    const encoder = (list: ListPlan, earlier: number, later: number): number =>
      K["encoderGradient"]!(
        GE,
        sae.d,
        tileOf(scratch.XT, tile, rows),
        list.off,
        list.rowOf,
        list.codes,
        i0,
        i1,
        earlier,
        later,
      );
    squares += encoder(a, 0, offB);
    if (second) squares += encoder(b, offA, 0);
  }

  // Gradients of the biases: of what is added before the relu, and of b_dec through the centred input.
  K["sumByLatent"]!(a.off, a.codes, i0, i1, scratch.sumA);
  const sumA = floats(place, scratch.sumA, slab.padded);
  const sumB = floats(place, scratch.sumB, slab.padded);
  if (second) K["sumByLatent"]!(b.off, b.codes, i0, i1, scratch.sumB);
  if (gated) {
    floats(place, slab.at["g.b_gate"]!, slab.padded).set(sumB.subarray(i0, i1), i0);
    if (second) for (let i = i0; i < i1; i++) sumA[i]! += sumB[i]!;
  } else {
    if (second) for (let i = i0; i < i1; i++) sumA[i]! += sumB[i]!;
    floats(place, slab.at["g.b_enc"]!, slab.padded).set(sumA.subarray(i0, i1), i0);
  }
  for (const name of vectorNames(architecture)) {
    squares += K["squaresOf"]!(slab.at[`g.${name}`]! + i0 * 4, i1 - i0);
  }
  if (sae.config.apply_b_dec_to_input) {
    K["biasGradient"]!(slab.at["W_enc"]!, scratch.sumA, i0, i1, sae.d, scratch.biasParts + part * sae.d * 4);
  }
  job.crew.put(GRADIENT, unit, squares);
}

/** b_dec's gradient and step, the clip's factor, and the report. One worker. */
function finishGradients(step: Step): StepReport {
  const { job, config, sae, places } = step;
  const home = places[0]!;
  const d = sae.d;
  const gradient = new Float64Array(d);
  const add = (values: Float32Array, sign: number): void => {
    for (let j = 0; j < d; j++) gradient[j]! += sign * values[j]!;
  };
  add(floats(home, home.scratch.columnSums, d), 1);
  if (sae.config.architecture === "gated") add(floats(home, home.scratch.columnSums2, d), 1);
  if (sae.config.apply_b_dec_to_input) {
    for (const place of places) {
      for (let part = 0; part < LATENT_PARTS; part++) add(floats(place, place.scratch.biasParts + part * d * 4, d), -1);
    }
  }
  let squares = job.crew.sum(GRADIENT, places.length * LATENT_PARTS);
  for (const value of gradient) squares += value * value;
  const norm = Math.sqrt(squares);
  const max = config.max_grad_norm;
  const clip = max === null ? 1 : Math.min(1, max / (norm + CLIP_EPS));
  job.crew.partials[CLIP] = clip;
  stepBias(step, gradient, clip);
  return report(step, max === null ? Number.NaN : norm);
}

/** Adam's numbers at this step, bias corrections folded into lr and ε. */
function adamNumbers(
  step: Step,
  clip: number,
): { beta1: number; beta2: number; oneM: number; oneV: number; lr: number; eps: number } {
  const { adam_beta1: beta1, adam_beta2: beta2, adam_eps } = step.config;
  const root = Math.sqrt(1 - beta2 ** step.count);
  return {
    beta1,
    beta2,
    oneM: (1 - beta1) * clip,
    oneV: (1 - beta2) * clip * clip,
    lr: (step.input.lr * root) / (1 - beta1 ** step.count),
    eps: adam_eps * root,
  };
}

function stepBias(step: Step, gradient: Float64Array, clip: number): void {
  const home = step.places[0]!;
  const { at } = home.slab;
  const { d } = step.sae;
  floats(home, at["g.b_dec"]!, d).set(gradient);
  const { beta1, beta2, oneM, oneV, lr, eps } = adamNumbers(step, clip);
  home.kernels["adamVector"]!(
    at["b_dec"]!,
    at["m.b_dec"] ?? 0,
    at["v.b_dec"]!,
    at["g.b_dec"]!,
    0,
    d,
    beta1,
    oneM,
    beta2,
    oneV,
    lr,
    eps,
  );
  for (const place of step.places.slice(1)) {
    floats(place, place.slab.at["b_dec"]!, d).set(floats(home, at["b_dec"]!, d));
  }
}

function report(step: Step, gradNorm: number): StepReport {
  const { job, sae, selection, input } = step;
  const { crew, rows } = job;
  const error = crew.sum(ERROR, sae.d / TILE);
  const active = crew.sum(ACTIVE, job.blocks);
  const losses: Record<string, number> = { mse_loss: error / rows };
  switch (sae.config.architecture) {
    case "standard":
      losses["l1_loss"] = (input.sparsity_coefficient * crew.sum(PENALTY, job.blocks)) / rows;
      break;
    case "gated":
      losses["l1_loss"] = (input.sparsity_coefficient * crew.sum(PENALTY, job.blocks)) / rows;
      losses["auxiliary_reconstruction_loss"] = crew.sum(AUX_ERROR, sae.d / TILE) / rows;
      break;
    case "jumprelu":
      losses["l0_loss"] = (input.sparsity_coefficient * active) / rows;
      break;
    default:
      losses["auxiliary_reconstruction_loss"] =
        selection.auxK > 0 ? (crew.partials[AUX_FACTOR]! * crew.sum(AUX_ERROR, sae.d / TILE)) / rows : 0;
  }
  return {
    loss: Object.values(losses).reduce((sum, loss) => sum + loss, 0),
    losses,
    l0: active / rows,
    explained_variance: 1 - error / varianceOf(job, sae, job.places(job.description.saes[0]!)[0]!),
    grad_norm: gradNorm,
    n_dead: step.nDead,
  };
}

/** Σ‖x − x̄‖² from the sums of each block, which the first member's pass left in its memory. */
function varianceOf(job: Job, sae: SaePlan, home: Place): number {
  const { crew, blocks, rows } = job;
  const sums = new Float64Array(home.memory.buffer, home.scratch.moments, blocks * sae.d);
  let ofMeans = 0;
  for (let j = 0; j < sae.config.d_in; j++) {
    let sum = 0;
    for (let block = 0; block < blocks; block++) sum += sums[block * sae.d + j]!;
    ofMeans += (sum * sum) / rows;
  }
  return crew.sum(SQUARES, blocks) - ofMeans;
}

function adamPart(step: Step, unit: number): void {
  const { job, config, sae, places } = step;
  const place = places[Math.floor(unit / LATENT_PARTS)]!;
  const { kernels: K, scratch, slab } = place;
  const { at, padded } = slab;
  const [i0, i1] = partOf(padded, LATENT_PARTS, unit % LATENT_PARTS);
  const { beta1, beta2, oneM, oneV, lr, eps } = adamNumbers(step, job.crew.partials[CLIP]!);
  const { mode, decayM, decayV, largest, squares } = scratch;
  K["modes"]!(
    scratch.a.off,
    usesSecond(step) ? scratch.b.off : 0,
    at["last"]!,
    step.count,
    i0,
    i1,
    beta1,
    beta2,
    mode,
    decayM,
    decayV,
    largest,
  );
  K["adamRows"]!(
    at["W_enc"]!,
    at["m.W_enc"] ?? 0,
    at["v.W_enc"]!,
    scratch.GE,
    sae.d,
    sae.d,
    i0,
    i1,
    mode,
    decayM,
    decayV,
    oneM,
    oneV,
    lr,
    eps,
    0,
    1,
    largest,
  );
  for (let tile = 0; tile < sae.d / TILE; tile++) {
    const of = (base: number): number => tileOf(base, tile, padded);
    K["adamRows"]!(
      of(at["W_dec"]!),
      at["m.W_dec"] ? of(at["m.W_dec"]!) : 0,
      of(at["v.W_dec"]!),
      of(scratch.GD),
      TILE,
      TILE,
      i0,
      i1,
      mode,
      decayM,
      decayV,
      oneM,
      oneV,
      lr,
      eps,
      squares,
      tile === 0 ? 1 : 0,
      largest,
    );
  }
  K["finishRows"]!(i0, i1, mode, squares, at["norm"]!, at["last"]!, step.count, largest, scratch.fired, at["silent"]!);
  if (config.decoder_norm === "unit") {
    K["unitRows"]!(at["W_dec"]!, padded, sae.d, i0, i1, mode, at["norm"]!, RENORMALISE_EPS);
    K["rowNorms"]!(at["W_dec"]!, padded, sae.d, i0, i1, at["norm"]!);
  }
  for (const name of vectorNames(sae.config.architecture)) {
    K["adamVector"]!(
      at[name]!,
      at[`m.${name}`] ?? 0,
      at[`v.${name}`]!,
      at[`g.${name}`]!,
      i0,
      i1,
      beta1,
      oneM,
      beta2,
      oneV,
      lr,
      eps,
    );
  }
}
