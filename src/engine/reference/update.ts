// From gradients to new parameters: decoder projection, clipping by the global norm, Adam. Reference, not fast.
import { entries, type MemberState, type TrainerConfig } from "../engine.ts";
import type { Gradients } from "./linear.ts";

/** torch's clip_grad_norm_ adds it to the norm that it divides by. */
const CLIP_EPS = 1e-6;
/** dictionary_learning adds these to the norms that it divides by. */
const PROJECTION_EPS = 1e-6;
const RENORMALISE_EPS = 2 ** -23;

/** Removes the part of each decoder row's gradient that only changes the row's length. */
export function removeParallelPart(gradient: Float64Array, W_dec: Float32Array, d: number): void {
  for (let start = 0; start < W_dec.length; start += d) {
    const norm = rowNorm(W_dec, start, d) + PROJECTION_EPS;
    let along = 0;
    for (let j = start; j < start + d; j++) along += (gradient[j]! * W_dec[j]!) / norm;
    for (let j = start; j < start + d; j++) gradient[j]! -= (along * W_dec[j]!) / norm;
  }
}

/** Divides every decoder row by its norm. */
export function renormaliseRows(W_dec: Float32Array, d: number): void {
  for (let start = 0; start < W_dec.length; start += d) {
    const norm = rowNorm(W_dec, start, d) + RENORMALISE_EPS;
    for (let j = start; j < start + d; j++) W_dec[j] = W_dec[j]! / norm;
  }
}

function rowNorm(rows: Float32Array, start: number, d: number): number {
  let squares = 0;
  for (let j = start; j < start + d; j++) squares += rows[j]! ** 2;
  return Math.sqrt(squares);
}

/** Scales all gradients together so that their norm is at most `max`; returns the norm before. */
export function clipGlobalNorm(gradients: Gradients, max: number): number {
  let squares = 0;
  for (const values of Object.values(gradients)) for (const value of values) squares += value * value;
  const norm = Math.sqrt(squares);
  const factor = Math.min(1, max / (norm + CLIP_EPS));
  if (factor < 1)
    for (const values of Object.values(gradients)) for (let at = 0; at < values.length; at++) values[at]! *= factor;
  return norm;
}

/** torch's Adam without weight decay; `state.step` already counts this step. */
export function adam(state: MemberState, gradients: Gradients, config: TrainerConfig, lr: number): void {
  const { adam_beta1: beta1, adam_beta2: beta2, adam_eps: eps } = config;
  const correction1 = 1 - beta1 ** state.step;
  const correction2 = Math.sqrt(1 - beta2 ** state.step);
  for (const [name, parameter] of entries(state.weights)) {
    const gradient = gradients[name]!;
    const first = state.exp_avg?.[name];
    const second = state.exp_avg_sq[name]!;
    for (let at = 0; at < parameter.length; at++) {
      const g = gradient[at]!;
      const m = beta1 * (first?.[at] ?? 0) + (1 - beta1) * g;
      const v = beta2 * second[at]! + (1 - beta2) * g * g;
      if (first) first[at] = m;
      second[at] = v;
      parameter[at] = parameter[at]! - ((lr / correction1) * m) / (Math.sqrt(v) / correction2 + eps);
    }
  }
}
