// What config.json files of all families have in common: parsing, refusing what isn't supported, and rotary settings in both spellings.
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import type { RopeScaling, Rotary } from "./rotary.ts";

type Config = Readonly<Record<string, unknown>>;

/** Fields that change a model's arithmetic in ways that no family here computes. */
const UNSUPPORTED = [
  "quantization_config",
  "embedding_multiplier",
  "attention_multiplier",
  "residual_multiplier",
  "logits_scaling",
  "logit_scale",
  "num_local_experts",
  "num_experts",
  "is_encoder_decoder",
  "add_cross_attention",
  "alibi",
  "clip_qkv",
  "qk_layernorm",
  "use_qk_norm",
  "attention_chunk_size",
];

/** The file that says a model's configuration, as what is refused of it is said. */
export interface ConfigFile {
  readonly path: string;
  /** What the file itself calls a field ("rope_scaling.factor") that has Hugging Face's name here; absent: the same. */
  readonly nameOf?: (field: string) => string;
}

/** Throws InputError for a field. */
export function refuseField(file: ConfigFile, field: string, found: unknown, expected: string): never {
  throw new InputError({ file: file.path, where: fieldName(file, field), found: String(found), expected });
}

export function fieldName(file: ConfigFile, field: string): string {
  return file.nameOf?.(field) ?? field;
}

/** The configuration through its family's schema, or an InputError that names the field. */
export function parseModelConfig<T>(schema: z.ZodType<T>, config: Config, file: ConfigFile): T {
  refuseFields(config, file, UNSUPPORTED);
  if (config["position_embedding_type"] === "alibi") refuseFields(config, file, ["position_embedding_type"]);
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const { where, found, expected } = schemaError(file.path, config, parsed.error, "a model's configuration");
  return refuseField(file, where, found, expected);
}

/** Refuses fields that are there and mean something: anything but null, false and 0. */
export function refuseFields(config: Config, file: ConfigFile, fields: readonly string[]): void {
  for (const field of fields) {
    const value = config[field];
    if (value === undefined || value === null || value === false || value === 0) continue;
    refuseField(file, field, JSON.stringify(value), "no such field: it isn't supported");
  }
}

/** Share of a head that is rotated. */
const share = z.number().positive().max(1);

const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: z.number().positive().optional(),
  partial_rotary_factor: share.optional(),
  attention_factor: z.number().positive().nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  beta_fast: z.number().positive().nullish(),
  beta_slow: z.number().positive().nullish(),
  truncate: z.boolean().nullish(),
  divisors: z.array(z.number().positive()).optional(),
});

const rotarySchema = z.looseObject({
  max_position_embeddings: z.number().positive().optional(),
  original_max_position_embeddings: z.number().positive().nullish(),
  partial_rotary_factor: share.nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
});

/**
 * Rotary settings for heads of a width: `rope_theta` and `rope_scaling` (transformers before 5), or `rope_parameters` (5).
 * "divisors" is our own spelling of the factors that a GGUF file carries.
 */
export function ropeOf(config: Config, file: ConfigFile, headWidth: number): Rotary {
  const parsed = parseModelConfig(rotarySchema, config, file);
  const field = parsed.rope_parameters ? "rope_parameters" : "rope_scaling";
  const rope = parsed[field] ?? {};
  const refuse = (key: string, found: unknown, expected: string): never =>
    refuseField(file, `${field}.${key}`, found ?? "nothing", expected);
  const part = rope.partial_rotary_factor ?? parsed.partial_rotary_factor ?? 1;
  // A share that was divided out of a count, such as 30 / 88, comes back a little below it.
  const width = Math.floor(headWidth * part + 1e-6);
  if (width % 2 !== 0 || width === 0) {
    const where = rope.partial_rotary_factor === undefined ? "" : `${field}.`;
    const expected = `a share of the head's width, ${headWidth}, that is an even number`;
    refuseField(file, `${where}partial_rotary_factor`, part, expected);
  }
  const type = rope.rope_type ?? rope.type ?? "default";
  const need = (key: "factor" | "low_freq_factor" | "high_freq_factor"): number =>
    rope[key] ?? refuse(key, rope[key], `a number, as rope type ${type} needs`);
  const originalContext = (): number =>
    parsed.original_max_position_embeddings ??
    rope.original_max_position_embeddings ??
    parsed.max_position_embeddings ??
    refuse("original_max_position_embeddings", undefined, `a number, as rope type ${type} needs`);
  const scaling = (): RopeScaling => {
    switch (type) {
      case "default":
      // Changes frequencies only for rows longer than max_position_embeddings, which is the context that no row exceeds here.
      case "dynamic":
        return { type: "default" };
      case "linear":
        return { type, factor: need("factor") };
      case "llama3":
        return {
          type,
          factor: need("factor"),
          lowFreqFactor: need("low_freq_factor"),
          highFreqFactor: need("high_freq_factor"),
          originalContext: originalContext(),
        };
      case "yarn": {
        const factor = need("factor");
        // As the paper has it, or DeepSeek's ratio of two such lengths.
        const length = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
        const { mscale, mscale_all_dim } = rope;
        return {
          type,
          factor,
          originalContext: originalContext(),
          betaFast: rope.beta_fast ?? 32,
          betaSlow: rope.beta_slow ?? 1,
          truncate: rope.truncate ?? true,
          attentionFactor:
            rope.attention_factor ?? (mscale && mscale_all_dim ? length(mscale) / length(mscale_all_dim) : length(1)),
        };
      }
      case "divisors":
        if (rope.divisors?.length === width / 2) return { type, divisors: rope.divisors };
        return refuse("divisors", `${rope.divisors?.length} values`, `${width / 2}`);
      default:
        return refuse("rope_type", type, "default, linear, dynamic, llama3 or yarn");
    }
  };
  return { theta: rope.rope_theta ?? parsed.rope_theta ?? 10_000, width, scaling: scaling() };
}

/**
 * How far back each layer sees. `layer_types` (transformers 4.53 and later) says which layers slide; where a file has none,
 * `slides` does. Null: everything before it.
 */
export function layerWindows(
  config: Config,
  file: ConfigFile,
  layers: number,
  window: number | null,
  slides: (layer: number) => boolean,
): (number | null)[] {
  const { layer_types } = parseModelConfig(layerTypesSchema, config, file);
  if (layer_types && layer_types.length !== layers)
    refuseField(file, "layer_types", `${layer_types.length} entries`, `${layers}, num_hidden_layers`);
  return Array.from({ length: layers }, (_, layer) => {
    const sliding = layer_types ? layer_types[layer] === "sliding_attention" : slides(layer);
    if (sliding && layer_types && window === null)
      refuseField(file, "sliding_window", "nothing", "a number, as layer_types needs");
    return sliding ? window : null;
  });
}

const layerTypesSchema = z.looseObject({
  layer_types: z.array(z.enum(["full_attention", "sliding_attention"])).nullish(),
});
