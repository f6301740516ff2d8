// cfg.json of a SAELens folder: what is read (6 and before) and what is written. Weights are saeLensFolder.ts's.
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import type { Architecture, NormalizeActivations, SaeConfig, SaeMetadata } from "./sae.ts";

/** The version of SAELens whose files these are; without one in the metadata SAELens takes a file as older than 6 and drops the metadata. */
export const SAE_LENS_VERSION = "6.54.12";

const ARCHITECTURES: readonly Architecture[] = ["standard", "topk", "batchtopk", "jumprelu", "gated"];

/** What SAELens can write and we don't compute, with the reason that a person can use. */
const REFUSED: Readonly<Record<string, string>> = {
  abstopk: "its codes may be negative",
  transcoder: "it reconstructs another hook than it reads",
  skip_transcoder: "it reconstructs another hook than it reads",
  jumprelu_transcoder: "it reconstructs another hook than it reads",
  jumprelu_skip_transcoder: "it reconstructs another hook than it reads",
  matryoshka_batchtopk: "save it for inference in SAELens (save_inference_model), which makes it a jumprelu",
  temporal: "its codes depend on other tokens",
  matching_pursuit: "it encodes in rounds",
};

/** Metadata keys that stood flat in cfg.json before version 6 (SAELens' LLM_METADATA_KEYS, renamed). */
const FLAT_METADATA = [
  "model_name",
  "hook_name",
  "model_class_name",
  "hook_head_index",
  "model_from_pretrained_kwargs",
  "prepend_bos",
  "exclude_special_tokens",
  "neuronpedia_id",
  "context_size",
  "seqpos_slice",
  "dataset_path",
  "sae_lens_training_version",
] as const;

const fileSchema = z.looseObject({
  architecture: z.string().optional(),
  d_in: z.int().positive(),
  d_sae: z.int().positive(),
  dtype: z.string().default("float32"),
  k: z.number().positive().optional(),
  apply_b_dec_to_input: z.boolean().optional(),
  normalize_activations: z.union([z.string(), z.boolean(), z.null()]).optional(),
  reshape_activations: z.string().optional(),
  rescale_acts_by_decoder_norm: z.boolean().optional(),
  hook_name: z.string().optional(),
  hook_point: z.string().optional(),
  activation_fn_str: z.string().optional(),
  activation_fn: z.string().optional(),
  activation_fn_kwargs: z.looseObject({ k: z.number().positive().optional() }).nullable().optional(),
  sae_lens_version: z.string().nullable().optional(),
  metadata: z.looseObject({ sae_lens_version: z.string().nullable().optional() }).nullable().optional(),
});

type ConfigFile = z.infer<typeof fileSchema>;

/** Parses the text of a cfg.json; `file` is its path, for errors. Throws InputError, also for what is not one of our five architectures. */
export function parseSaeLensConfig(text: string, file: string): SaeConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file, found: (error as Error).message, expected: "JSON" });
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new InputError({ file, where: issue.path.join("."), found: issue.message, expected: "a SAELens cfg.json" });
  }
  const config = isBeforeSix(parsed.data) ? upgraded(parsed.data) : parsed.data;
  return checked(config, file);
}

/** As SAELens decides it: no version, or one below 6.0.0-rc.0. */
function isBeforeSix(config: ConfigFile): boolean {
  const version = config.sae_lens_version ?? config.metadata?.sae_lens_version;
  return !version || Number.parseInt(version, 10) < 6;
}

/** SAELens' handle_pre_6_0_config: flat keys, hook_point, activation_fn_str, booleans for normalize_activations. */
function upgraded(config: ConfigFile): ConfigFile {
  const hook_name = config.hook_name ?? config.hook_point;
  const flat: Record<string, unknown> = { ...config, hook_name };
  flat["hook_head_index"] ??= flat["hook_point_head_index"];
  const metadata: Record<string, unknown> = { prepend_bos: true };
  for (const key of FLAT_METADATA) if (flat[key] !== undefined) metadata[key] = flat[key];
  const isTopk = (config.activation_fn_str ?? config.activation_fn) === "topk";
  const k = isTopk ? config.activation_fn_kwargs?.k : undefined;
  const normalise = config.normalize_activations;
  return {
    ...config,
    architecture: k === undefined ? (config.architecture ?? "standard") : "topk",
    ...(k === undefined ? {} : { k }),
    apply_b_dec_to_input: config.apply_b_dec_to_input ?? true,
    normalize_activations:
      typeof normalise === "boolean" ? (normalise ? "expected_average_only_in" : "none") : (normalise ?? "none"),
    reshape_activations: config.reshape_activations ?? (hook_name?.includes("hook_z") ? "hook_z" : "none"),
    metadata,
  };
}

function checked(config: ConfigFile, file: string): SaeConfig {
  const refuse = (where: string, found: unknown, expected: string): never => {
    throw new InputError({ file, where, found: String(found), expected });
  };
  const architecture = ARCHITECTURES.find((one) => one === config.architecture);
  if (!architecture) {
    const reason = REFUSED[config.architecture ?? ""];
    const found = reason ? `${config.architecture} (${reason})` : (config.architecture ?? "nothing");
    return refuse("architecture", found, ARCHITECTURES.join(", "));
  }
  if ((config.reshape_activations ?? "none") !== "none") {
    refuse(
      "reshape_activations",
      config.reshape_activations,
      "none: SAEs on the heads of an attention layer (hook_z) are not supported",
    );
  }
  const dtype = config.dtype.replace("torch.", "");
  if (!["float32", "float16", "bfloat16", "float64"].includes(dtype)) refuse("dtype", config.dtype, "a float type");
  const normalize_activations = config.normalize_activations ?? "none";
  if (!isNormalisation(normalize_activations)) {
    return refuse("normalize_activations", normalize_activations, NORMALISATIONS.join(", "));
  }
  const isTopk = architecture === "topk" || architecture === "batchtopk";
  if (isTopk && config.k === undefined)
    refuse("k", "nothing", `the number of active features of a ${architecture} SAE`);
  // A topk's k may stand as 8.0, but not as 8.5.
  if (architecture === "topk" && !Number.isInteger(config.k)) refuse("k", config.k, "a whole number");
  if (isTopk && config.k! > config.d_sae) refuse("k", config.k, `at most d_sae, ${config.d_sae}`);
  return {
    architecture,
    d_in: config.d_in,
    d_sae: config.d_sae,
    ...(isTopk ? { k: config.k!, rescale_acts_by_decoder_norm: config.rescale_acts_by_decoder_norm ?? false } : {}),
    apply_b_dec_to_input: config.apply_b_dec_to_input ?? true,
    normalize_activations,
    dtype: "float32",
    metadata: (config.metadata ?? {}) as SaeMetadata,
  };
}

const NORMALISATIONS: readonly NormalizeActivations[] = [
  "none",
  "expected_average_only_in",
  "constant_norm_rescale",
  "layer_norm",
];

function isNormalisation(value: unknown): value is NormalizeActivations {
  return NORMALISATIONS.some((one) => one === value);
}

/** The text of a SAELens 6 cfg.json. */
export function formatSaeLensConfig(config: SaeConfig): string {
  const { metadata, ...rest } = config;
  const version = metadata.sae_lens_version;
  const file = {
    ...rest,
    device: "cpu",
    reshape_activations: "none",
    metadata: {
      ...metadata,
      sae_lens_version: version && Number.parseInt(version, 10) >= 6 ? version : SAE_LENS_VERSION,
    },
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}
