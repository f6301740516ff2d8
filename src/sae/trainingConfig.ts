// The settings of an SAE that is to be trained: SAELens' TrainingSAEConfig by architecture, key for key, with its defaults. Optimiser and schedule are not here (training/trainingSettings.ts).
import { z } from "zod";
import { reshapedAt, type SaeConfig, type SaeMetadata } from "./sae.ts";

const width = z.int().positive();
const coefficient = z.number().nonnegative();
const steps = z.int().nonnegative();

/** Keys of every architecture but d_in, which comes from the activations. */
const shared = {
  /** F; give either this or expansion_factor. */
  d_sae: width.optional(),
  /** F as a multiple of d_in. */
  expansion_factor: z.number().positive().optional(),
  dtype: z.literal("float32").default("float32"),
  apply_b_dec_to_input: z.boolean().default(true),
  /**
   * The two that normalise each token are refused: SAELens' losses for them mix normalised with raw space, and its AuxK
   * throws. SAEs trained so elsewhere can be read and used.
   */
  normalize_activations: z.enum(["none", "expected_average_only_in"]).default("none"),
  /** Norm of the decoder's rows at the start; null leaves them as drawn. */
  decoder_init_norm: z.number().positive().nullable().default(0.1),
  /** Where b_dec starts. "geometric_median": of the first batch, as dictionary_learning does. Not a key of SAELens. */
  b_dec_init: z.enum(["zeros", "geometric_median"]).default("zeros"),
  /** "unit": rows of W_dec are kept at norm 1, as dictionary_learning does. Not a key of SAELens. */
  decoder_norm: z.enum(["free", "unit"]).default("free"),
};

const topkFamily = {
  aux_loss_coefficient: coefficient.default(1),
  /** Which definition of AuxK. Not a key of SAELens. */
  aux_loss_form: z.enum(["sae_lens", "dictionary_learning"]).default("sae_lens"),
  rescale_acts_by_decoder_norm: z.boolean().default(true),
};

const batchtopk = {
  ...topkFamily,
  k: z.number().positive().default(100),
  topk_threshold_lr: z.number().positive().max(1).default(0.01),
};

const l1 = { l1_coefficient: coefficient.default(1), l1_warm_up_steps: steps.default(0) };

/** One schema an architecture; `trainingSaeSchema` is their union. */
export const trainingArchitectures = [
  z.strictObject({
    architecture: z.literal("standard"),
    ...shared,
    ...l1,
    /** p of the p-norm of the penalty. */
    lp_norm: z.number().positive().default(1),
  }),
  z.strictObject({ architecture: z.literal("topk"), ...shared, ...topkFamily, k: z.int().positive().default(100) }),
  z.strictObject({ architecture: z.literal("batchtopk"), ...shared, ...batchtopk }),
  z.strictObject({
    architecture: z.literal("matryoshka_batchtopk"),
    ...shared,
    ...batchtopk,
    /** Ascending; d_sae is added where it isn't the last, as SAELens does. */
    matryoshka_widths: z
      .array(width)
      .min(1)
      .refine((widths) => widths.every((one, at) => at === 0 || one > widths[at - 1]!), "widths that ascend"),
  }),
  z.strictObject({
    architecture: z.literal("jumprelu"),
    ...shared,
    jumprelu_init_threshold: z.number().nonnegative().default(0.01),
    jumprelu_bandwidth: z.number().positive().default(0.05),
    l0_coefficient: coefficient.default(1),
    l0_warm_up_steps: steps.default(0),
  }),
  z.strictObject({ architecture: z.literal("gated"), ...shared, ...l1 }),
] as const;

/**
 * What an experiment file says of the SAE. A key of another architecture is an error, and so is d_in: it is the width of
 * the activations. `completeTrainingSaeConfig` adds it.
 */
export const trainingSaeSchema = z
  .discriminatedUnion("architecture", trainingArchitectures)
  .refine(hasOneWidth, { path: ["d_sae"], message: "give either d_sae or expansion_factor" });

/** Whether exactly one of the two is given. */
export function hasOneWidth(sae: { d_sae?: number | undefined; expansion_factor?: number | undefined }): boolean {
  return (sae.d_sae === undefined) !== (sae.expansion_factor === undefined);
}

/** An experiment file's `sae`, defaults filled in. */
export type TrainingSaeOptions = z.output<typeof trainingSaeSchema>;

type Complete<T> = T extends unknown ? Omit<T, "d_sae" | "expansion_factor"> & { d_in: number; d_sae: number } : never;

/** The same with its widths known. */
export type TrainingSaeConfig = Complete<TrainingSaeOptions>;

/** Throws RangeError where the widths don't fit each other; the message is for the person who wrote the experiment. */
export function completeTrainingSaeConfig(options: TrainingSaeOptions, d_in: number): TrainingSaeConfig {
  const { d_sae, expansion_factor, ...rest } = options;
  const features = d_sae ?? Math.round(expansion_factor! * d_in);
  if (features < 1) throw new RangeError(`expansion_factor ${expansion_factor} of d_in ${d_in} gives no features`);
  if ("k" in rest && rest.k > features) {
    throw new RangeError(`k ${rest.k} is more than the ${features} features of the SAE (d_sae)`);
  }
  const widths =
    "matryoshka_widths" in rest ? { matryoshka_widths: wholeWidths(rest.matryoshka_widths, features) } : {};
  return { ...rest, ...widths, d_in, d_sae: features } as TrainingSaeConfig;
}

function wholeWidths(widths: readonly number[], d_sae: number): readonly number[] {
  const last = widths.at(-1)!;
  if (last > d_sae) {
    throw new RangeError(`matryoshka_widths ends with ${last}, more than the ${d_sae} features of the SAE (d_sae)`);
  }
  return last === d_sae ? widths : [...widths, d_sae];
}

/**
 * The expanded baseline: one SAE as wide as the whole ensemble, with as many active features a token; a matryoshka's inner
 * widths grow alike, so that each holds the same share of the features.
 */
export function expandedConfig(config: TrainingSaeConfig, n_members: number): TrainingSaeConfig {
  const d_sae = config.d_sae * n_members;
  if (!("k" in config)) return { ...config, d_sae };
  const k = config.k * n_members;
  if (config.architecture !== "matryoshka_batchtopk") return { ...config, d_sae, k };
  return { ...config, d_sae, k, matryoshka_widths: config.matryoshka_widths.map((width) => width * n_members) };
}

/** The part that encodes and decodes, as it stands while training. Ours of the settings goes into the metadata, as SAELens keeps it. */
export function trainingSaeToConfig(config: TrainingSaeConfig, metadata: SaeMetadata): SaeConfig {
  const { architecture, d_in, d_sae, dtype, apply_b_dec_to_input, normalize_activations, ...details } = config;
  return {
    architecture: architecture === "matryoshka_batchtopk" ? "batchtopk" : architecture,
    d_in,
    d_sae,
    ...("k" in config ? { k: config.k, rescale_acts_by_decoder_norm: config.rescale_acts_by_decoder_norm } : {}),
    ...("matryoshka_widths" in config ? { matryoshka_widths: config.matryoshka_widths } : {}),
    dtype,
    apply_b_dec_to_input,
    normalize_activations,
    ...reshapedAt(metadata.hook_name),
    metadata: { ...metadata, training_architecture: architecture, training_architecture_details: details },
  };
}

/** λ before warm-up, and the steps of that warm-up. The topk family has none. */
export function sparsityCoefficient(config: TrainingSaeOptions | TrainingSaeConfig): {
  value: number;
  warm_up_steps: number;
} {
  switch (config.architecture) {
    case "standard":
    case "gated":
      return { value: config.l1_coefficient, warm_up_steps: config.l1_warm_up_steps };
    case "jumprelu":
      return { value: config.l0_coefficient, warm_up_steps: config.l0_warm_up_steps };
    default:
      return { value: 0, warm_up_steps: 0 };
  }
}
