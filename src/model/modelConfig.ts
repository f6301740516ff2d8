// What config.json files of all families have in common: parsing, refusing what isn't supported, and rotary settings in both spellings.
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
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
];

/** The configuration through its family's schema, or an InputError that names the field. */
export function parseModelConfig<T>(schema: z.ZodType<T>, config: Config, path: string): T {
  refuseFields(config, path, UNSUPPORTED);
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const where = issue.path.join(".");
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    config,
  );
  throw new InputError({
    file: path,
    where,
    found: value === undefined ? "nothing" : JSON.stringify(value),
    expected: issue.message,
  });
}

/** Refuses fields that are there and mean something: anything but null, false, 0 and what transformers writes by default. */
export function refuseFields(config: Config, path: string, fields: readonly string[]): void {
  for (const field of fields) {
    const value = config[field];
    if (value === undefined || value === null || value === false || value === 0) continue;
    if (Array.isArray(value) && value.every((kind) => kind === "full_attention")) continue;
    throw new InputError({
      file: path,
      where: field,
      found: JSON.stringify(value),
      expected: "no such field: it isn't supported",
    });
  }
}

const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: z.number().positive().optional(),
  partial_rotary_factor: z.literal(1, "1: rotating a part of the head isn't supported here").optional(),
  divisors: z.array(z.number().positive()).optional(),
});

const rotarySchema = z.looseObject({
  max_position_embeddings: z.number().positive().optional(),
  partial_rotary_factor: z.literal(1, "1: rotating a part of the head isn't supported here").nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
});

/**
 * Rotary settings over the whole head: `rope_theta` and `rope_scaling` (transformers before 5), or `rope_parameters` (5).
 * "divisors" is our own spelling of the factors that a GGUF file carries.
 */
export function ropeOf(config: Config, path: string, width: number): Rotary {
  const parsed = parseModelConfig(rotarySchema, config, path);
  const field = parsed.rope_parameters ? "rope_parameters" : "rope_scaling";
  const rope = parsed[field] ?? {};
  const refuse = (key: string, found: unknown, expected: string): never => {
    throw new InputError({ file: path, where: `${field}.${key}`, found: String(found ?? "nothing"), expected });
  };
  const type = rope.rope_type ?? rope.type ?? "default";
  const need = (key: "factor" | "low_freq_factor" | "high_freq_factor"): number =>
    rope[key] ?? refuse(key, rope[key], `a number, as rope type ${type} needs`);
  const scaling = (): RopeScaling => {
    switch (type) {
      case "default":
        return { type };
      case "linear":
        return { type, factor: need("factor") };
      case "llama3":
        return {
          type,
          factor: need("factor"),
          lowFreqFactor: need("low_freq_factor"),
          highFreqFactor: need("high_freq_factor"),
          originalContext:
            rope.original_max_position_embeddings ??
            parsed.max_position_embeddings ??
            refuse("original_max_position_embeddings", undefined, "a number, as rope type llama3 needs"),
        };
      case "divisors":
        if (rope.divisors?.length === width / 2) return { type, divisors: rope.divisors };
        return refuse("divisors", `${rope.divisors?.length} values`, `${width / 2}`);
      default:
        return refuse("rope_type", type, "default, linear or llama3");
    }
  };
  return { theta: rope.rope_theta ?? parsed.rope_theta ?? 10_000, width, scaling: scaling() };
}
