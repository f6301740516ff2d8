// Reads test/golden/training: weights, gradients and numbers that the Python packages' own trainers produced. Matrices are turned into rows of features.
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { MemberState, TrainerConfig } from "../../../src/engine/engine.ts";
import { newMemberState } from "../../../src/engine/memberState.ts";
import { defaultTrainerConfig } from "../../../src/engine/trainerDefaults.ts";
import { readSafetensors, tensorEntryOf, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { Architecture, ParameterName, SaeConfig, SaeWeights } from "../../../src/sae/sae.ts";
import { parameterNames } from "../../../src/sae/sae.ts";
import { golden } from "../fixtures.ts";

export type Tensors = Map<string, { shape: readonly number[]; values: Float32Array }>;

/** All float tensors of a file. */
export async function goldenTensors(...path: string[]): Promise<Tensors> {
  const file = await readSafetensors(golden("training", ...path));
  const result: Tensors = new Map();
  for (const name of file.tensors.keys()) {
    const { dtype, shape } = tensorEntryOf(file, name);
    if (dtype === "F32") result.set(name, { shape, values: await tensorFloat32(file, name) });
  }
  return result;
}

/** Batches x [5][64·24]. */
export async function goldenBatches(): Promise<Float32Array[]> {
  const x = (await goldenTensors("batches.safetensors")).get("x")!;
  const [batches, rows, d] = x.shape as [number, number, number];
  return Array.from({ length: batches }, (_, b) => x.values.slice(b * rows * d, (b + 1) * rows * d));
}

export const goldenRows = 64;

/** [d, F] → [F, d] */
export function transposed(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  return Float32Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!);
}

/** One parameter (or its gradient, or moment) under a prefix such as "step0.grad.". */
export function parameter(tensors: Tensors, prefix: string, name: ParameterName): Float32Array | undefined {
  const tensor = tensors.get(prefix + name);
  if (!tensor) return undefined;
  return name === "W_enc" ? transposed(tensor.values, tensor.shape[0]!) : tensor.values.slice();
}

export function weights(tensors: Tensors, prefix: string, architecture: Architecture): SaeWeights {
  const result: Partial<SaeWeights> = {};
  for (const name of parameterNames(architecture)) {
    const values = parameter(tensors, prefix, name);
    if (!values) throw new Error(`no ${prefix}${name}`);
    result[name] = values;
  }
  return result as SaeWeights;
}

/** Names of dictionary_learning's TopK in place of SAELens'. */
export function dictionaryLearningWeights(tensors: Tensors, prefix: string): SaeWeights {
  const get = (name: string): Float32Array => tensors.get(prefix + name)!.values.slice();
  const decoder = tensors.get(`${prefix}decoder.weight`)!;
  return {
    W_enc: get("encoder.weight"),
    W_dec: transposed(decoder.values, decoder.shape[0]!),
    b_dec: get("b_dec"),
    b_enc: get("encoder.bias"),
  };
}

const runSchema = z.object({
  sae_cfg: z.object({
    architecture: z.enum(["standard", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu", "gated"]),
    matryoshka_widths: z.array(z.number()).optional(),
    d_in: z.number(),
    d_sae: z.number(),
    k: z.number().optional(),
    apply_b_dec_to_input: z.boolean(),
    rescale_acts_by_decoder_norm: z.boolean().optional(),
    aux_loss_coefficient: z.number().default(1),
    topk_threshold_lr: z.number().default(0.01),
    lp_norm: z.number().default(1),
    jumprelu_bandwidth: z.number().default(0.05),
  }),
  trainer_cfg: z.object({ adam_beta1: z.number(), adam_beta2: z.number(), dead_feature_window: z.number() }),
  forced_dead: z.array(z.number()),
  steps: z.array(
    z.object({
      lr: z.number(),
      coefficients: z.record(z.string(), z.number()),
      n_dead: z.number(),
      loss: z.number(),
      losses: z.record(z.string(), z.number()),
      grad_norm_before_clipping: z.number(),
      l0: z.number(),
      topk_threshold_after: z.number().optional(),
    }),
  ),
});

export type GoldenRun = z.infer<typeof runSchema> & { config: TrainerConfig };

const manifest = z
  .object({ runs: z.record(z.string(), z.unknown()) })
  .parse(JSON.parse(readFileSync(golden("training", "sae_lens", "MANIFEST.json"), "utf8")));

/** A run of SAELens' own trainer by its name in the manifest. */
export function goldenRun(name: string): GoldenRun {
  const run = runSchema.parse(manifest.runs[name]);
  const { sae_cfg: cfg, trainer_cfg: trainer } = run;
  const sae: SaeConfig = {
    architecture: cfg.architecture === "matryoshka_batchtopk" ? "batchtopk" : cfg.architecture,
    d_in: cfg.d_in,
    d_sae: cfg.d_sae,
    ...(cfg.k === undefined ? {} : { k: cfg.k }),
    ...(cfg.matryoshka_widths === undefined ? {} : { matryoshka_widths: cfg.matryoshka_widths }),
    apply_b_dec_to_input: cfg.apply_b_dec_to_input,
    normalize_activations: "none",
    ...(cfg.rescale_acts_by_decoder_norm === undefined
      ? {}
      : { rescale_acts_by_decoder_norm: cfg.rescale_acts_by_decoder_norm }),
    dtype: "float32",
    metadata: {},
  };
  const config: TrainerConfig = {
    ...defaultTrainerConfig(sae),
    lp_norm: cfg.lp_norm,
    aux_loss_coefficient: cfg.aux_loss_coefficient,
    topk_threshold_lr: cfg.topk_threshold_lr,
    jumprelu_bandwidth: cfg.jumprelu_bandwidth,
    adam_beta1: trainer.adam_beta1,
    adam_beta2: trainer.adam_beta2,
    dead_feature_window: trainer.dead_feature_window,
  };
  return { ...run, config };
}

/** The state from which a golden run starts; latents that were made dead by force had a counter of 10. */
export function goldenStart(run: GoldenRun, init: SaeWeights): MemberState {
  const state = newMemberState(init, run.config.adam_beta1);
  for (const i of run.forced_dead) state.n_forward_passes_since_fired[i] = 10;
  return state;
}

/** λ of a golden step, whatever its name there. */
export function goldenCoefficient(coefficients: Record<string, number>): number {
  return Object.values(coefficients)[0] ?? 0;
}
