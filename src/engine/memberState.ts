// The state of a member before its first step, for every engine.
import type { ParameterName, SaeWeights } from "../sae/sae.ts";
import { entries, type MemberState } from "./engine.ts";

/** Zero moments, nothing fired yet and nothing dead. Takes ownership of the weights. */
export function newMemberState(weights: SaeWeights, adam_beta1: number): MemberState {
  return {
    weights,
    ...(adam_beta1 > 0 ? { exp_avg: zerosLike(weights) } : {}),
    exp_avg_sq: zerosLike(weights),
    n_forward_passes_since_fired: new Uint32Array(featuresOf(weights)),
    topk_threshold: 0,
    step: 0,
  };
}

/** A deep copy, bit for bit. */
export function copyMemberState(state: MemberState): MemberState {
  return {
    weights: copyWeights(state.weights),
    ...(state.exp_avg ? { exp_avg: copyWeights(state.exp_avg) } : {}),
    exp_avg_sq: copyWeights(state.exp_avg_sq),
    n_forward_passes_since_fired: state.n_forward_passes_since_fired.slice(),
    ...(state.last_updated ? { last_updated: state.last_updated.slice() } : {}),
    topk_threshold: state.topk_threshold,
    step: state.step,
  };
}

export function copyWeights(weights: SaeWeights): SaeWeights {
  return mapWeights(weights, (values) => values.slice());
}

function zerosLike(weights: SaeWeights): SaeWeights {
  return mapWeights(weights, (values) => new Float32Array(values.length));
}

function mapWeights(weights: SaeWeights, make: (values: Float32Array) => Float32Array): SaeWeights {
  const result: Partial<Record<ParameterName, Float32Array>> = {};
  for (const [name, values] of entries(weights)) result[name] = make(values);
  return result as SaeWeights;
}

function featuresOf(weights: SaeWeights): number {
  return weights.W_enc.length / weights.b_dec.length;
}
