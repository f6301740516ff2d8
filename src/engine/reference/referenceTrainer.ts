// A training step by definition, member by member, in SAELens' order. Reference, not fast.
import { encodeEnsemble } from "../../sae/encodeEnsemble.ts";
import type { Ensemble } from "../../sae/ensemble.ts";
import {
  EngineError,
  type MemberState,
  type StepInput,
  type StepReport,
  type Trainer,
  type TrainerConfig,
} from "../engine.ts";
import { copyMemberState } from "../memberState.ts";
import type { Batch } from "./linear.ts";
import type { LossGradients } from "./lossGradients.ts";
import { adam, clipGlobalNorm, removeParallelPart, renormaliseRows } from "./update.ts";

export class ReferenceTrainer implements Trainer {
  readonly #config: TrainerConfig;
  readonly #members: MemberState[];
  readonly #frozen: Ensemble | undefined;
  readonly #gradients: (batch: Batch) => LossGradients;

  constructor(
    config: TrainerConfig,
    members: MemberState[],
    frozen: Ensemble | undefined,
    gradients: (batch: Batch) => LossGradients,
  ) {
    this.#config = config;
    this.#members = members;
    this.#frozen = frozen;
    this.#gradients = gradients;
  }

  async step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]> {
    if (x.length !== rows * this.#config.sae.d_in) {
      throw new EngineError(`a batch of ${x.length} values is not ${rows} rows of d_in ${this.#config.sae.d_in}`);
    }
    const target = this.#frozen ? residual(this.#frozen, x, rows) : x;
    return this.#members.map((state) => stepMember(this.#config, state, target, rows, input, this.#gradients));
  }

  async state(member?: number): Promise<MemberState[]> {
    return (member === undefined ? this.#members : [this.#members[member]!]).map(copyMemberState);
  }

  async close(): Promise<void> {}
}

/** x − Σ_l x̂_l, rounded to float32 as a batch is. */
function residual(frozen: Ensemble, x: Float32Array, rows: number): Float32Array {
  const { reconstruction } = encodeEnsemble(frozen, x, rows);
  return x.map((value, at) => value - reconstruction[at]!);
}

function stepMember(
  config: TrainerConfig,
  state: MemberState,
  x: Float32Array,
  rows: number,
  input: StepInput,
  gradientsOf: (batch: Batch) => LossGradients,
): StepReport {
  const { threshold } = state.weights;
  // SAELens' projection: the estimator needs θ ≥ 0, and the stored value may have gone below.
  if (threshold) for (let i = 0; i < threshold.length; i++) threshold[i] = Math.max(0, threshold[i]!);
  const dead = Uint8Array.from(state.n_forward_passes_since_fired, (steps) =>
    steps > config.dead_feature_window ? 1 : 0,
  );

  const batch = { config, weights: state.weights, x, rows, sparsity_coefficient: input.sparsity_coefficient, dead };
  const result = gradientsOf(batch);
  const active = countFired(result.codes, state.n_forward_passes_since_fired);
  if (config.sae.architecture === "batchtopk") updateThreshold(state, result.codes, config.topk_threshold_lr);

  const { gradients } = result;
  if (config.decoder_norm === "unit") removeParallelPart(gradients.W_dec, state.weights.W_dec, config.sae.d_in);
  const grad_norm = config.max_grad_norm === null ? Number.NaN : clipGlobalNorm(gradients, config.max_grad_norm);
  state.step += 1;
  adam(state, gradients, config, input.lr);
  if (config.decoder_norm === "unit") renormaliseRows(state.weights.W_dec, config.sae.d_in);

  return {
    loss: Object.values(result.losses).reduce((sum, loss) => sum + loss, 0),
    losses: result.losses,
    l0: active / rows,
    explained_variance: explainedVariance(result, x, rows),
    grad_norm,
    n_dead: dead.reduce((sum, one) => sum + one, 0),
  };
}

/** Adds a step to every latent's counter and sets those that fired to 0; returns the number of active features. */
function countFired(codes: Float64Array, since: Uint32Array): number {
  const F = since.length;
  for (let i = 0; i < F; i++) since[i]! += 1;
  let active = 0;
  for (let at = 0; at < codes.length; at++) {
    if (codes[at] === 0) continue;
    since[at % F] = 0;
    active += 1;
  }
  return active;
}

/** t ← (1 − rate)·t + rate·(least positive kept activation), in float64; unchanged where nothing is active. */
function updateThreshold(state: MemberState, codes: Float64Array, rate: number): void {
  let least = Number.POSITIVE_INFINITY;
  for (const code of codes) if (code > 0 && code < least) least = code;
  if (least < Number.POSITIVE_INFINITY)
    state.topk_threshold = (1 - rate) * state.topk_threshold + rate * Math.fround(least);
}

/** 1 − Σ‖x−x̂‖² / Σ‖x−x̄‖² over the batch; NaN where x does not vary. */
function explainedVariance(result: LossGradients, x: Float32Array, rows: number): number {
  const d = x.length / rows;
  const mean = new Float64Array(d);
  for (let at = 0; at < x.length; at++) mean[at % d]! += x[at]! / rows;
  let variance = 0;
  let error = 0;
  for (let at = 0; at < x.length; at++) {
    variance += (x[at]! - mean[at % d]!) ** 2;
    error += (x[at]! - result.reconstruction[at]!) ** 2;
  }
  return variance > 0 ? 1 - error / variance : Number.NaN;
}
