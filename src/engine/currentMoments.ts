// A state from an engine with a lazy optimiser, made current: rows of latents that rested have their moments' decay made up for.
import type { MemberState, TrainerConfig } from "./engine.ts";

/** Bit 31 of last_updated says that a row is at rest. */
const STEP_BITS = 0x7fffffff;

/** For engines that update every row at every step. Weights are current already: a resting row doesn't move. */
export function withCurrentMoments(state: MemberState, config: TrainerConfig): MemberState {
  const { last_updated, ...rest } = state;
  if (!last_updated) return state;
  const decayed = (rows: Float32Array, beta: number): Float32Array => {
    const result = rows.slice();
    const d = rows.length / last_updated.length;
    for (let i = 0; i < last_updated.length; i++) {
      const gap = state.step - (last_updated[i]! & STEP_BITS);
      if (gap <= 0) continue;
      const factor = beta ** gap;
      for (let at = i * d; at < (i + 1) * d; at++) result[at] = result[at]! * factor;
    }
    return result;
  };
  const current = (moments: MemberState["exp_avg_sq"], beta: number): MemberState["exp_avg_sq"] => ({
    ...moments,
    W_enc: decayed(moments.W_enc, beta),
    W_dec: decayed(moments.W_dec, beta),
  });
  return {
    ...rest,
    ...(rest.exp_avg ? { exp_avg: current(rest.exp_avg, config.adam_beta1) } : {}),
    exp_avg_sq: current(rest.exp_avg_sq, config.adam_beta2),
  };
}
