// GGUF files in Hugging Face's words: for each architecture, the configuration that its metadata imply and its tensors' names.
import { type Gguf, type GgufValue, ggufFloat32, ofAllLayers } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { shown } from "../formats/schemaError.ts";
import { type Arrangement, halves, headByHead, lessOne, transposed } from "./arrangements.ts";
import type { GgufMapping } from "./ggufCheckpoint.ts";
import { requireLayersHeld } from "./layersHeld.ts";
import type { ConfigFile } from "./modelConfig.ts";

type Config = Record<string, unknown>;

interface GgufFamily {
  /** Names of a block's tensors, less "blk.N." and ".weight" or ".bias". */
  readonly block: Readonly<Record<string, string>>;
  /** The others, whole. */
  readonly others: Readonly<Record<string, string>>;
  /** Where Hugging Face's names of a block's tensors begin, less the layer. */
  readonly prefix: string;
  /** Numbers of the configuration and the metadata that they are, less the architecture. */
  readonly fields: Readonly<Record<string, string>>;
  /** What else the configuration has. */
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

const RMS_FIELDS = {
  hidden_size: "embedding_length",
  intermediate_size: "feed_forward_length",
  num_hidden_layers: "block_count",
  num_attention_heads: "attention.head_count",
  num_key_value_heads: "attention.head_count_kv",
  head_dim: "attention.key_length",
  max_position_embeddings: "context_length",
  rms_norm_eps: "attention.layer_norm_rms_epsilon",
  rope_theta: "rope.freq_base",
};

/** The tensor of factors for every rotary frequency. */
const DIVISORS = "rope_freqs.weight";

/** What else a configuration may have, and the metadata that it is made of. */
const OTHER_FIELDS: Readonly<Record<string, string>> = {
  "rope_scaling.rope_type": "rope.scaling.type",
  "rope_scaling.factor": "rope.scaling.factor",
  "rope_scaling.original_max_position_embeddings": "rope.scaling.original_context_length",
  "rope_scaling.attention_factor": "rope.scaling.attn_factor",
  "rope_scaling.beta_fast": "rope.scaling.yarn_beta_fast",
  "rope_scaling.beta_slow": "rope.scaling.yarn_beta_slow",
  partial_rotary_factor: "rope.dimension_count",
  rotary_pct: "rope.dimension_count",
  use_parallel_residual: "use_parallel_residual",
  vocab_size: "vocab_size",
};

/** What a file need not say. */
const OPTIONAL = new Set([
  "attention.head_count_kv",
  "attention.key_length",
  "attention.sliding_window",
  "rope.freq_base",
  "attn_logit_softcapping",
  "final_logit_softcapping",
]);

const LLAMA = { block: LLAMA_BLOCK, others: LLAMA_OTHERS, prefix: "model.layers.", fields: RMS_FIELDS };

const FAMILIES: Readonly<Record<string, GgufFamily>> = {
  llama: {
    ...LLAMA,
    config: windowlessConfig,
    arrangement: (tensor, { hidden_size, num_attention_heads, head_dim }) =>
      tensor === "attn_q" || tensor === "attn_k"
        ? halves((head_dim ?? (hidden_size as number) / (num_attention_heads as number)) as number)
        : undefined,
  },
  qwen2: { ...LLAMA, config: windowlessConfig },
  qwen3: {
    ...LLAMA,
    block: { ...LLAMA_BLOCK, attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" },
    config: windowlessConfig,
  },
  gemma2: {
    ...LLAMA,
    block: {
      ...LLAMA_BLOCK,
      post_attention_norm: "post_attention_layernorm",
      ffn_norm: "pre_feedforward_layernorm",
      post_ffw_norm: "post_feedforward_layernorm",
    },
    fields: {
      ...RMS_FIELDS,
      sliding_window: "attention.sliding_window",
      attn_logit_softcapping: "attn_logit_softcapping",
      final_logit_softcapping: "final_logit_softcapping",
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
    fields: {
      n_embd: "embedding_length",
      n_layer: "block_count",
      n_head: "attention.head_count",
      n_positions: "context_length",
      n_inner: "feed_forward_length",
      layer_norm_epsilon: "attention.layer_norm_epsilon",
    },
    config: (metadata) => {
      headWidthOf(metadata);
      return { model_type: "gpt2" };
    },
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
    fields: {
      hidden_size: "embedding_length",
      intermediate_size: "feed_forward_length",
      num_hidden_layers: "block_count",
      num_attention_heads: "attention.head_count",
      max_position_embeddings: "context_length",
      layer_norm_eps: "attention.layer_norm_epsilon",
      rotary_emb_base: "rope.freq_base",
    },
    config: async (metadata, file) => {
      const width = headWidthOf(metadata);
      const rotated = metadata.count("rope.dimension_count");
      if (rotated > width || rotated % 2 !== 0)
        metadata.refuse("rope.dimension_count", `an even number of at most ${width}, the head's width`);
      return {
        model_type: "gpt_neox",
        rotary_pct: rotated / width,
        rope_scaling: await ropeScaling(metadata, file),
        use_parallel_residual: metadata.get("use_parallel_residual") ?? true,
      };
    },
    arrangement: (tensor, { num_attention_heads }) =>
      tensor === "attn_qkv" ? headByHead(num_attention_heads as number) : undefined,
  },
};

/** Metadata that say nothing of the arithmetic, or say it of another kind of norm than the architecture's. */
const HARMLESS = new Set([
  "vocab_size",
  "pooling_type",
  "classifier.output_labels",
  "expert_used_count",
  "attention.layer_norm_epsilon",
  "attention.layer_norm_rms_epsilon",
  "rope.scaling.finetuned",
  // Of yarn, which reads them.
  "rope.scaling.original_context_length",
  "rope.scaling.yarn_beta_fast",
  "rope.scaling.yarn_beta_slow",
]);

/** Values by which metadata that would change the arithmetic don't, where these are others than 0 and false. */
const NEUTRAL: ReadonlyMap<string, readonly GgufValue[]> = new Map<string, readonly GgufValue[]>([
  ["attention.causal", [true]],
  ["logit_scale", [0, 1]],
  ["residual_scale", [0, 1]],
  ["embedding_scale", [0, 1]],
  ["tensor_data_layout", ["Meta AI original pth"]],
  ["rope.scale_linear", [0, 1]],
  ["rope.scaling.alpha", [0, 1]],
  ["rope.scaling.attn_factor", [1]],
  ["rope.scaling.yarn_attn_factor", [1]],
  // Less than 0 leaves it to the type, which is none where this is asked: yarn reads it itself.
  ["rope.scaling.yarn_ext_factor", [-1, 0]],
]);

/** Metadata under the architecture's own prefix, which remember what was asked for. */
class Metadata {
  readonly architecture: string;
  readonly #file: Gguf;
  readonly #read = new Set<string>();

  constructor(file: Gguf, architecture: string) {
    this.#file = file;
    this.architecture = architecture;
  }

  get(key: string): GgufValue | undefined {
    this.#read.add(key);
    const { metadata } = this.#file;
    return ofAllLayers(metadata.get(this.nameOf(key)), metadata.get(this.nameOf("block_count")));
  }

  number(key: string): number | undefined {
    const value = this.get(key);
    return value === undefined || typeof value === "number" ? value : this.refuse(key, "a number");
  }

  /** What must be there, and be a number of things. */
  count(key: string): number {
    const value = this.get(key);
    if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
    return this.refuse(key, "a whole number above 0");
  }

  /** Refuses another number than the one that the architecture can have there. */
  same(key: string, expected: number, what: string): void {
    if ((this.number(key) ?? expected) !== expected) this.refuse(key, `${expected}, ${what}`);
  }

  nameOf(key: string): string {
    return `${this.architecture}.${key}`;
  }

  refuse(key: string, expected: string): never {
    throw new InputError({ file: this.#file.path, where: this.nameOf(key), found: shown(this.get(key)), expected });
  }

  /** Refuses whatever else the architecture's metadata say of the arithmetic. */
  refuseOthers(): void {
    const prefix = this.nameOf("");
    for (const [name, value] of this.#file.metadata) {
      const key = name.slice(prefix.length);
      if (!name.startsWith(prefix) || this.#read.has(key) || HARMLESS.has(key)) continue;
      const neutral = NEUTRAL.get(key);
      if ([value].flat().every((each) => (neutral ?? [0, false]).includes(each))) continue;
      const other = neutral && `${neutral.map(shown).join(" or ")}: nothing else is supported`;
      this.refuse(key, other ?? "no such key, or 0: it isn't supported");
    }
  }
}

interface GgufModel {
  /** What config.json would say. */
  readonly config: Config;
  readonly configFile: ConfigFile;
  /** Where each tensor goes. */
  readonly mapping: Map<string, GgufMapping>;
  /** From Hugging Face's name of a tensor to the file's. */
  readonly nameOf: (tensor: string) => string;
}

/** What has no place, tensor or key, is refused, so that nothing is left out in silence. */
export async function ggufModel(file: Gguf): Promise<GgufModel> {
  const architecture = file.metadata.get("general.architecture");
  const family =
    typeof architecture === "string" && Object.hasOwn(FAMILIES, architecture) ? FAMILIES[architecture] : null;
  if (!family) {
    const found = typeof architecture === "string" ? architecture : "nothing";
    const expected = Object.keys(FAMILIES).join(", ");
    throw new InputError({ file: file.path, where: "general.architecture", found, expected });
  }
  const metadata = new Metadata(file, architecture as string);
  const fields = { ...OTHER_FIELDS, ...family.fields };
  const nameOf = (field: string) => {
    if (field === "rope_scaling.divisors") return `tensor ${DIVISORS}`;
    return Object.hasOwn(fields, field) ? metadata.nameOf(fields[field]!) : field;
  };
  const configFile = { path: file.path, nameOf };
  const config: Config = {
    vocab_size: file.tensors.get("token_embd.weight")?.shape[0] ?? metadata.count("vocab_size"),
    tie_word_embeddings: !file.tensors.has("output.weight"),
  };
  for (const [field, key] of Object.entries(family.fields)) {
    const value = metadata.number(key);
    if (value !== undefined) config[field] = value;
    else if (!OPTIONAL.has(key)) metadata.refuse(key, "a number");
  }
  Object.assign(config, await family.config(metadata, file));
  metadata.refuseOthers();
  requireLayersHeld(config, file.tensors.keys(), configFile);
  const mapping = new Map<string, GgufMapping>();
  for (const source of file.tensors.keys()) {
    if (source === DIVISORS) continue;
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
  return { config, configFile, mapping, nameOf: (tensor) => sourceName(family, tensor) };
}

/** The file's name of a tensor that Hugging Face has a name for. */
function sourceName({ prefix, block, others }: GgufFamily, tensor: string): string {
  const other = Object.keys(others).find((name) => others[name] === tensor);
  if (other !== undefined) return other;
  const [, layer, inBlock, kind] = /^(\d+)\.(.+)\.(\w+)$/.exec(tensor.slice(prefix.length)) ?? [];
  const own = Object.keys(block).find((name) => block[name] === inBlock);
  return tensor.startsWith(prefix) && own !== undefined ? `blk.${layer}.${own}.${kind}` : tensor;
}

/** Where all heads are of one width, and each has keys and values of its own. */
function headWidthOf(metadata: Metadata): number {
  const heads = metadata.count("attention.head_count");
  const width = metadata.count("embedding_length") / heads;
  metadata.same("attention.head_count_kv", heads, "attention.head_count");
  metadata.same("attention.key_length", width, "the head's width");
  metadata.same("attention.value_length", width, "the head's width");
  return width;
}

async function rmsConfig(metadata: Metadata, file: Gguf): Promise<Config> {
  const heads = metadata.count("attention.head_count");
  const headWidth = metadata.number("attention.key_length") ?? metadata.count("embedding_length") / heads;
  metadata.same("rope.dimension_count", headWidth, "the head's width");
  metadata.same("attention.value_length", headWidth, "the key's width");
  const scale = metadata.number("attention.scale") ?? 0;
  const usual = Math.fround(1 / Math.sqrt(headWidth));
  if (scale !== 0 && scale !== usual) metadata.refuse("attention.scale", `${usual}: nothing else is supported`);
  const tensors = [...file.tensors.keys()];
  return {
    model_type: metadata.architecture,
    rope_scaling: await ropeScaling(metadata, file),
    attention_bias: metadata.architecture === "llama" && tensors.some((name) => name.endsWith("attn_q.bias")),
    mlp_bias: tensors.some((name) => name.endsWith("ffn_down.bias")),
  };
}

/** Of the architectures that see everything: a window as long as the context is none. */
async function windowlessConfig(metadata: Metadata, file: Gguf): Promise<Config> {
  const context = metadata.count("context_length");
  const window = metadata.number("attention.sliding_window") ?? 0;
  if (window !== 0 && window < context)
    metadata.refuse("attention.sliding_window", `at least ${context}, the context: a window isn't supported here`);
  return rmsConfig(metadata, file);
}

/** As llama.cpp has it of a file that doesn't say. */
const GEMMA2_WINDOW = 4096;
/** Layers of the 27B model, whose scores are scaled by the width over the heads and not by the head's width; the file doesn't say so. */
const GEMMA2_27B_LAYERS = 46;

async function gemma2Config(metadata: Metadata, file: Gguf): Promise<Config> {
  const byHeads = metadata.count("embedding_length") / metadata.count("attention.head_count");
  const headWidth = metadata.number("attention.key_length") ?? byHeads;
  metadata.same("rope.freq_base_swa", metadata.number("rope.freq_base") ?? 10_000, "rope.freq_base");
  return {
    ...(await rmsConfig(metadata, file)),
    sliding_window: metadata.number("attention.sliding_window") ?? GEMMA2_WINDOW,
    head_dim: headWidth,
    query_pre_attn_scalar: metadata.count("block_count") === GEMMA2_27B_LAYERS ? byHeads : headWidth,
  };
}

async function ropeScaling(metadata: Metadata, file: Gguf): Promise<object | null> {
  // As llama.cpp has it: a factor without a type is a linear one, whatever of its two names it has.
  const legacy = metadata.get("rope.scaling.factor") === undefined;
  const key = legacy ? "rope.scale_linear" : "rope.scaling.factor";
  const factor = metadata.number(key) || 1;
  const type = metadata.get("rope.scaling.type") ?? "linear";
  const changesNothing = type === "none" || (type === "linear" && factor === 1);
  if (file.tensors.has(DIVISORS)) {
    const named = metadata.get("rope.scaling.type") === undefined ? key : "rope.scaling.type";
    if (!changesNothing) metadata.refuse(named, `no scaling beside that of the tensor ${DIVISORS}`);
    return { rope_type: "divisors", divisors: [...(await ggufFloat32(file, DIVISORS))] };
  }
  if (changesNothing) return null;
  if (type !== "yarn") return { rope_type: type, factor };
  const extrapolated = metadata.number("rope.scaling.yarn_ext_factor") ?? -1;
  if (extrapolated >= 0) metadata.same("rope.scaling.yarn_ext_factor", 1, "or less than 0: nothing else is supported");
  // Multiplies what the paper has for the length of rotated vectors.
  const length = metadata.number("rope.scaling.attn_factor") ?? 1;
  return {
    rope_type: type,
    factor,
    original_max_position_embeddings: metadata.get("rope.scaling.original_context_length"),
    beta_fast: metadata.get("rope.scaling.yarn_beta_fast"),
    beta_slow: metadata.get("rope.scaling.yarn_beta_slow"),
    attention_factor: length === 1 ? undefined : length * (1 + 0.1 * Math.log(factor)),
  };
}
