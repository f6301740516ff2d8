// A GGUF file of the llama architecture in Hugging Face's words: its configuration and its tensors' names.
import { type Gguf, type GgufValue, ggufFloat32 } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import type { GgufMapping } from "./ggufCheckpoint.ts";

const BLOCK_TENSORS: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

const OTHER_TENSORS: Readonly<Record<string, string>> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

/** The fields of config.json that the file's metadata imply. */
export async function ggufLlamaConfig(file: Gguf): Promise<Record<string, unknown>> {
  const read = (key: string): GgufValue | undefined => file.metadata.get(`llama.${key}`);
  const number = (key: string, fallback?: number): number => {
    const value = read(key) ?? fallback;
    if (typeof value === "number") return value;
    throw new InputError({
      file: file.path,
      where: `llama.${key}`,
      found: value === undefined ? "nothing" : typeof value,
      expected: "a number",
    });
  };
  const hidden = number("embedding_length");
  const heads = number("attention.head_count");
  const headWidth = number("attention.key_length", hidden / heads);
  const refuse = (key: string, value: unknown, expected: string): never => {
    throw new InputError({ file: file.path, where: `llama.${key}`, found: String(value), expected });
  };
  if (number("rope.dimension_count", headWidth) !== headWidth) {
    refuse("rope.dimension_count", number("rope.dimension_count"), `${headWidth}, the head's width`);
  }
  if (number("attention.value_length", headWidth) !== headWidth) {
    refuse("attention.value_length", number("attention.value_length"), `${headWidth}, the key's width`);
  }
  if (number("expert_count", 0) !== 0)
    refuse("expert_count", number("expert_count"), "no experts: they aren't supported");
  const embedding = file.tensors.get("token_embd.weight");
  const tensors = [...file.tensors.keys()];
  return {
    model_type: "llama",
    vocab_size: embedding?.shape[0] ?? number("vocab_size"),
    hidden_size: hidden,
    intermediate_size: number("feed_forward_length"),
    num_hidden_layers: number("block_count"),
    num_attention_heads: heads,
    num_key_value_heads: number("attention.head_count_kv", heads),
    head_dim: headWidth,
    max_position_embeddings: number("context_length"),
    rms_norm_eps: number("attention.layer_norm_rms_epsilon"),
    rope_theta: number("rope.freq_base", 10_000),
    rope_scaling: await ropeScaling(file, read),
    tie_word_embeddings: !file.tensors.has("output.weight"),
    attention_bias: tensors.some((name) => name.endsWith("attn_q.bias")),
    mlp_bias: tensors.some((name) => name.endsWith("ffn_down.bias")),
  };
}

async function ropeScaling(file: Gguf, read: (key: string) => GgufValue | undefined): Promise<object | null> {
  if (file.tensors.has("rope_freqs.weight")) {
    return { rope_type: "divisors", divisors: [...(await ggufFloat32(file, "rope_freqs.weight"))] };
  }
  const type = read("rope.scaling.type");
  if (type === undefined || type === "none") return null;
  return { rope_type: type, factor: read("rope.scaling.factor") };
}

/** Where each tensor goes. What has no place in a Llama is refused, so that nothing is left out in silence. */
export function ggufLlamaTensors(file: Gguf, headWidth: number): Map<string, GgufMapping> {
  const mapping = new Map<string, GgufMapping>();
  for (const source of file.tensors.keys()) {
    if (source === "rope_freqs.weight") continue;
    const [, layer, tensor, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(source) ?? [];
    const inBlock = tensor === undefined ? undefined : BLOCK_TENSORS[tensor];
    const name = inBlock ? `model.layers.${layer}.${inBlock}.${kind}` : OTHER_TENSORS[source];
    if (!name)
      throw new InputError({ file: file.path, found: `tensor ${source}`, expected: "tensors of a Llama model only" });
    const rotated = tensor === "attn_q" || tensor === "attn_k";
    mapping.set(source, rotated ? { name, rotaryHeadWidth: headWidth } : { name });
  }
  return mapping;
}
