// cfg.json of a SAELens folder: what is read (6 and before) and what is written. Weights are saeLensFolder.ts's.
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import type { Architecture, NormalizeActivations, SaeConfig, SaeMetadata } from "./sae.ts";

/** The version of SAELens whose files these are; without one in the metadata SAELens takes a file as older than 6 and drops the metadata. */
export const SAE_LENS_VERSION = "6.54.12";

interface Kind {
  readonly architecture: Architecture;
  readonly transcoder?: true;
  readonly skip?: true;
  readonly matryoshka?: true;
}

/**
 * What SAELens calls it, and what it is here. A transcoder is the SAE of its kind with a d_out, and a skip if it says so; a
 * matryoshka has its widths.
 */
const ARCHITECTURES: Readonly<Record<string, Kind>> = {
  standard: { architecture: "standard" },
  topk: { architecture: "topk" },
  batchtopk: { architecture: "batchtopk" },
  matryoshka_batchtopk: { architecture: "batchtopk", matryoshka: true },
  jumprelu: { architecture: "jumprelu" },
  gated: { architecture: "gated" },
  transcoder: { architecture: "standard", transcoder: true },
  skip_transcoder: { architecture: "standard", transcoder: true, skip: true },
  jumprelu_transcoder: { architecture: "jumprelu", transcoder: true },
  jumprelu_skip_transcoder: { architecture: "jumprelu", transcoder: true, skip: true },
};

/** What SAELens can write and we don't compute, with the reason that a person can use. */
const REFUSED: Readonly<Record<string, string>> = {
  abstopk: "its codes may be negative",
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
  d_out: z.int().positive().optional(),
  dtype: z.string().default("float32"),
  k: z.number().positive().optional(),
  matryoshka_widths: z.array(z.int().positive()).optional(),
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

/**
 * Parses the text of a cfg.json; `file` is its path, for errors. `skip`: the weights have a W_skip.
 * Throws InputError, also for architectures that we don't compute.
 */
export function parseSaeLensConfig(text: string, file: string): { config: SaeConfig; skip: boolean } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file, found: (error as Error).message, expected: "JSON" });
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) throw schemaError(file, json, parsed.error, "a SAELens cfg.json");
  const config = isBeforeSix(parsed.data) ? upgraded(parsed.data, file) : parsed.data;
  return checked(config, file);
}

/** As SAELens decides it: no version, or one below 6.0.0-rc.0. */
function isBeforeSix(config: ConfigFile): boolean {
  const version = config.sae_lens_version ?? config.metadata?.sae_lens_version;
  return !version || Number.parseInt(version, 10) < 6;
}

/**
 * SAELens' handle_pre_6_0_config: flat keys, hook_point, activation_fn_str, booleans for normalize_activations.
 * Throws InputError for an activation that would be another's without a word.
 */
function upgraded(config: ConfigFile, file: string): ConfigFile {
  const hook_name = config.hook_name ?? config.hook_point;
  const flat: Record<string, unknown> = { ...config, hook_name };
  flat["hook_head_index"] ??= flat["hook_point_head_index"];
  const metadata: Record<string, unknown> = { prepend_bos: true };
  for (const key of FLAT_METADATA) if (flat[key] !== undefined) metadata[key] = flat[key];
  const { architecture = "standard" } = config;
  const where = config.activation_fn_str === undefined ? "activation_fn" : "activation_fn_str";
  const activation = config[where] ?? "relu";
  const refuse = (field: string, found: string, expected: string): never => {
    throw new InputError({ file, where: field, found, expected });
  };
  const isTopk = activation === "topk";
  if (!isTopk && activation !== "relu") refuse(where, activation, "relu or topk");
  if (isTopk && architecture !== "standard" && architecture !== "topk") {
    refuse(where, `topk, of a ${architecture} SAE`, "relu: topk is an architecture of its own");
  }
  const k = config.activation_fn_kwargs?.k ?? config.k;
  if (isTopk && k === undefined) refuse("activation_fn_kwargs.k", "nothing", "the number of active features, of topk");
  const normalise = config.normalize_activations;
  return {
    ...config,
    architecture: isTopk ? "topk" : architecture,
    ...(isTopk && { k: k! }),
    apply_b_dec_to_input: config.apply_b_dec_to_input ?? true,
    normalize_activations:
      typeof normalise === "boolean" ? (normalise ? "expected_average_only_in" : "none") : (normalise ?? "none"),
    reshape_activations: config.reshape_activations ?? (hook_name?.includes("hook_z") ? "hook_z" : "none"),
    metadata,
  };
}

function checked(config: ConfigFile, file: string): { config: SaeConfig; skip: boolean } {
  const refuse = (where: string, found: unknown, expected: string): never => {
    throw new InputError({ file, where, found: String(found), expected });
  };
  const name = config.architecture ?? "nothing";
  const known = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (!known) {
    const reason = REFUSED[name];
    return refuse("architecture", reason ? `${name} (${reason})` : name, Object.keys(ARCHITECTURES).join(", "));
  }
  const { architecture } = known;
  if (known.transcoder && config.d_out === undefined) refuse("d_out", "nothing", `the width that a ${name} writes`);
  if (known.transcoder && config.apply_b_dec_to_input) {
    refuse("apply_b_dec_to_input", "true", `false: the b_dec of a ${name} is of what it writes`);
  }
  const reshape = config.reshape_activations ?? "none";
  if (reshape !== "none" && reshape !== "hook_z") refuse("reshape_activations", reshape, "none or hook_z");
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
  const widths = known.matryoshka ? config.matryoshka_widths : undefined;
  if (known.matryoshka && !isAscendingTo(config.d_sae, widths)) {
    refuse("matryoshka_widths", widths?.join(", ") ?? "nothing", `widths that ascend to d_sae, ${config.d_sae}`);
  }
  const result: SaeConfig = {
    architecture,
    d_in: config.d_in,
    d_sae: config.d_sae,
    ...(known.transcoder ? { d_out: config.d_out! } : {}),
    ...(reshape === "hook_z" ? { reshape_activations: "hook_z" } : {}),
    ...(isTopk ? { k: config.k!, rescale_acts_by_decoder_norm: config.rescale_acts_by_decoder_norm ?? false } : {}),
    ...(widths ? { matryoshka_widths: widths } : {}),
    apply_b_dec_to_input: config.apply_b_dec_to_input ?? !known.transcoder,
    normalize_activations,
    dtype: "float32",
    metadata: (config.metadata ?? {}) as SaeMetadata,
  };
  return { config: result, skip: known.skip ?? false };
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

function isAscendingTo(d_sae: number, widths: readonly number[] = []): boolean {
  return widths.at(-1) === d_sae && widths.every((width, at) => at === 0 || width > widths[at - 1]!);
}

/** What SAELens calls an SAE. Throws RangeError where it has no name for it. */
function saeLensName({ architecture, d_out, matryoshka_widths }: SaeConfig, skip: boolean): string {
  const name = Object.entries(ARCHITECTURES).find(
    ([, known]) =>
      known.architecture === architecture &&
      (known.transcoder ?? false) === (d_out !== undefined) &&
      (known.matryoshka ?? false) === (matryoshka_widths !== undefined) &&
      (known.skip ?? false) === skip,
  )?.[0];
  if (name) return name;
  throw new RangeError(
    `SAELens has no ${architecture} ${d_out === undefined ? "SAE" : "transcoder"}${skip ? " with a skip connection" : ""}`,
  );
}

/** The text of a SAELens 6 cfg.json; `skip`: the weights have a W_skip. Throws RangeError for what SAELens can't hold. */
export function formatSaeLensConfig(config: SaeConfig, skip: boolean): string {
  const { metadata, architecture: _, reshape_activations = "none", ...rest } = config;
  const version = metadata.sae_lens_version;
  const file = {
    architecture: saeLensName(config, skip),
    ...rest,
    device: "cpu",
    reshape_activations,
    metadata: {
      ...metadata,
      sae_lens_version: version && Number.parseInt(version, 10) >= 6 ? version : SAE_LENS_VERSION,
    },
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}
