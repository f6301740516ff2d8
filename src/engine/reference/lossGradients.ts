// Losses and gradients of one batch, architecture by architecture, written out by hand in float64. Reference, not fast; checked against autograd's tensors.
import { centred, decoderNorms, encoderProduct } from "../../sae/encode.ts";
import { innerWidths } from "../../sae/sae.ts";
import { EngineError } from "../engine.ts";
import { auxKLoss } from "./auxK.ts";
import {
  actGradient,
  addEncoderGradient,
  addNormGradient,
  addOuterProduct,
  type Batch,
  columnSums,
  type Gradients,
  reconstructed,
  relu,
  squaredError,
  withBias,
} from "./linear.ts";
import { keepLargest } from "./selection.ts";

export interface LossGradients {
  /** By SAELens' names. */
  readonly losses: Record<string, number>;
  /** Of the losses' sum, before any clipping. */
  readonly gradients: Gradients;
  /** f, [rows, F], as the decoder gets it. */
  readonly codes: Float64Array;
  /** x̂, [rows, d]. */
  readonly reconstruction: Float64Array;
}

/** All of it for one member and one batch. jumprelu expects its thresholds clamped to ≥ 0. */
export function computeGradients(batch: Batch): LossGradients {
  switch (batch.config.sae.architecture) {
    case "standard":
      return standard(batch);
    case "topk":
    case "batchtopk":
      return topk(batch);
    case "jumprelu":
      return jumprelu(batch);
    case "gated":
      return gated(batch);
    case "groupmax":
      throw new EngineError("a groupmax SAE can be read, not trained");
  }
}

/** ‖x−x̂‖² + λ‖(f_i‖W_dec,i‖)_i‖_p */
function standard(batch: Batch): LossGradients {
  const { weights, rows, sparsity_coefficient, config } = batch;
  const F = config.sae.d_sae;
  const p = config.lp_norm;
  const pre = withBias(product(batch), weights.b_enc!);
  const codes = relu(pre);
  const forward = decode(batch, codes, null);
  const { gradients, byCodes } = forward;

  const norms = decoderNorms(weights, config.sae.d_in);
  const byNorm = new Float64Array(F);
  let l1 = 0;
  for (let t = 0; t < rows; t++) {
    let powers = 0;
    for (let i = 0; i < F; i++) powers += (codes[t * F + i]! * norms[i]!) ** p;
    const penalty = powers ** (1 / p);
    l1 += (sparsity_coefficient * penalty) / rows;
    for (let i = 0; i < F; i++) {
      const weighted = codes[t * F + i]! * norms[i]!;
      if (weighted <= 0) continue;
      const byWeighted = (sparsity_coefficient / rows) * (weighted / penalty) ** (p - 1);
      byCodes[t * F + i]! += byWeighted * norms[i]!;
      byNorm[i]! += byWeighted * codes[t * F + i]!;
    }
  }
  addNormGradient(gradients.W_dec, byNorm, weights, norms);
  const byPre = byCodes.map((value, at) => (pre[at]! > 0 ? value : 0));
  gradients.b_enc = columnSums(byPre, rows);
  addEncoderGradient(gradients, byPre, batch);
  return { losses: { mse_loss: forward.mse, l1_loss: l1 }, gradients, codes, reconstruction: forward.reconstruction };
}

/** ‖x−x̂‖² + AuxK, and of a matryoshka one error more for each inner width; with rescaling, pre·‖W_dec,i‖ is selected and encoded and W_dec,i/‖W_dec,i‖ decodes, both differentiated. */
function topk(batch: Batch): LossGradients {
  const { weights, rows, config } = batch;
  const F = config.sae.d_sae;
  const norms = config.sae.rescale_acts_by_decoder_norm ? decoderNorms(weights, config.sae.d_in) : null;
  const pre = withBias(product(batch), weights.b_enc!);
  const scaled = norms ? pre.map((value, at) => value * norms[at % F]!) : pre;
  const codes = keepLargest(scaled, rows, config.sae);
  const forward = decode(batch, codes, norms);
  const { gradients } = forward;

  // By what was selected: relu' is 0 at 0, so surplus picks of zero get nothing.
  const byScaled = forward.byCodes.map((value, at) => (codes[at]! > 0 ? value : 0));
  const byNorm = new Float64Array(F);
  if (norms) addDecodeNormGradient(byNorm, codes, forward.byCodes, norms);

  const aux = auxKLoss(batch, scaled, forward.reconstruction, norms);
  if (aux) {
    addOuterProduct(
      gradients.W_dec,
      aux.acts,
      aux.byReconstruction,
      rows,
      norms?.map((norm) => 1 / norm),
    );
    const byActs = actGradient(aux.byReconstruction, batch, norms);
    if (norms) addDecodeNormGradient(byNorm, aux.acts, byActs, norms);
    for (let at = 0; at < byActs.length; at++) if (aux.passes[at]) byScaled[at]! += byActs[at]!;
  }

  const byPre = norms ? byScaled.map((value, at) => value * norms[at % F]!) : byScaled;
  if (norms) {
    for (let at = 0; at < byScaled.length; at++) byNorm[at % F]! += byScaled[at]! * pre[at]!;
    addNormGradient(gradients.W_dec, byNorm, weights, norms);
  }
  gradients.b_enc = columnSums(byPre, rows);
  addEncoderGradient(gradients, byPre, batch);
  const losses = { mse_loss: forward.mse, auxiliary_reconstruction_loss: aux?.loss ?? 0, ...forward.inner };
  return { losses, gradients, codes, reconstruction: forward.reconstruction };
}

/** ‖x−x̂‖² + λ·L0, f = pre·[pre > θ]; straight-through estimator with a rectangle kernel, to θ only (arXiv 2407.14435). */
function jumprelu(batch: Batch): LossGradients {
  const { weights, rows, sparsity_coefficient, config } = batch;
  const F = config.sae.d_sae;
  const bandwidth = config.jumprelu_bandwidth;
  const threshold = weights.threshold!;
  const pre = withBias(product(batch), weights.b_enc!);
  const codes = pre.map((value, at) => (value > threshold[at % F]! ? value : 0));
  const forward = decode(batch, codes, null);
  const { gradients, byCodes } = forward;

  const byThreshold = new Float64Array(F);
  let l0 = 0;
  for (let at = 0; at < pre.length; at++) {
    const i = at % F;
    if (pre[at]! > threshold[i]!) l0 += sparsity_coefficient / rows;
    if (Math.abs((pre[at]! - threshold[i]!) / bandwidth) < 0.5) {
      byThreshold[i]! -= (threshold[i]! * byCodes[at]! + sparsity_coefficient / rows) / bandwidth;
    }
  }
  const byPre = byCodes.map((value, at) => (pre[at]! > threshold[at % F]! ? value : 0));
  gradients.threshold = byThreshold;
  gradients.b_enc = columnSums(byPre, rows);
  addEncoderGradient(gradients, byPre, batch);
  return { losses: { mse_loss: forward.mse, l0_loss: l0 }, gradients, codes, reconstruction: forward.reconstruction };
}

/** ‖x−x̂‖² + λ Σ_i relu(π_i)‖W_dec,i‖ + ‖x − (relu(π) W_dec + b_dec)‖²; as SAELens, nothing detached (arXiv 2404.16014 detaches the decoder). */
function gated(batch: Batch): LossGradients {
  const { weights, rows, sparsity_coefficient, config } = batch;
  const F = config.sae.d_sae;
  const shared = product(batch);
  const gain = Float64Array.from(weights.r_mag!, Math.exp);
  const gate = withBias(shared, weights.b_gate!);
  const magnitude = withBias(
    shared.map((value, at) => value * gain[at % F]!),
    weights.b_mag!,
  );
  const codes = magnitude.map((value, at) => (gate[at]! > 0 && value > 0 ? value : 0));
  const forward = decode(batch, codes, null);
  const { gradients, byCodes } = forward;

  // The gate's own path: penalty and auxiliary reconstruction.
  const gateActs = relu(gate);
  const auxiliary = squaredError(reconstructed(gateActs, batch, null), batch.x, rows);
  const byGate = actGradient(auxiliary.grad, batch, null);
  addOuterProduct(gradients.W_dec, gateActs, auxiliary.grad, rows);
  columnSums(auxiliary.grad, rows).forEach((value, j) => {
    gradients.b_dec[j]! += value;
  });
  const norms = decoderNorms(weights, config.sae.d_in);
  const byNorm = new Float64Array(F);
  let l1 = 0;
  for (let at = 0; at < gate.length; at++) {
    l1 += (sparsity_coefficient / rows) * gateActs[at]! * norms[at % F]!;
    byNorm[at % F]! += (sparsity_coefficient / rows) * gateActs[at]!;
    byGate[at] = gate[at]! > 0 ? byGate[at]! + (sparsity_coefficient / rows) * norms[at % F]! : 0;
  }
  addNormGradient(gradients.W_dec, byNorm, weights, norms);

  // The gate opens by a step, which passes no gradient: only the magnitude learns from x̂.
  const byMagnitude = byCodes.map((value, at) => (codes[at]! > 0 ? value : 0));
  gradients.b_gate = columnSums(byGate, rows);
  gradients.b_mag = columnSums(byMagnitude, rows);
  gradients.r_mag = columnSums(
    byMagnitude.map((value, at) => value * shared[at]! * gain[at % F]!),
    rows,
  );
  addEncoderGradient(
    gradients,
    byGate.map((value, at) => value + byMagnitude[at]! * gain[at % F]!),
    batch,
  );
  return {
    losses: { mse_loss: forward.mse, l1_loss: l1, auxiliary_reconstruction_loss: auxiliary.loss },
    gradients,
    codes,
    reconstruction: forward.reconstruction,
  };
}

function product(batch: Batch): Float64Array {
  const { config, weights, x, rows } = batch;
  return encoderProduct(weights, centred(config.sae, weights, x, rows), rows, config.sae.d_in);
}

/**
 * Reconstruction, its error, and what that passes back to the decoder and the codes. A matryoshka's inner widths reconstruct with
 * b_dec and the latents below them, and pass back likewise; their losses are `inner`, by SAELens' names.
 */
function decode(batch: Batch, codes: Float64Array, norms: Float64Array | null) {
  const { weights, rows, config } = batch;
  const F = config.sae.d_sae;
  const reconstruction = reconstructed(codes, batch, norms);
  const { loss: mse, grad } = squaredError(reconstruction, batch.x, rows);
  const gradients: Gradients = {
    W_enc: new Float64Array(weights.W_enc.length),
    W_dec: new Float64Array(weights.W_dec.length),
    b_dec: columnSums(grad, rows),
  };
  const inverse = norms?.map((norm) => 1 / norm);
  addOuterProduct(gradients.W_dec, codes, grad, rows, inverse);
  const byCodes = actGradient(grad, batch, norms);
  const inner: Record<string, number> = {};
  for (const width of innerWidths(config.sae)) {
    const first = codes.map((code, at) => (at % F < width ? code : 0));
    const error = squaredError(reconstructed(first, batch, norms), batch.x, rows);
    inner[`inner_mse_loss_${width}`] = error.loss;
    columnSums(error.grad, rows).forEach((value, j) => {
      gradients.b_dec[j]! += value;
    });
    addOuterProduct(gradients.W_dec, first, error.grad, rows, inverse);
    actGradient(error.grad, batch, norms).forEach((value, at) => {
      if (at % F < width) byCodes[at]! += value;
    });
  }
  return { reconstruction, mse, inner, gradients, byCodes };
}

/** By ‖W_dec,i‖ as the decoder divides by it: −Σ_t acts·(gradient by acts)/norm. */
function addDecodeNormGradient(
  into: Float64Array,
  acts: Float64Array,
  byActs: Float64Array,
  norms: Float64Array,
): void {
  const F = norms.length;
  for (let at = 0; at < acts.length; at++) {
    if (acts[at] !== 0) into[at % F]! -= (acts[at]! * byActs[at]!) / norms[at % F]!;
  }
}
