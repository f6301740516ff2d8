// How fast an engine trains, for `doctor` and the choice of a device: one TopK SAE, by SAELens' defaults, on values that are random enough.
import type { MemberState, StepInput, StepReport, TrainerConfig } from "./engine.ts";
import { newMemberState } from "./memberState.ts";
import { defaultTrainerConfig } from "./trainerDefaults.ts";

export interface StepShape {
  /** Tokens of a batch. */
  readonly rows: number;
  readonly d: number;
  readonly F: number;
}

/** Large enough for a GPU to show what it can. */
export const GPU_SHAPE: StepShape = { rows: 2048, d: 512, F: 8192 };
/** Small enough for WebAssembly alone in a few seconds. */
export const CPU_SHAPE: StepShape = { rows: 1024, d: 512, F: 4096 };

const STEPS = 5;
/** Milliseconds after which fewer steps have to do. */
const PATIENCE = 2000;

export function rateConfig({ d, F }: StepShape): TrainerConfig {
  return defaultTrainerConfig({
    architecture: "topk",
    d_in: d,
    d_sae: F,
    k: 32,
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    rescale_acts_by_decoder_norm: true,
    dtype: "float32",
    metadata: {},
  });
}

export function rateMember(shape: StepShape): MemberState {
  const { d, F } = shape;
  // A fixed pattern without structure is all that a rate needs.
  const values = Float32Array.from({ length: F * d }, (_, at) => (((at * 7919) % 1009) / 1009 - 0.5) * 0.1);
  const weights = { W_enc: values, W_dec: values.slice(), b_dec: new Float32Array(d), b_enc: new Float32Array(F) };
  return newMemberState(weights, rateConfig(shape).adam_beta1);
}

/** What is timed: a trainer's step. */
interface Stepping {
  step(x: Float32Array, rows: number, input: StepInput): Promise<StepReport[]>;
}

/** Tokens a second of a trainer that holds `rateMember`; its first step isn't counted. */
export async function tokensASecond(trainer: Stepping, { rows, d }: StepShape): Promise<number> {
  const x = Float32Array.from({ length: rows * d }, (_, at) => ((at * 104_729) % 2011) / 2011 - 0.5);
  const input = { lr: 1e-4, sparsity_coefficient: 0 };
  await trainer.step(x, rows, input);
  const start = performance.now();
  for (let steps = 1; ; steps++) {
    await trainer.step(x, rows, input);
    const taken = performance.now() - start;
    if (steps === STEPS || taken > PATIENCE) return (1000 * steps * rows) / taken;
  }
}
