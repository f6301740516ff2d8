// Losses of every architecture as TensorFlow.js expressions, and their gradients by its automatic differentiation: what the hand-written gradients are checked against.
import type * as tensorflow from "@tensorflow/tfjs-core";
import type {} from "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.d.ts";
import { innerWidths, type ParameterName } from "../../sae/sae.ts";
import { largest } from "../../sae/select.ts";
import { EngineError, entries } from "../engine.ts";
import type { Batch, Gradients } from "../reference/linear.ts";
import type { LossGradients } from "../reference/lossGradients.ts";
import { keepLargest } from "../reference/selection.ts";

export type TensorFlow = typeof tensorflow;
type Tensor = tensorflow.Tensor;
type Tensor2D = tensorflow.Tensor2D;
type Parameters = Readonly<Partial<Record<ParameterName, Tensor>>>;

interface Forward {
  readonly losses: Record<string, Tensor>;
  /** [rows, F] */
  readonly codes: Tensor;
  /** [rows, d] */
  readonly reconstruction: Tensor;
}

/** One member's losses and gradients of one batch, as reference/lossGradients.ts computes them by hand. */
export function tensorflowGradients(tf: TensorFlow): (batch: Batch) => LossGradients {
  return (batch) => {
    let result: LossGradients | undefined;
    tf.tidy(() => {
      result = differentiated(tf, batch);
    });
    return result!;
  };
}

function differentiated(tf: TensorFlow, batch: Batch): LossGradients {
  const { d_in: d, d_sae: F } = batch.config.sae;
  const names = entries(batch.weights).map(([name]) => name);
  const tensors = entries(batch.weights).map(([name, values]) =>
    name === "W_enc" || name === "W_dec" ? tf.tensor2d(values, [F, d]) : tf.tensor1d(values),
  );
  const x = tf.tensor2d(Float32Array.from(batch.x), [batch.rows, d]);
  // Read where they are made: tensors of a differentiated function are gone after it.
  let losses: Record<string, number> = {};
  let codes = new Float64Array(0);
  let reconstruction = new Float64Array(0);
  const { grads } = tf.valueAndGrads((...parameters: Tensor[]) => {
    const byName = Object.fromEntries(names.map((name, at) => [name, parameters[at]!]));
    const forward = lossesOf(tf, batch, byName, x);
    losses = Object.fromEntries(Object.entries(forward.losses).map(([name, loss]) => [name, loss.dataSync()[0]!]));
    codes = Float64Array.from(forward.codes.dataSync());
    reconstruction = Float64Array.from(forward.reconstruction.dataSync());
    return tf.addN(Object.values(forward.losses)) as tensorflow.Scalar;
  })(tensors);
  const gradients = Object.fromEntries(names.map((name, at) => [name, Float64Array.from(grads[at]!.dataSync())]));
  return { losses, gradients: gradients as unknown as Gradients, codes, reconstruction };
}

/** 1 where `test` holds of a value, as a constant: what opens and closes is no function to differentiate. */
function mask(tf: TensorFlow, values: Tensor, test: (value: number) => boolean): Tensor {
  return tf.tensor(
    Float32Array.from(values.dataSync() as Float32Array, (value) => Number(test(value))),
    values.shape,
  );
}

function lossesOf(tf: TensorFlow, batch: Batch, p: Parameters, x: Tensor2D): Forward {
  const { config, rows, sparsity_coefficient: coefficient } = batch;
  const input = config.sae.apply_b_dec_to_input ? x.sub(p.b_dec!) : x;
  const product = tf.matMul(input as Tensor2D, p.W_enc as Tensor2D, false, true);
  const norms = () => p.W_dec!.square().sum(1).sqrt();
  const decode = (codes: Tensor, decoder: Tensor = p.W_dec!) =>
    tf.matMul(codes as Tensor2D, decoder as Tensor2D).add(p.b_dec!);
  const error = (out: Tensor, target: Tensor) => out.sub(target).square().sum().div(rows);

  switch (config.sae.architecture) {
    case "standard": {
      const codes = product.add(p.b_enc!).relu();
      const reconstruction = decode(codes);
      const penalty = rowNorm(tf, codes.mul(norms()), config.lp_norm)
        .sum()
        .mul(coefficient / rows);
      return { losses: { mse_loss: error(reconstruction, x), l1_loss: penalty }, codes, reconstruction };
    }
    case "topk":
    case "batchtopk": {
      const pre = product.add(p.b_enc!);
      const rescales = config.sae.rescale_acts_by_decoder_norm === true;
      const scaled = rescales ? pre.mul(norms()) : pre;
      const decoder = rescales ? p.W_dec!.div(norms().expandDims(1)) : p.W_dec!;
      // Which ones are kept is no function to differentiate.
      const values = Float64Array.from(scaled.dataSync());
      const kept = Float32Array.from(keepLargest(values, rows, config.sae), (code) => Number(code > 0));
      const codes = scaled.mul(tf.tensor2d(kept, [rows, config.sae.d_sae]));
      const reconstruction = decode(codes, decoder);
      const auxiliary = auxK(tf, batch, scaled, values, decoder, x, reconstruction);
      const losses: Record<string, Tensor> = {
        mse_loss: error(reconstruction, x),
        auxiliary_reconstruction_loss: auxiliary,
      };
      for (const width of innerWidths(config.sae)) {
        const first = decode(codes.slice([0, 0], [rows, width]), decoder.slice(0, width));
        losses[`inner_mse_loss_${width}`] = error(first, x);
      }
      return { losses, codes, reconstruction };
    }
    case "jumprelu": {
      const pre = product.add(p.b_enc!);
      const { codes, l0 } = straightThrough(tf, pre, p.threshold!, config.jumprelu_bandwidth);
      const reconstruction = decode(codes);
      const losses = { mse_loss: error(reconstruction, x), l0_loss: l0.mul(coefficient / rows) };
      return { losses, codes, reconstruction };
    }
    case "gated": {
      const gate = product.add(p.b_gate!);
      const magnitude = product.mul(p.r_mag!.exp()).add(p.b_mag!);
      const open = mask(tf, gate, (value) => value > 0);
      const codes = magnitude.relu().mul(open);
      const reconstruction = decode(codes);
      const gateActs = gate.relu();
      return {
        losses: {
          mse_loss: error(reconstruction, x),
          l1_loss: gateActs
            .mul(norms())
            .sum()
            .mul(coefficient / rows),
          auxiliary_reconstruction_loss: error(decode(gateActs), x),
        },
        codes,
        reconstruction,
      };
    }
    case "groupmax":
      throw new EngineError("a groupmax SAE can be read, not trained");
  }
}

/** (Σ_i w_i^p)^(1/p) of each row, whose derivative is taken as 0 where w is. */
function rowNorm(tf: TensorFlow, weighted: Tensor, p: number): Tensor {
  if (p === 1) return weighted.sum(1);
  const positive = mask(tf, weighted, (value) => value > 0);
  // 1 in place of 0, and out again: the power's own derivative at 0 has no bound.
  const powers = weighted.add(positive.mul(-1).add(1)).pow(p).mul(positive);
  return powers.sum(1).pow(1 / p);
}

/** JumpReLU: codes and their number, with gradients to the threshold through a rectangle kernel (arXiv 2407.14435). */
function straightThrough(tf: TensorFlow, pre: Tensor, threshold: Tensor, bandwidth: number) {
  const open = mask(tf, pre.sub(threshold), (value) => value > 0);
  const kernel = mask(tf, pre.sub(threshold), (value) => Math.abs(value / bandwidth) < 0.5).div(-bandwidth);
  const codes = tf.customGrad((...given) => {
    const save = given.at(-1) as unknown as tensorflow.GradSaveFunc;
    save([open, kernel, threshold]);
    return {
      value: pre.mul(open),
      gradFunc: (dy: Tensor | Tensor[], [opened, width, theta]: Tensor[]) => [
        (dy as Tensor).mul(opened!),
        (dy as Tensor).mul(width!).mul(theta!).sum(0),
      ],
    };
  })(pre, threshold);
  const l0 = tf.customGrad((...given) => {
    const save = given.at(-1) as unknown as tensorflow.GradSaveFunc;
    save([kernel]);
    return {
      value: open.sum(),
      gradFunc: (dy: Tensor | Tensor[], [width]: Tensor[]) => [tf.zerosLike(width!), width!.sum(0).mul(dy as Tensor)],
    };
  })(pre, threshold);
  return { codes, l0 };
}

/** AuxK in both forms, as reference/auxK.ts; the residual is a constant. */
function auxK(
  tf: TensorFlow,
  { config, rows, dead }: Batch,
  scaled: Tensor,
  values: Float64Array,
  decoder: Tensor,
  x: Tensor,
  reconstruction: Tensor,
): Tensor {
  const { d_in: d, d_sae: F } = config.sae;
  const latents = Array.from({ length: F }, (_, i) => i).filter((i) => dead[i]);
  if (latents.length === 0 || config.aux_loss_coefficient === 0) return tf.scalar(0);
  const own = config.aux_loss_form === "sae_lens";
  const half = Math.floor(d / 2);
  const chosen = new Float32Array(rows * F);
  for (let t = 0; t < rows; t++) {
    const candidates = latents.map((i) => (own ? values[t * F + i]! : Math.max(0, values[t * F + i]!)));
    for (const at of largest(candidates, Math.min(half, latents.length))) chosen[t * F + latents[at]!] = 1;
  }
  const residual = tf.tensor2d(x.sub(reconstruction).dataSync() as Float32Array, [rows, d]);
  const variance = own ? 1 : residual.sub(residual.mean(0)).square().sum().div(rows).dataSync()[0]!;
  if (variance === 0) return tf.scalar(0);
  const weight = (config.aux_loss_coefficient * (own ? Math.min(latents.length / half, 1) : 1)) / variance;
  const acts = (own ? scaled : scaled.relu()).mul(tf.tensor2d(chosen, [rows, F]));
  const error = tf.matMul(acts as Tensor2D, decoder as Tensor2D).sub(residual);
  return error
    .square()
    .sum()
    .mul(weight / rows);
}
