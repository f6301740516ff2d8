// The linear algebra that every architecture's forward and backward pass shares, as plain loops in float64. Reference, not fast.
import { centred } from "../../sae/encode.ts";
import type { SaeWeights } from "../../sae/sae.ts";
import type { TrainerConfig } from "../engine.ts";

/** One member's batch: what goes in, and what the loss depends on beside the weights. */
export interface Batch {
  readonly config: TrainerConfig;
  readonly weights: SaeWeights;
  /** [rows, d]: input and target alike; for boosting the residual. */
  readonly x: ArrayLike<number>;
  readonly rows: number;
  /** λ after warm-up. */
  readonly sparsity_coefficient: number;
  /** [F]: 1 for the latents that count as dead in this step. */
  readonly dead: Uint8Array;
}

/** Gradients by parameter, shaped like the weights. */
export type Gradients = { [Name in keyof SaeWeights]: Float64Array };

/** Σ_i acts_i W_dec,i/norms_i, without a bias: [rows, d]. */
export function decoded(acts: Float64Array, batch: Batch, norms: Float64Array | null): Float64Array {
  const { W_dec } = batch.weights;
  const { d_in: d, d_sae: F } = batch.config.sae;
  const result = new Float64Array(batch.rows * d);
  for (let t = 0; t < batch.rows; t++) {
    for (let i = 0; i < F; i++) {
      if (acts[t * F + i] === 0) continue;
      const act = acts[t * F + i]! / (norms?.[i] ?? 1);
      for (let j = 0; j < d; j++) result[t * d + j]! += act * W_dec[i * d + j]!;
    }
  }
  return result;
}

/** decoded + b_dec. */
export function reconstructed(acts: Float64Array, batch: Batch, norms: Float64Array | null): Float64Array {
  const { b_dec } = batch.weights;
  return decoded(acts, batch, norms).map((value, at) => value + b_dec[at % b_dec.length]!);
}

/** Mean over tokens of ‖out − target‖², and its gradient by `out`. */
export function squaredError(
  out: Float64Array,
  target: ArrayLike<number>,
  rows: number,
): { loss: number; grad: Float64Array } {
  let loss = 0;
  const grad = out.map((value, at) => {
    const error = value - target[at]!;
    loss += (error * error) / rows;
    return (2 * error) / rows;
  });
  return { loss, grad };
}

/** Gradient by the acts that were decoded: G · W_dec,i / norms_i, [rows, F]. */
export function actGradient(G: Float64Array, batch: Batch, norms: Float64Array | null): Float64Array {
  const { W_dec } = batch.weights;
  const { d_in: d, d_sae: F } = batch.config.sae;
  const result = new Float64Array(batch.rows * F);
  for (let t = 0; t < batch.rows; t++) {
    for (let i = 0; i < F; i++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += G[t * d + j]! * W_dec[i * d + j]!;
      result[t * F + i] = sum / (norms?.[i] ?? 1);
    }
  }
  return result;
}

/** into[i] += Σ_t left[t, i] · right[t]: the gradient of either matrix, [F, d]. */
export function addOuterProduct(
  into: Float64Array,
  left: Float64Array,
  right: Float64Array,
  rows: number,
  scale?: Float64Array,
): void {
  const F = left.length / rows;
  const d = right.length / rows;
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < F; i++) {
      const value = left[t * F + i]! * (scale?.[i] ?? 1);
      if (value === 0) continue;
      for (let j = 0; j < d; j++) into[i * d + j]! += value * right[t * d + j]!;
    }
  }
}

/** Adds gradient·∂‖W_dec,i‖/∂W_dec,i = gradient·W_dec,i/‖W_dec,i‖ to the decoder's gradient. */
export function addNormGradient(
  into: Float64Array,
  byNorm: Float64Array,
  weights: SaeWeights,
  norms: Float64Array,
): void {
  const d = weights.b_dec.length;
  for (let i = 0; i < byNorm.length; i++) {
    // torch's subgradient of the norm at a row of zeros is 0 as well.
    const factor = norms[i]! > 0 ? byNorm[i]! / norms[i]! : 0;
    for (let j = 0; j < d; j++) into[i * d + j]! += factor * weights.W_dec[i * d + j]!;
  }
}

/** Sums over the rows: the gradient of a bias. */
export function columnSums(values: Float64Array, rows: number): Float64Array {
  const width = values.length / rows;
  const result = new Float64Array(width);
  for (let at = 0; at < values.length; at++) result[at % width]! += values[at]!;
  return result;
}

/** Adds what the product x W_enc passes back: to W_enc, and to b_dec where the encoder subtracts it. */
export function addEncoderGradient(gradients: Gradients, byProduct: Float64Array, batch: Batch): void {
  const { config, weights, rows } = batch;
  const { d_in: d, d_sae: F } = config.sae;
  addOuterProduct(gradients.W_enc, byProduct, centred(config.sae, weights, batch.x, rows), rows);
  if (!config.sae.apply_b_dec_to_input) return;
  const sums = columnSums(byProduct, rows);
  for (let i = 0; i < F; i++) {
    for (let j = 0; j < d; j++) gradients.b_dec[j]! -= sums[i]! * weights.W_enc[i * d + j]!;
  }
}

/** x W_enc + bias, [rows, F]. */
export function withBias(product: Float64Array, bias: Float32Array): Float64Array {
  return product.map((value, at) => value + bias[at % bias.length]!);
}

/** relu, with relu(−0) = 0. */
export function relu(values: Float64Array): Float64Array {
  return values.map((value) => (value > 0 ? value : 0));
}
