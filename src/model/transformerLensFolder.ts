// A model in TransformerLens' own form (config.json and a state dict in a .pth file), such as its one-layer models, as a GPT-2: the same arithmetic under other names.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { shown } from "../formats/schemaError.ts";
import { readTorch, type TorchFile, TorchTensor } from "../formats/torch.ts";
import { transposed } from "./arrangements.ts";
import type { Conversion, ConvertedTensor } from "./convertedCheckpoint.ts";
import { parseModelConfig, refuseField, refuseFields } from "./modelConfig.ts";

export const TRANSFORMER_LENS_WEIGHTS = "model_final.pth";

const VERSION = "1";
/** Where a configuration names none. */
const EPSILON = 1e-5;

const count = z.int().positive();

const configSchema = z.looseObject({
  n_layers: count,
  d_model: count,
  n_heads: count,
  d_head: count,
  d_mlp: count,
  n_ctx: count,
  d_vocab: count,
  act_fn: z.enum(["gelu", "gelu_new", "gelu_fast", "relu", "silu"]),
  normalization: z.literal("LN").optional(),
  normalization_type: z.literal("LN").optional(),
  positional_embedding_type: z.literal("standard").optional(),
  attention_dir: z.literal("causal").optional(),
  use_attn_scale: z.literal(true).optional(),
  eps: z.number().positive().optional(),
});

/** Fields of TransformerLens' configuration that change the arithmetic, where they are anything but nothing, false or 0. */
const UNSUPPORTED = [
  "attn_only",
  "shortformer_pos",
  "final_rms",
  "uses_rms_norm",
  "use_local_attn",
  "window_size",
  "attn_types",
  "gated_mlp",
  "parallel_attn_mlp",
  "scale_attn_by_inverse_layer_idx",
  "use_normalization_before_and_after",
  "post_embedding_ln",
  "use_qk_norm",
  "use_logn_attn",
  "use_attention_sinks",
  "num_experts",
  "experts_per_token",
  "relative_attention_max_distance",
  "relative_attention_num_buckets",
  "quantization_method",
  "load_in_4bit",
];

/** Whether a folder holds a model of this form. */
export function isTransformerLensFolder(folder: string, config: Readonly<Record<string, unknown>>): boolean {
  return config["model_type"] === undefined && existsSync(join(folder, TRANSFORMER_LENS_WEIGHTS));
}

/** The configuration of a GPT-2 that is the same model, and what makes its weights. */
export async function transformerLensModel(
  folder: string,
  json: Readonly<Record<string, unknown>>,
  configPath: string,
): Promise<{ config: Record<string, unknown>; conversion: Conversion }> {
  const configFile = { path: configPath };
  const c = parseModelConfig(configSchema, json, configFile);
  refuseFields(json, configFile, UNSUPPORTED);
  if (c.n_heads * c.d_head !== c.d_model)
    refuseField(configFile, "d_head", c.d_head, `${c.d_model / c.n_heads}, d_model over n_heads`);
  /** What a GPT-2 has there, −1 being TransformerLens' word for its own default. */
  const usual: Record<string, readonly unknown[]> = {
    attn_scale: [-1, Math.sqrt(c.d_head)],
    attn_scores_soft_cap: [-1, 0],
    output_logits_soft_cap: [-1, 0],
    n_key_value_heads: [c.n_heads],
    d_vocab_out: [-1, c.d_vocab],
  };
  for (const [field, values] of Object.entries(usual))
    if (!values.includes(json[field] ?? values[0]))
      refuseField(configFile, field, shown(json[field]), `${values.join(" or ")}: nothing else is supported`);
  const file = await readTorch(join(folder, TRANSFORMER_LENS_WEIGHTS));
  const config = {
    model_type: "gpt2",
    vocab_size: c.d_vocab,
    n_embd: c.d_model,
    n_layer: c.n_layers,
    n_head: c.n_heads,
    n_positions: c.n_ctx,
    n_inner: c.d_mlp,
    activation_function: c.act_fn,
    layer_norm_epsilon: c.eps ?? EPSILON,
    tie_word_embeddings: false,
  };
  return { config, conversion: { path: file.path, format: "torch", version: VERSION, tensors: gpt2Tensors(file, c) } };
}

/** GPT-2's tensors, made of the state dict's. Every tensor there must be used, masks aside. */
function gpt2Tensors(file: TorchFile, c: z.infer<typeof configSchema>): Map<string, ConvertedTensor> {
  const { d_model: d, n_heads: heads, d_head: width, d_mlp, d_vocab, n_ctx } = c;
  const refuse = (where: string, found: string, expected: string): never => {
    throw new InputError({ file: file.path, where, found, expected });
  };
  if (!(file.root instanceof Map)) return refuse("", "something else", "a dict of tensors");
  const root = file.root as ReadonlyMap<unknown, unknown>;
  const used = new Set<string>();
  const read = (name: string, shape: readonly number[]): (() => Promise<Float32Array>) => {
    const tensor = root.get(name);
    if (!(tensor instanceof TorchTensor)) return refuse(`tensor ${name}`, "nothing", `shape [${shape}]`);
    const same = tensor.shape.length === shape.length && shape.every((n, i) => n === tensor.shape[i]);
    if (!same) refuse(`tensor ${name}`, `shape [${tensor.shape}]`, `[${shape}], as the configuration says`);
    used.add(name);
    return () => file.float32(tensor);
  };
  const tensors = new Map<string, ConvertedTensor>();
  const put = (name: string, shape: readonly number[], make: () => Promise<Float32Array>) =>
    tensors.set(name, {
      shape,
      values: async function* () {
        yield await make();
      },
    });
  const same = (name: string, from: string, shape: readonly number[]) => put(name, shape, read(from, shape));
  same("wte.weight", "embed.W_E", [d_vocab, d]);
  same("wpe.weight", "pos_embed.W_pos", [n_ctx, d]);
  for (let layer = 0; layer < c.n_layers; layer++) {
    const [to, from] = [`h.${layer}`, `blocks.${layer}`];
    for (const n of [1, 2]) {
      same(`${to}.ln_${n}.weight`, `${from}.ln${n}.w`, [d]);
      same(`${to}.ln_${n}.bias`, `${from}.ln${n}.b`, [d]);
    }
    const kinds = ["Q", "K", "V"];
    const matrices = kinds.map((kind) => read(`${from}.attn.W_${kind}`, [heads, d, width]));
    const biases = kinds.map((kind) => read(`${from}.attn.b_${kind}`, [heads, width]));
    put(`${to}.attn.c_attn.weight`, [d, 3 * d], async () =>
      sideBySide(await Promise.all(matrices.map((matrix) => matrix())), heads, d, width),
    );
    put(`${to}.attn.c_attn.bias`, [3 * d], async () => {
      const parts = await Promise.all(biases.map((bias) => bias()));
      return Float32Array.from(parts.flatMap((part) => [...part]));
    });
    // [heads, d_head, d_model] row by row is [d_model, d_model].
    put(`${to}.attn.c_proj.weight`, [d, d], read(`${from}.attn.W_O`, [heads, width, d]));
    same(`${to}.attn.c_proj.bias`, `${from}.attn.b_O`, [d]);
    same(`${to}.mlp.c_fc.weight`, `${from}.mlp.W_in`, [d, d_mlp]);
    same(`${to}.mlp.c_fc.bias`, `${from}.mlp.b_in`, [d_mlp]);
    same(`${to}.mlp.c_proj.weight`, `${from}.mlp.W_out`, [d_mlp, d]);
    same(`${to}.mlp.c_proj.bias`, `${from}.mlp.b_out`, [d]);
  }
  same("ln_f.weight", "ln_final.w", [d]);
  same("ln_f.bias", "ln_final.b", [d]);
  const W_U = read("unembed.W_U", [d, d_vocab]);
  put("lm_head.weight", [d_vocab, d], async () => transposed(await W_U(), [d, d_vocab]));
  same("lm_head.bias", "unembed.b_U", [d_vocab]);
  for (const name of root.keys())
    if (!used.has(String(name)) && !/\.attn\.(mask|IGNORE)$/.test(String(name)))
      refuse(`tensor ${name}`, "no use for it", "tensors of the model that the configuration describes, and no other");
  return tensors;
}

/** Matrices [heads, d, width] as columns beside each other: [d, parts · heads · width]. */
function sideBySide(parts: readonly Float32Array[], heads: number, d: number, width: number): Float32Array {
  const columns = parts.length * heads * width;
  const out = new Float32Array(d * columns);
  for (const [p, part] of parts.entries())
    for (let head = 0; head < heads; head++)
      for (let row = 0; row < d; row++) {
        const from = (head * d + row) * width;
        out.set(part.subarray(from, from + width), row * columns + (p * heads + head) * width);
      }
  return out;
}
