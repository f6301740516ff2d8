// One training step of one member, inside a worker: codes, residual tile by tile, gradients and Adam latent by latent. Everything sparse; denseStep.ts is for batches in which most latents are active.
import { innerWidths, keepsLargest } from "../../sae/sae.ts";
import type { StepInput, StepReport, TrainerConfig } from "../engine.ts";
import { adamNumbers, adamPart } from "./adamPhase.ts";
import { findCodes } from "./codes.ts";
import { SECTION } from "./crew.ts";
import { decodeLevels, decodeTile, spread } from "./decodeTile.ts";
import { gradients } from "./gradientPhase.ts";
import { floats, type Job, type Place, words } from "./job.ts";
import { LATENT_PARTS, type SaePlan, TILE } from "./layout.ts";
import { addUpLevels, gradientOf, innerErrors, innerSums, keepInner, widthsOf } from "./levels.ts";
import { ACTIVE, DEAD, PENALTY, type Selection, SQUARES } from "./selection.ts";
import { AUX_ERROR, AUX_FACTOR, CLIP, ERROR, GRADIENT, type Step, usesSecond } from "./step.ts";

/** torch's clip_grad_norm_ adds it to the norm. */
const CLIP_EPS = 1e-6;

/** What came of a step: done, with the report from the one worker that made it; or nothing done, as the batch is too dense for lists. */
export interface StepOutcome {
  readonly done: boolean;
  readonly report?: StepReport | undefined;
  /** Milliseconds of this worker by phase. */
  readonly laps?: Readonly<Record<string, number>>;
}

export async function trainStep(job: Job, number: number, count: number, input: StepInput): Promise<StepOutcome> {
  const { crew } = job;
  const step = beginStep(job, number, count, input);
  if (!(await findCodes(job, step.selection))) return { done: false };
  for (const tile of crew.units(step.sae.d / TILE)) residualTile(step, tile);
  crew.lap("decode");
  crew.barrier(() => setAuxFactor(step));
  crew.lap("wait");
  gradients(step);
  crew.lap("gradient");
  return finishStep(step);
}

/** What a step is about: dead latents by the counters before it, and which codes are wanted. */
export function beginStep(job: Job, number: number, count: number, input: StepInput): Step {
  const { crew } = job;
  crew.takeLaps();
  const config = job.description.training!;
  const sae = job.description.saes[number]!;
  const places = job.places(sae);
  crew.barrier(() => findDead(job, config, places));
  let nDead = 0;
  for (const place of places) nDead += crew.partials[DEAD * SECTION + place.number]!;
  const aux = keepsLargest(sae.config) && config.aux_loss_coefficient !== 0;
  const selection: Selection = {
    sae,
    number,
    auxK: aux ? Math.min(Math.floor(sae.config.d_in / 2), nDead) : 0,
    auxPositive: config.aux_loss_form === "dictionary_learning",
    training: true,
    moments: number === 0,
  };
  return { job, config, sae, places, selection, count, input, nDead };
}

/** From gradients to parameters: the norm, the clip, Adam. */
export function finishStep(step: Step): StepOutcome {
  const { crew } = step.job;
  let report: StepReport | undefined;
  crew.barrier(() => {
    report = finishGradients(step);
  });
  crew.lap("wait");
  for (const unit of crew.units(step.places.length * LATENT_PARTS)) adamPart(step, unit);
  crew.lap("adam");
  crew.barrier();
  crew.lap("wait");
  return { done: true, report, laps: crew.takeLaps() };
}

/** Dead latents of each slab, by the counters as they stand before the step. */
function findDead(job: Job, config: TrainerConfig, places: readonly Place[]): void {
  for (const place of places) {
    const { slab, scratch } = place;
    const silent = words(place, slab.at.silent!, slab.n);
    const dead = words(place, scratch.dead, slab.padded);
    let n = 0;
    for (let i = 0; i < slab.n; i++) if (silent[i]! > config.dead_feature_window) dead[n++] = i;
    job.crew.put(DEAD, place.number, n);
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
    kernels.residual(
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
  const levels = widthsOf(sae).length;
  const G = decodeLevels(job, sae, places, tile, levels, (level, decoded) => {
    const inner = keepInner(sae, home, tile, level, rows, decoded);
    innerErrors(sae, home, level)[tile] = residual(inner, innerSums(sae, home, level));
  });
  crew.put(ERROR, tile, residual(G, scratch.columnSums));
  addUpLevels(sae, home, tile, rows);
  for (let level = 0; level < levels; level++) {
    spread(job, places, tile, (place) => gradientOf(sae, place, level, rows));
  }
  if (!usesSecond(step)) return;
  const second = decodeTile(job, places, tile, "b", selection.auxK === 0);
  const error =
    selection.auxK > 0 ? kernels.auxResidual(second, G, rows, factor) : residual(second, scratch.columnSums2);
  crew.put(AUX_ERROR, tile, error);
  spread(job, places, tile, (place) => place.scratch.GT2);
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
  for (const level of innerWidths(sae.config).keys()) add(floats(home, innerSums(sae, home, level), d), 1);
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

function stepBias(step: Step, gradient: Float64Array, clip: number): void {
  const home = step.places[0]!;
  const { at } = home.slab;
  const { d } = step.sae;
  floats(home, at["g.b_dec"]!, d).set(gradient);
  const { beta1, beta2, oneM, oneV, lr, eps } = adamNumbers(step, clip);
  home.kernels.adamVector(
    at.b_dec!,
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
    floats(place, place.slab.at.b_dec!, d).set(floats(home, at.b_dec!, d));
  }
}

function report(step: Step, gradNorm: number): StepReport {
  const { job, sae, selection, input } = step;
  const { crew, rows } = job;
  const error = crew.sum(ERROR, sae.d / TILE);
  const active = crew.sum(ACTIVE, job.blocks);
  const losses: {
    mse_loss: number;
    l1_loss?: number;
    l0_loss?: number;
    auxiliary_reconstruction_loss?: number;
    [inner: `inner_mse_loss_${number}`]: number;
  } = { mse_loss: error / rows };
  switch (sae.config.architecture) {
    case "standard":
      losses.l1_loss = (input.sparsity_coefficient * crew.sum(PENALTY, job.blocks)) / rows;
      break;
    case "gated":
      losses.l1_loss = (input.sparsity_coefficient * crew.sum(PENALTY, job.blocks)) / rows;
      losses.auxiliary_reconstruction_loss = crew.sum(AUX_ERROR, sae.d / TILE) / rows;
      break;
    case "jumprelu":
      losses.l0_loss = (input.sparsity_coefficient * active) / rows;
      break;
    default:
      losses.auxiliary_reconstruction_loss =
        selection.auxK > 0 ? (crew.partials[AUX_FACTOR]! * crew.sum(AUX_ERROR, sae.d / TILE)) / rows : 0;
  }
  for (const [level, width] of innerWidths(sae.config).entries()) {
    const errors = innerErrors(sae, step.places[0]!, level);
    losses[`inner_mse_loss_${width}`] = errors.reduce((sum, one) => sum + one, 0) / rows;
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
