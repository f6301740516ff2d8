// The schema of an experiment file (*.sae.jsonc): every key, its type, its default and its description. Names and defaults are SAELens' (LanguageModelSAERunnerConfig, TrainingSAEConfig); reading a file is experiment.ts.
import { z } from "zod";
import { modelDevices } from "../model/device/modelDevice.ts";
import { HOOK_KINDS } from "../model/hookPoints.ts";
import { type Architecture, architectureWords } from "../sae/architectureWords.ts";
import { hasOneWidth, trainingArchitectures } from "../sae/trainingConfig.ts";
import type { TrainingMethod } from "../training/trainingRun.ts";
import { trainingSettingsSchema } from "../training/trainingSettings.ts";
import { conceptsSchema, debiasSchema } from "./probingSchema.ts";

const count = z.int().positive();
const nonNegative = z.int().nonnegative();
const fraction = z.number().min(0).lt(1);

/** The ways to spend J members. "expanded" is the baseline: one SAE with J times the features (and J times k). */
export const trainingMethods = ["single", "bagging", "boosting", "expanded"] as const satisfies TrainingMethod[];

const isSet = (names: readonly string[]): boolean => new Set(names).size === names.length;

const ensemblesSchema = z
  .strictObject({
    methods: z.array(z.enum(trainingMethods)).nonempty().refine(isSet, "each method once").default(["bagging"]).meta({
      description:
        "What to train: a single SAE, a bagging ensemble, a boosting ensemble, one expanded SAE of the ensemble's width.",
    }),
    // Seed sets are 1000 seeds apart.
    n_members: count
      .max(1000)
      .default(8)
      .meta({ description: "Members J of bagging and boosting; the expanded SAE has J times the features." }),
    seed_sets: count.max(100).default(1).meta({
      description: "How many times everything is trained, from other seeds each time. Stability needs at least 2.",
    }),
  })
  .prefault({})
  .meta({ description: "Which ensembles are trained." });

const activationsSchema = z
  .strictObject({
    store: z.enum(["disk", "on_the_fly"]).default("disk").meta({
      description:
        "disk: harvest once, every member reads it back shuffled. on_the_fly: the model runs while training.",
    }),
    dtype: z.enum(["float32", "float16"]).default("float32").meta({
      description: "Precision of the stored activations that are trained on. Held-out ones are always float32.",
    }),
    tokens: count.optional().meta({
      description: "Tokens to harvest; default training_tokens. Training makes as many passes over them as it needs.",
    }),
  })
  .prefault({})
  .meta({ description: "Where activations are kept." });

const evaluationSchema = z
  .strictObject({
    dataset_path: z.string().min(1).optional().meta({
      description:
        'Held-out text, or "demo". Without it, test_share of the documents of dataset_path are held out of training.',
    }),
    column: z
      .string()
      .min(1)
      .optional()
      .meta({ description: "Column of evaluation.dataset_path that holds the text." }),
    test_share: fraction
      .default(0.05)
      .meta({ description: "Share of the documents held out when there is no evaluation.dataset_path." }),
    test_tokens: count.default(100_000).meta({ description: "Tokens that the intrinsic metrics are computed on." }),
    model_metrics_tokens: nonNegative.default(10_000).meta({
      description:
        "Tokens that CE and KL through the language model are computed on, in whole windows; 0 leaves them out.",
    }),
  })
  .prefault({})
  .meta({ description: "What the metrics are computed on." });

const indexSchema = z
  .strictObject({
    methods: z.array(z.enum(trainingMethods)).refine(isSet, "each method once").optional().meta({
      description:
        "Which ensembles get a feature index; default the first of bagging, boosting, expanded, single that is trained.",
    }),
    dataset_path: z
      .string()
      .min(1)
      .optional()
      .meta({ description: "Text to index; default dataset_path, held-out documents included." }),
    column: z.string().min(1).optional().meta({ description: "Column of index.dataset_path that holds the text." }),
    tokens: count.default(200_000).meta({ description: "Tokens to index." }),
  })
  .prefault({})
  .meta({ description: "Which ensembles are indexed, on which text." });

/** SAEs that exist already, in the place of a training. */
const importedSchema = z.strictObject({
  architecture: z.literal("imported"),
  paths: z.array(z.string().min(1)).nonempty(),
});
/** An experiment over SAEs that exist already. */
export type ImportedSae = z.output<typeof importedSchema>;

const saeSchema = z
  .discriminatedUnion("architecture", [...trainingArchitectures, importedSchema])
  .refine((sae) => sae.architecture === "imported" || hasOneWidth(sae), {
    path: ["d_sae"],
    message: "give either d_sae or expansion_factor",
  });

/** Bounds and defaults of what training/ takes; descriptions are added here. */
const training = trainingSettingsSchema.in.shape;

/** The whole file. Paths are relative to the file itself. */
export const experimentSchema = z
  .strictObject({
    $schema: z.string().optional().meta({ description: "Ignored; for editors." }),
    model_name: z.string().min(1).meta({
      description:
        'Language model: its name on the Hugging Face hub (owner/name, perhaps with @revision or /file.gguf), a Hugging Face folder, a GGUF or an ONNX file, relative to this file, or "demo" for the model that comes with SAE Ensembles.',
    }),
    hook_name: z
      .string()
      .min(1)
      .meta({
        description: `Where activations are read, by TransformerLens' name, e.g. blocks.2.hook_resid_post. A block has ${HOOK_KINDS.join(", ")}.`,
        // What editors offer as a value: the most usual one first.
        examples: HOOK_KINDS.toReversed().map((hook) => `blocks.2.${hook}`),
      }),
    dataset_path: z.string().min(1).meta({
      description:
        'Text: .txt, .jsonl, .csv or .parquet, plain or .gz, relative to this file; the name of a data set on the Hugging Face hub (owner/name, perhaps with /folder); or "demo" for the demo model\'s own text.',
    }),
    column: z.string().min(1).optional().meta({ description: "Column that holds the text (jsonl, csv, parquet)." }),
    context_size: z.int().min(2).default(128).meta({ description: "Tokens of a window, BOS included." }),
    prepend_bos: z.boolean().default(true).meta({ description: "Start every window with BOS." }),
    packing: z.enum(["packed", "one_text_per_row"]).default("packed").meta({
      description:
        "packed: documents are joined and cut into full windows, as SAELens does. one_text_per_row: a window never crosses a text.",
    }),
    exclude_special_tokens: z
      .union([z.boolean(), z.array(nonNegative).nonempty()], { error: "true, false or a list of token ids" })
      .default(false)
      .meta({
        description:
          "Leave special tokens (BOS, EOS, …) out of training; a list of token ids: these instead. Metrics always leave special tokens out.",
      }),
    store_batch_size_prompts: count.default(32).meta({ description: "Windows that the language model sees at once." }),
    n_batches_in_buffer: count.default(20).meta({
      description:
        "Size of the mixing buffer, in batches of store_batch_size_prompts windows. (SAELens counts windows.)",
    }),
    training_tokens: training.training_tokens
      .default(2_000_000)
      .meta({ description: "Tokens that every member is trained on." }),
    train_batch_size_tokens: training.train_batch_size_tokens.meta({ description: "Tokens of a training step." }),
    lr: training.lr.meta({ description: "Adam's learning rate, after warm-up." }),
    lr_end: training.lr_end.meta({
      description: "Learning rate at the end of a cosine schedule; default lr / 10.",
    }),
    lr_scheduler_name: training.lr_scheduler_name.meta({ description: "Schedule between warm-up and decay." }),
    lr_warm_up_steps: training.lr_warm_up_steps.meta({ description: "Steps over which the learning rate rises." }),
    lr_decay_steps: training.lr_decay_steps.meta({
      description: "Steps at the end over which the learning rate falls to 0.",
    }),
    n_restart_cycles: training.n_restart_cycles.meta({ description: "Cycles of cosineannealingwarmrestarts." }),
    adam_beta1: training.adam_beta1.meta({ description: "Adam's β1." }),
    adam_beta2: training.adam_beta2.meta({ description: "Adam's β2." }),
    max_grad_norm: training.max_grad_norm.meta({
      description: "The global gradient norm of a member is clipped to this (SAELens always: 1); null: no clipping.",
    }),
    dead_feature_window: training.dead_feature_window.meta({
      description: "Steps without firing after which a latent counts as dead.",
    }),
    n_batches_for_norm_estimate: training.n_batches_for_norm_estimate.meta({
      description: "Batches that expected_average_only_in's factor is estimated on.",
    }),
    seed: nonNegative.default(42).meta({ description: "Everything random comes from it." }),
    n_checkpoints: nonNegative.default(10).meta({
      description:
        "Checkpoints of a training, evenly spaced, beside one every five minutes and one when it is stopped; the newest two are kept, and resume goes on from the newest that is whole. (SAELens: 0.)",
    }),
    output_path: z
      .string()
      .min(1)
      .optional()
      .meta({ description: "The run folder, relative to this file; default runs/<name of this file>." }),
    device: z.enum(["auto", "cpu", "webgpu"]).default("auto").meta({
      description:
        "Where the arithmetic of SAEs runs. auto: a GPU that agrees with the processor and is quicker over the first batches, else the processor. A run may go on on another device.",
    }),
    autocast: z.boolean().default(false).meta({
      description:
        "On a GPU that has them, the encoder's product may round its operands to float16 in training (sums stay float32): quicker, and apart by about 1e-3. false: float32's digits, by matrix units as well. The processor always computes in float32.",
    }),
    llm_device: z
      .enum(["auto", ...modelDevices])
      .default("auto")
      .meta({
        description:
          "Where onnxruntime runs the language model for harvest and evaluation. auto: the GPU (webgpu) where there is a real one that agrees with the processor and is quicker over the first batches, unless device is cpu. coreml on macOS. cuda, and dml on Windows, are not in the extension's package: the setting saeEnsembles.runs.onnxruntimeFolder (or SAE_ENSEMBLES_ONNXRUNTIME) names a folder in which you have installed an onnxruntime-node that has them. One that differs at first or fails is left with a warning, and the processor goes on; one that differs later ends the run.",
      }),
    engine: z.enum(["cpu", "reference", "tensorflow"]).optional().meta({
      description:
        "Another implementation in place of the device's, for checks: reference is slow and obvious, tensorflow uses your own @tensorflow/tfjs-node.",
    }),
    threads: count
      .max(512)
      .optional()
      .meta({ description: "Threads; default: one a core. The result does not depend on it." }),
    sae: saeSchema.meta({ description: "The SAE that every member of every ensemble is." }),
    ensembles: ensemblesSchema,
    activations: activationsSchema,
    evaluation: evaluationSchema,
    index: indexSchema,
    debias: debiasSchema.optional(),
    concepts: conceptsSchema.optional(),
  })
  .meta({
    title: "SAE Ensembles experiment",
    description:
      "Harvest activations, train ensembles of SAEs, evaluate them, index their features and use them on labelled texts.",
  });

/** What a file may say. */
export type ExperimentInput = z.input<typeof experimentSchema>;
/** What a file says with every default filled in; paths still as they stand in the file. */
export type ExperimentSettings = z.output<typeof experimentSchema>;

/** Keys of SAELens' configuration that have no place here, and what to do instead. */
export const foreignKeys: Readonly<Record<string, string>> = {
  learning_rate: 'it is called "lr"',
  batch_size: 'it is called "train_batch_size_tokens"',
  act_store_device: "activations are on disk or in memory; device and llm_device say where they are computed",
  dtype: "training is in float32; activations.dtype is the store's precision",
  logger: "runs are logged to events.jsonl in the run folder",
  streaming: "texts are always streamed",
  is_dataset_tokenized: "dataset_path holds text",
  use_cached_activations: "activations.store says whether activations go to disk",
  cached_activations_path: "activations.store says whether activations go to disk",
  disable_concat_sequences: 'packing: "one_text_per_row" keeps texts apart',
  hook_layer: "hook_name has the layer in it, e.g. blocks.8.hook_resid_post",
  hook_point: 'it is called "hook_name"',
  hook_point_layer: "hook_name has the layer in it, e.g. blocks.8.hook_resid_post",
  hook_point_head_index: "heads are not taken apart: at attn.hook_z they stand side by side",
  activation_fn: "sae.architecture says it: standard is ReLU, topk is TopK",
  activation_fn_str: "sae.architecture says it: standard is ReLU, topk is TopK",
  activation_fn_kwargs: "sae.k is the k of a topk",
  checkpoint_path: "checkpoints are in the run folder, output_path",
  resume_from_checkpoint: "the command resume goes on from the newest checkpoint of a run",
  l1_coefficient: "it belongs in sae",
  l0_coefficient: "it belongs in sae",
  k: "it belongs in sae",
  d_sae: "it belongs in sae",
  d_in: "the width is read from the model",
  expansion_factor: "it belongs in sae",
  architecture: "it belongs in sae",
  normalize_activations: "it belongs in sae",
  activations_mixing_fraction:
    "n_batches_in_buffer says how many batches are mixed; a buffer is refilled when half of it is used",
  prefetch_llm_batches: "the next batch is always prepared while a step is computed",
  store_batch_size: 'it is called "store_batch_size_prompts"',
  feature_sampling_window: "runs log at every step; the feature index has densities",
  dead_feature_threshold: "dead latents are those that dead_feature_window says; the feature index has densities",
  n_eval_batches: "evaluation.test_tokens says how many tokens are evaluated on",
  eval_batch_size_prompts: "evaluation.test_tokens says how many tokens are evaluated on",
  hook_eval: "metrics are always computed at hook_name",
  hook_head_index: "heads are not taken apart: at attn.hook_z they stand side by side",
  seqpos_slice: "every position of a window is used",
  sequence_separator_token: "packed documents are separated by the tokenizer's BOS",
  model_class_name: "the model's own files say what it is",
  model_kwargs: "the model's own files say what it is",
  model_from_pretrained_kwargs: "the model's own files say what it is",
  dataset_trust_remote_code: "code of data sets is never run",
  use_chat_formatting: "texts are read as they stand",
  from_pretrained_path: "training begins from seeds; resume goes on with a run",
  autocast_lm: "the model runs in float32",
  compile_llm: "there is nothing to compile",
  llm_compilation_mode: "there is nothing to compile",
  compile_sae: "there is nothing to compile",
  sae_compilation_mode: "there is nothing to compile",
  save_final_checkpoint: "the finished ensemble is always saved",
  verbose: "the command line has --plain and --json",
  sae_lens_version: "it is for SAELens alone",
  sae_lens_training_version: "it is for SAELens alone",
  n_members: "it belongs in ensembles",
  seed_sets: "it belongs in ensembles",
  methods: "it belongs in ensembles",
};

/** The same for the keys of its SAEs. */
export const foreignSaeKeys: Readonly<Record<string, string>> = {
  d_in: "the width is read from the model",
  activation_fn: "architecture says it: standard is ReLU, topk is TopK",
  activation_fn_str: "architecture says it: standard is ReLU, topk is TopK",
  activation_fn_kwargs: "k is the k of a topk",
  device: 'the experiment\'s "device" says where SAEs are trained',
  metadata: "it is filled in when the SAE is saved",
  reshape_activations: "hook_name says it: at attn.hook_z it is hook_z",
  jumprelu_sparsity_loss_mode: 'always "step", the L0 loss',
  jumprelu_ste_to_input: "always false: the straight-through estimator reaches the threshold alone",
  jumprelu_tanh_scale: "only of the tanh loss, which is not here",
  pre_act_loss_coefficient: "always null: that loss is not here",
  target_l0: "only of the quadratic loss, which is not here",
  use_matryoshka_aux_loss: "always false: AuxK revives dead latents with what the whole SAE leaves over",
  use_sparse_activations: "active latents are always kept as lists",
};

/** What the keys of `sae` say to people in an editor; their bounds and defaults stand in sae/trainingConfig.ts. */
const saeDescriptions: Readonly<Record<string, string>> = {
  architecture: "How a feature decides whether it is active.",
  paths:
    "SAEs that exist already, one path a member, relative to this file: files or folders of SAELens, dictionary_learning, sparsify, Gemma Scope or OpenAI, or an ensemble's folder. Nothing is trained.",
  d_sae: "Number of features of one member. Give this or expansion_factor.",
  expansion_factor: "Number of features of one member as a multiple of the activation's width at the hook.",
  dtype: "Precision of training.",
  apply_b_dec_to_input: "Subtract b_dec from the input before encoding.",
  normalize_activations:
    "How activations are scaled before they reach the SAE. expected_average_only_in is folded into the weights when training ends.",
  decoder_init_norm: "Norm of every decoder row at the start; null leaves the rows as drawn.",
  b_dec_init: "Where b_dec starts: zeros, as SAELens does, or the geometric median of the first batch.",
  decoder_norm: "unit: decoder rows are kept at norm 1, as dictionary_learning does. free: as SAELens does.",
  l1_coefficient: "Weight λ of the L1 penalty.",
  l1_warm_up_steps: "Steps over which λ rises from 0.",
  lp_norm: "Exponent p of the penalty.",
  k: "Active features a token and member (batchtopk, matryoshka: on average over a batch).",
  aux_loss_coefficient: "Weight of AuxK, the loss that revives dead latents.",
  aux_loss_form: "Which definition of AuxK. dictionary_learning's usual weight is 1/32.",
  rescale_acts_by_decoder_norm: "Select and encode with pre·‖W_dec,i‖, decode with W_dec,i/‖W_dec,i‖.",
  matryoshka_widths:
    "Widths of the nested SAEs: the first so many features have to reconstruct by themselves as well. Ascending; d_sae comes last by itself.",
  topk_threshold_lr: "Rate of the moving average that becomes the threshold.",
  jumprelu_init_threshold: "Threshold of every feature at the start.",
  jumprelu_bandwidth: "Width ε of the rectangle kernel.",
  l0_coefficient: "Weight λ of the L0 penalty.",
  l0_warm_up_steps: "Steps over which λ rises from 0.",
};

/** JSON schema of the file. */
export function experimentJsonSchema(): object {
  const schema = z.toJSONSchema(experimentSchema, {
    io: "input",
    target: "draft-7",
    override: ({ jsonSchema, path }) => {
      const description =
        path[1] === "sae" && path.at(-2) === "properties" ? saeDescriptions[String(path.at(-1))] : undefined;
      if (description) jsonSchema.description = description;
      sayDefault(jsonSchema);
    },
  }) as JsonSchema & { properties: Record<string, JsonSchema> };
  return { ...schema, properties: { ...schema.properties, sae: byArchitecture(schema.properties["sae"]!) } };
}

/**
 * The same for VS Code's completion and hovers. It never fails: what is wrong with a file is the parser's to say
 * (experimentProblems.ts), and a schema would say it again, less well.
 */
export function experimentEditorSchema(): object {
  return { allowTrailingCommas: true, if: experimentJsonSchema() };
}

interface JsonSchema {
  description?: string;
  default?: unknown;
  properties?: Record<string, JsonSchema & { const?: unknown }>;
  oneOf?: JsonSchema[];
}

/** Editors show descriptions alone. */
function sayDefault(schema: z.core.JSONSchema.BaseSchema): void {
  const { default: value, description } = schema;
  if (!description || value === undefined || JSON.stringify(value) === "{}") return;
  schema.description = `${description} Default: ${JSON.stringify(value)}.`;
}

/** A union by architecture, with all architectures in one place: where it is none of them yet, editors would take the nearest one for meant. */
function byArchitecture({ oneOf, ...rest }: JsonSchema): object {
  const options = oneOf!.map((option) => ({ option, name: option.properties!["architecture"]!.const as string }));
  const architecture = {
    description: saeDescriptions["architecture"],
    enum: options.map(({ name }) => name),
    enumDescriptions: options.map(({ name }) =>
      name in architectureWords ? architectureWords[name as Architecture].words : "SAEs that exist already",
    ),
  };
  return {
    ...rest,
    type: "object",
    properties: { architecture },
    required: ["architecture"],
    allOf: options.map(({ option, name }) => ({
      if: { properties: { architecture: { const: name } }, required: ["architecture"] },
      // biome-ignore lint/suspicious/noThenProperty: JSON schema's word.
      then: option,
    })),
  };
}
