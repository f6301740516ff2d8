// The contract of an engine: where the arithmetic of SAEs runs. reference/ is the slow oracle; cpu/ is the fast one. Every engine passes test/unit/engine/contract.ts.
import type { Ensemble } from "../sae/ensemble.ts";
import { normalisesTokens } from "../sae/normalise.ts";
import { notForEnsembles, type ParameterName, type SaeConfig, type SaeWeights } from "../sae/sae.ts";

export interface Engine {
  /** "reference", "cpu", … */
  readonly name: string;
  /** One line for people: threads, instruction set, device. */
  readonly description: string;
  /**
   * Members trained together on the same batches (bagging: all J; single, expanded, boosting: one).
   * Takes ownership of the states. Throws EngineError where the shapes do not fit the machine.
   */
  createTrainer(config: TrainerConfig, members: MemberState[], frozen?: Ensemble): Promise<Trainer>;
  /** An ensemble ready to encode. Members are in their inference form (sae/fold.ts), so none is "batchtopk": EngineError. */
  createEncoder(ensemble: Ensemble): Promise<Encoder>;
  close(): Promise<void>;
}

/** What cannot be done on this machine, or went wrong in a device; the message says what to do. */
export class EngineError extends Error {
  override name = "EngineError";
}

/** How a training step is computed; the same for all members. Keys are SAELens' (TrainingSAEConfig and its optimiser). */
export interface TrainerConfig {
  readonly sae: SaeConfig;
  /** standard: p of the p-norm (Σ_i (f_i‖W_dec,i‖)^p)^(1/p); SAELens' default 1. */
  readonly lp_norm: number;
  /** topk, batchtopk: weight of AuxK. SAELens 1; dictionary_learning 1/32. */
  readonly aux_loss_coefficient: number;
  /** Which definition of AuxK: SAELens' (raw pre-activations, scaled by n_dead) or dictionary_learning's (relu'd, divided by the residual's variance). */
  readonly aux_loss_form: "sae_lens" | "dictionary_learning";
  /** batchtopk: rate of the threshold's moving average; SAELens 0.01. */
  readonly topk_threshold_lr: number;
  /** jumprelu: ε of the rectangle kernel; SAELens 0.05. */
  readonly jumprelu_bandwidth: number;
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_eps: number;
  /** Global gradient norm over all parameters of a member is clipped to this; null: no clipping. SAELens: 1. */
  readonly max_grad_norm: number | null;
  /** "unit": remove the gradient's part parallel to each decoder row before clipping, renormalise rows to 1 after the step (dictionary_learning). SAELens: "free". */
  readonly decoder_norm: "free" | "unit";
  /** A latent is dead once it has not fired in more than this many *steps* (SAELens). */
  readonly dead_feature_window: number;
}

/** Everything a member needs to go on bit for bit. All arrays float32 unless said. */
export interface MemberState {
  weights: SaeWeights;
  /** Adam's first moments; same shapes as the weights. Absent where adam_beta1 is 0. */
  exp_avg?: SaeWeights;
  exp_avg_sq: SaeWeights;
  /** [F] uint32: steps since the latent last fired. */
  n_forward_passes_since_fired: Uint32Array;
  /** [F] uint32, engines with a lazy optimiser: the step at which a latent's row was last updated. Part of the state so that a resumed run gives the same bits. */
  last_updated?: Uint32Array;
  /** batchtopk: moving average of the least positive kept activation, float64, 0 at first. */
  topk_threshold: number;
  /** Steps taken. */
  step: number;
}

/** What schedules decide for one step. */
export interface StepInput {
  readonly lr: number;
  /** λ after warm-up: l1_coefficient (standard, gated) or l0_coefficient (jumprelu); ignored by the topk family. */
  readonly sparsity_coefficient: number;
}

/** One member's numbers for one step, of the batch before the update. */
export interface StepReport {
  /** Sum of `losses`. */
  readonly loss: number;
  /** By SAELens' names: mse_loss, l1_loss, l0_loss, auxiliary_reconstruction_loss. */
  readonly losses: Readonly<Record<string, number>>;
  /** Mean active features a token. */
  readonly l0: number;
  /** 1 − Σ‖x−x̂‖² / Σ‖x−x̄‖² over the batch, against this member's own target. */
  readonly explained_variance: number;
  /** Before clipping; NaN where max_grad_norm is null. */
  readonly grad_norm: number;
  /** Dead latents by the mask that this step used. */
  readonly n_dead: number;
}

export interface Trainer {
  /** True: a step may be given while the one before is computed, so that its batch is on its way by then. Reports come in order. */
  readonly takesAhead?: boolean;
  /**
   * One step on x [rows, d]. With a frozen ensemble (boosting) the target is x − Σ_{l} x̂_l, computed here.
   * Order as SAELens: dead mask, forward, counters, backward, clip, Adam. Returns one report a member. x must not change until then.
   */
  step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]>;
  /** A copy of the members' states, or of one member's alone; a trainer made from it continues with the same bits. */
  state(member?: number): Promise<MemberState[]>;
  close(): Promise<void>;
}

/** Codes of many tokens in compressed rows. Only positive values are stored; indices ascend within a row. */
export interface SparseCodes {
  readonly rows: number;
  /** Features of the ensemble, J·F. */
  readonly width: number;
  /** [rows + 1] */
  readonly offsets: Uint32Array;
  /** Global feature index. */
  readonly indices: Uint32Array;
  /** α_j already applied. */
  readonly values: Float32Array;
}

export interface Encoded {
  readonly codes: SparseCodes;
  /** x̂ [rows, d] of the whole ensemble. */
  readonly reconstruction: Float32Array;
}

export interface Encoder {
  /** Encodes x [rows, d] with every member (boosting: along the residual chain). x must not change until it is done. */
  encode(x: Float32Array, rows: number): Promise<Encoded>;
  /** The codes that `encode` gives, to the bit, without the work that only x̂ needs. */
  codes(x: Float32Array, rows: number): Promise<SparseCodes>;
  close(): Promise<void>;
}

/** What an engine with kernels of its own asks first in createTrainer. */
export function checkTrainable({ sae, aux_loss_coefficient }: TrainerConfig): void {
  const { architecture, k, d_sae, normalize_activations } = sae;
  if (architecture !== "topk" && architecture !== "batchtopk") return;
  if (!(k! > 0 && k! <= d_sae)) throw new EngineError(`k is ${k}, and has to be in 1..d_sae (${d_sae})`);
  if (aux_loss_coefficient !== 0 && normalisesTokens(normalize_activations))
    throw new EngineError(`aux_loss_coefficient has to be 0 with normalize_activations "${normalize_activations}"`);
}

/** What every engine's createEncoder asks first. */
export function checkEncodable(ensemble: Ensemble): void {
  for (const [j, member] of ensemble.members.entries()) {
    const reason =
      member.config.architecture === "batchtopk"
        ? "a batchtopk, which has to be brought into its inference form (jumprelu) before it can encode"
        : notForEnsembles(member);
    if (reason) throw new EngineError(`member ${j} is ${reason}`);
  }
}

/** Parameters of a member as a list, for code that treats them alike. */
export function entries(weights: SaeWeights): [ParameterName, Float32Array][] {
  return Object.entries(weights).filter(([, values]) => values) as [ParameterName, Float32Array][];
}
