// GGUF files in Hugging Face's words: for each architecture, the configuration that its metadata imply and its tensors' names.
import { type Gguf, type GgufValue, ggufFloat32 } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { type Arrangement, halves, headByHead, lessOne, transposed } from "./arrangements.ts";
import type { GgufMapping } from "./ggufCheckpoint.ts";
import { requireLayersHeld } from "./layersHeld.ts";

type Config = Record<string, unknown>;

interface GgufFamily {
  /** Names of a block's tensors, less "blk.N." and ".weight" or ".bias". */
  readonly block: Readonly<Record<string, string>>;
  /** The others, whole. */
  readonly others: Readonly<Record<string, string>>;
  /** Where Hugging Face's names of a block's tensors begin, less the layer. */
  readonly prefix: string;
  config(metadata: Metadata, file: Gguf): Promise<Config> | Config;
  /** How a tensor (its name as in `block` or `others`) is laid out otherwise. */
  arrangement?(tensor: string, config: Config): Arrangement | undefined;
}

const LLAMA_BLOCK = {
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

const LLAMA_OTHERS = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

const LLAMA = { block: LLAMA_BLOCK, others: LLAMA_OTHERS, prefix: "model.layers." };

const FAMILIES: Readonly<Record<string, GgufFamily>> = {
  llama: {
    ...LLAMA,
    config: rmsConfig,
    arrangement: (tensor, { head_dim }) =>
      tensor === "attn_q" || tensor === "attn_k" ? halves(head_dim as number) : undefined,
  },
  qwen2: { ...LLAMA, config: rmsConfig },
  qwen3: {
    ...LLAMA,
    block: { ...LLAMA_BLOCK, attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" },
    config: rmsConfig,
  },
  gemma2: {
    ...LLAMA,
    block: {
      ...LLAMA_BLOCK,
      post_attention_norm: "post_attention_layernorm",
      ffn_norm: "pre_feedforward_layernorm",
      post_ffw_norm: "post_feedforward_layernorm",
    },
    config: gemma2Config,
    arrangement: (tensor) => (/_norm(\.weight)?$/.test(tensor) ? lessOne : undefined),
  },
  gpt2: {
    prefix: "h.",
    block: {
      attn_norm: "ln_1",
      attn_qkv: "attn.c_attn",
      attn_output: "attn.c_proj",
      ffn_norm: "ln_2",
      ffn_up: "mlp.c_fc",
      ffn_down: "mlp.c_proj",
    },
    others: {
      "token_embd.weight": "wte.weight",
      "position_embd.weight": "wpe.weight",
      "output_norm.weight": "ln_f.weight",
      "output_norm.bias": "ln_f.bias",
      "output.weight": "lm_head.weight",
    },
    config: (metadata, file) => ({
      model_type: "gpt2",
      vocab_size: vocabulary(file, metadata),
      n_embd: metadata.number("embedding_length"),
      n_layer: metadata.number("block_count"),
      n_head: metadata.number("attention.head_count"),
      n_positions: metadata.number("context_length"),
      n_inner: metadata.number("feed_forward_length"),
      layer_norm_epsilon: metadata.number("attention.layer_norm_epsilon"),
      tie_word_embeddings: !file.tensors.has("output.weight"),
    }),
    arrangement: (tensor) => (/^(attn_qkv|attn_output|ffn_up|ffn_down)$/.test(tensor) ? transposed : undefined),
  },
  gptneox: {
    prefix: "gpt_neox.layers.",
    block: {
      attn_norm: "input_layernorm",
      attn_qkv: "attention.query_key_value",
      attn_output: "attention.dense",
      ffn_norm: "post_attention_layernorm",
      ffn_up: "mlp.dense_h_to_4h",
      ffn_down: "mlp.dense_4h_to_h",
    },
    others: {
      "token_embd.weight": "gpt_neox.embed_in.weight",
      "output_norm.weight": "gpt_neox.final_layer_norm.weight",
      "output_norm.bias": "gpt_neox.final_layer_norm.bias",
      "output.weight": "embed_out.weight",
    },
    config: async (metadata, file) => {
      const [hidden, heads] = [metadata.number("embedding_length"), metadata.number("attention.head_count")];
      return {
        model_type: "gpt_neox",
        vocab_size: vocabulary(file, metadata),
        hidden_size: hidden,
        intermediate_size: metadata.number("feed_forward_length"),
        num_hidden_layers: metadata.number("block_count"),
        num_attention_heads: heads,
        max_position_embeddings: metadata.number("context_length"),
        layer_norm_eps: metadata.number("attention.layer_norm_epsilon"),
        rotary_pct: metadata.number("rope.dimension_count") / (hidden / heads),
        rotary_emb_base: metadata.number("rope.freq_base", 10_000),
        rope_scaling: await ropeScaling(metadata, file),
        use_parallel_residual: metadata.get("use_parallel_residual") !== false,
        tie_word_embeddings: !file.tensors.has("output.weight"),
      };
    },
    arrangement: (tensor, { num_attention_heads }) =>
      tensor === "attn_qkv" ? headByHead(num_attention_heads as number) : undefined,
  },
};

/** Metadata under the architecture's own prefix. */
class Metadata {
  readonly architecture: string;
  readonly #file: Gguf;

  constructor(file: Gguf, architecture: string) {
    this.#file = file;
    this.architecture = architecture;
  }

  get(key: string): GgufValue | undefined {
    return this.#file.metadata.get(`${this.architecture}.${key}`);
  }

  number(key: string, fallback?: number): number {
    const value = this.get(key) ?? fallback;
    if (typeof value === "number") return value;
    return this.refuse(key, value === undefined ? "nothing" : typeof value, "a number");
  }

  refuse(key: string, found: unknown, expected: string): never {
    const where = `${this.architecture}.${key}`;
    throw new InputError({ file: this.#file.path, where, found: String(found), expected });
  }
}

/** The configuration that config.json would have, and where each tensor goes. What has no place is refused, so that nothing is left out in silence. */
export async function ggufModel(file: Gguf): Promise<{ config: Config; mapping: Map<string, GgufMapping> }> {
  const architecture = file.metadata.get("general.architecture");
  const family =
    typeof architecture === "string" && Object.hasOwn(FAMILIES, architecture) ? FAMILIES[architecture] : null;
  if (!family) {
    const found = typeof architecture === "string" ? architecture : "nothing";
    const expected = Object.keys(FAMILIES).join(", ");
    throw new InputError({ file: file.path, where: "general.architecture", found, expected });
  }
  const config = await family.config(new Metadata(file, architecture as string), file);
  requireLayersHeld(config, file.tensors.keys(), file.path, `${architecture}.block_count`);
  const mapping = new Map<string, GgufMapping>();
  for (const source of file.tensors.keys()) {
    if (source === "rope_freqs.weight") continue;
    const [, layer, tensor, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(source) ?? [];
    const inBlock = tensor === undefined ? undefined : family.block[tensor];
    const name = inBlock ? `${family.prefix}${layer}.${inBlock}.${kind}` : family.others[source];
    if (!name) {
      const expected = `tensors of the ${architecture} architecture only`;
      throw new InputError({ file: file.path, found: `tensor ${source}`, expected });
    }
    // A bias of a transposed map is a vector, and stays one.
    const rank = file.tensors.get(source)!.shape.length;
    const arrange = family.arrangement?.(tensor ?? source, config);
    const kept = arrange === transposed && rank < 2;
    mapping.set(source, { name, ...(arrange && !kept && { arrange, transposed: arrange === transposed }) });
  }
  return { config, mapping };
}

async function rmsConfig(metadata: Metadata, file: Gguf): Promise<Config> {
  const hidden = metadata.number("embedding_length");
  const heads = metadata.number("attention.head_count");
  const headWidth = metadata.number("attention.key_length", hidden / heads);
  if (metadata.number("rope.dimension_count", headWidth) !== headWidth) {
    metadata.refuse("rope.dimension_count", metadata.get("rope.dimension_count"), `${headWidth}, the head's width`);
  }
  if (metadata.number("attention.value_length", headWidth) !== headWidth) {
    metadata.refuse("attention.value_length", metadata.get("attention.value_length"), `${headWidth}, the key's width`);
  }
  if (metadata.number("expert_count", 0) !== 0)
    metadata.refuse("expert_count", metadata.get("expert_count"), "no experts: they aren't supported");
  const tensors = [...file.tensors.keys()];
  return {
    model_type: metadata.architecture,
    vocab_size: vocabulary(file, metadata),
    hidden_size: hidden,
    intermediate_size: metadata.number("feed_forward_length"),
    num_hidden_layers: metadata.number("block_count"),
    num_attention_heads: heads,
    num_key_value_heads: metadata.number("attention.head_count_kv", heads),
    head_dim: headWidth,
    max_position_embeddings: metadata.number("context_length"),
    rms_norm_eps: metadata.number("attention.layer_norm_rms_epsilon"),
    rope_theta: metadata.number("rope.freq_base", 10_000),
    rope_scaling: await ropeScaling(metadata, file),
    tie_word_embeddings: !file.tensors.has("output.weight"),
    attention_bias: metadata.architecture === "llama" && tensors.some((name) => name.endsWith("attn_q.bias")),
    mlp_bias: tensors.some((name) => name.endsWith("ffn_down.bias")),
  };
}

/** Layers of the 27B model, whose scores are scaled by the width over the heads and not by the head's width; the file doesn't say so. */
const GEMMA2_27B_LAYERS = 46;

async function gemma2Config(metadata: Metadata, file: Gguf): Promise<Config> {
  const config = await rmsConfig(metadata, file);
  const byHeads = metadata.number("embedding_length") / metadata.number("attention.head_count");
  return {
    ...config,
    sliding_window: metadata.number("attention.sliding_window"),
    attn_logit_softcapping: metadata.number("attn_logit_softcapping", 50),
    final_logit_softcapping: metadata.number("final_logit_softcapping", 30),
    query_pre_attn_scalar: metadata.number("block_count") === GEMMA2_27B_LAYERS ? byHeads : config["head_dim"],
  };
}

function vocabulary(file: Gguf, metadata: Metadata): number {
  return file.tensors.get("token_embd.weight")?.shape[0] ?? metadata.number("vocab_size");
}

async function ropeScaling(metadata: Metadata, file: Gguf): Promise<object | null> {
  if (file.tensors.has("rope_freqs.weight")) {
    return { rope_type: "divisors", divisors: [...(await ggufFloat32(file, "rope_freqs.weight"))] };
  }
  const legacy = metadata.get("rope.scale_linear");
  if (typeof legacy === "number" && legacy !== 1) return { rope_type: "linear", factor: legacy };
  const type = metadata.get("rope.scaling.type");
  if (type === undefined || type === "none") return null;
  const factor = metadata.number("rope.scaling.factor");
  if (type !== "yarn") return { rope_type: type, factor };
  // Multiplies what the paper has for the length of rotated vectors.
  const length = metadata.number("rope.scaling.attn_factor", 1);
  if (metadata.number("rope.scaling.yarn_log_multiplier", 0) !== 0)
    metadata.refuse("rope.scaling.yarn_log_multiplier", metadata.get("rope.scaling.yarn_log_multiplier"), "none");
  return {
    rope_type: type,
    factor,
    original_max_position_embeddings: metadata.get("rope.scaling.original_context_length"),
    beta_fast: metadata.get("rope.scaling.yarn_beta_fast"),
    beta_slow: metadata.get("rope.scaling.yarn_beta_slow"),
    attention_factor: length === 1 ? undefined : length * (1 + 0.1 * Math.log(factor)),
  };
}
