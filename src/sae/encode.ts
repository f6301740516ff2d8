// Encoding and decoding of one SAE by definition: plain loops, sums in float64. Slow and obvious; engines do the same fast.
import { normalise } from "./normalise.ts";
import type { Sae, SaeConfig, SaeWeights } from "./sae.ts";
import { largest } from "./select.ts";

/**
 * Codes [rows, F] of activations x [rows, d].
 * "batchtopk" (a training checkpoint) takes the rows as one batch, so its codes depend on what else is in it; its inference
 * form (fold.ts) doesn't.
 */
export function encode(sae: Sae, x: Float32Array, rows: number): Float32Array {
  const { config, weights } = sae;
  const { d_in: d, d_sae: F } = config;
  const normalised = normalise(x, rows, d, config.normalize_activations);
  const product = encoderProduct(weights, centred(config, weights, normalised.x, rows), rows, d);
  const codes = new Float64Array(rows * F);
  if (config.architecture === "gated") {
    const { b_gate, b_mag, r_mag } = weights;
    for (let at = 0; at < codes.length; at++) {
      const i = at % F;
      const open = product[at]! + b_gate![i]! > 0;
      codes[at] = open ? Math.max(0, product[at]! * Math.exp(r_mag![i]!) + b_mag![i]!) : 0;
    }
    return new Float32Array(codes);
  }
  const norms = config.rescale_acts_by_decoder_norm ? decoderNorms(weights, d) : null;
  const pre = product;
  for (let at = 0; at < pre.length; at++) pre[at] = (pre[at]! + weights.b_enc![at % F]!) * (norms?.[at % F] ?? 1);
  switch (config.architecture) {
    case "standard":
      for (let at = 0; at < pre.length; at++) codes[at] = Math.max(0, pre[at]!);
      break;
    case "jumprelu":
      // relu as well: under a negative threshold a code is still never negative.
      for (let at = 0; at < pre.length; at++) {
        codes[at] = pre[at]! > weights.threshold![at % F]! ? Math.max(0, pre[at]!) : 0;
      }
      break;
    case "topk":
      for (let t = 0; t < rows; t++) {
        const row = pre.subarray(t * F, (t + 1) * F);
        for (const i of largest(row, config.k!)) codes[t * F + i] = Math.max(0, row[i]!);
      }
      break;
    case "groupmax": {
      const run = F / config.k!;
      for (let at = 0; at < rows * F; at += run) {
        const [i] = largest(pre.subarray(at, at + run), 1);
        codes[at + i!] = Math.max(0, pre[at + i!]!);
      }
      break;
    }
    case "batchtopk": {
      const positive = pre.map((value) => Math.max(0, value));
      for (const at of largest(positive, Math.floor(config.k! * rows))) codes[at] = positive[at]!;
    }
  }
  return new Float32Array(codes);
}

/**
 * Reconstructions [rows, d], or [rows, d_out] of a transcoder, from codes [rows, F]. `x` is the input: only it knows how to
 * undo a normalisation, and a skip connection takes it as it is.
 */
export function decode(sae: Sae, codes: ArrayLike<number>, rows: number, x: Float32Array): Float32Array {
  const { config, weights } = sae;
  const { d_in, d_sae: F, d_out: d = d_in } = config;
  const { scale, shift } = normalise(x, rows, d_in, config.normalize_activations);
  const norms = config.rescale_acts_by_decoder_norm ? decoderNorms(weights, d) : null;
  const result = new Float32Array(rows * d);
  const sum = new Float64Array(d);
  for (let t = 0; t < rows; t++) {
    sum.set(weights.b_dec);
    for (let i = 0; i < F; i++) {
      const code = codes[t * F + i]! / (norms?.[i] ?? 1);
      if (codes[t * F + i] === 0) continue;
      for (let j = 0; j < d; j++) sum[j]! += code * weights.W_dec[i * d + j]!;
    }
    for (let j = 0; j < d; j++) {
      let skipped = 0;
      if (weights.W_skip) for (let i = 0; i < d_in; i++) skipped += x[t * d_in + i]! * weights.W_skip[j * d_in + i]!;
      result[t * d + j] = sum[j]! * scale[t]! + shift[t]! + skipped;
    }
  }
  return result;
}

/** What the encoder multiplies: the normalised input, less b_dec where the config says so. [rows, d] */
export function centred(config: SaeConfig, weights: SaeWeights, x: ArrayLike<number>, rows: number): Float64Array {
  const d = config.d_in;
  const result = new Float64Array(rows * d);
  for (let at = 0; at < result.length; at++) {
    result[at] = x[at]! - (config.apply_b_dec_to_input ? weights.b_dec[at % d]! : 0);
  }
  return result;
}

/** x W_enc without a bias, [rows, F]. */
export function encoderProduct(weights: SaeWeights, x: Float64Array, rows: number, d: number): Float64Array {
  const F = weights.W_enc.length / d;
  const result = new Float64Array(rows * F);
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < F; i++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += x[t * d + j]! * weights.W_enc[i * d + j]!;
      result[t * F + i] = sum;
    }
  }
  return result;
}

/** ‖W_dec,i‖, [F]. */
export function decoderNorms(weights: SaeWeights, d: number): Float64Array {
  const result = new Float64Array(weights.W_dec.length / d);
  for (let i = 0; i < result.length; i++) {
    let squares = 0;
    for (let j = 0; j < d; j++) squares += weights.W_dec[i * d + j]! ** 2;
    result[i] = Math.sqrt(squares);
  }
  return result;
}
