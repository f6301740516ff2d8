// The Llama family (Llama 2 and 3, SmolLM, TinyLlama, …, Mistral): RMSNorm, rotary halves, grouped queries, SwiGLU.
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { causalAttention } from "./attention.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type Decoder, type DecoderInputs, type ModelFamily, residualHooks } from "./decoder.ts";
import type { GraphBuilder, Value } from "./graphBuilder.ts";
import { parseModelConfig, refuseFields, ropeOf } from "./modelConfig.ts";
import type { Rotary } from "./rotary.ts";

const count = z.int().positive();

const configSchema = z.looseObject({
  model_type: z.enum(["llama", "mistral"]),
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_act: z.enum(["silu", "swish"]).default("silu"),
  max_position_embeddings: count.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  sliding_window: count.nullish(),
});

export const llamaFamily: ModelFamily = {
  modelTypes: ["llama", "mistral"],
  async open(config, configPath, checkpoint) {
    return new LlamaDecoder(config, configPath, checkpoint);
  },
};

class LlamaDecoder implements Decoder {
  readonly info: Decoder["info"];
  readonly hookNames: readonly string[];
  readonly rotary: Rotary;
  private readonly config: z.infer<typeof configSchema>;
  private readonly headWidth: number;
  private readonly kvHeads: number;
  /** "model." in the files of a model with its output layer, nothing in those without. */
  private readonly prefix: string;

  constructor(config: Readonly<Record<string, unknown>>, configPath: string, checkpoint: Checkpoint) {
    this.config = parseModelConfig(configSchema, config, configPath);
    const { hidden_size, num_attention_heads: heads, num_hidden_layers, vocab_size } = this.config;
    refuseFields(config, configPath, [
      "attn_logit_softcapping",
      "final_logit_softcapping",
      "no_rope_layers",
      "layer_types",
    ]);
    this.kvHeads = this.config.num_key_value_heads ?? heads;
    const field = (where: string, found: number, expected: string): never => {
      throw new InputError({ file: configPath, where, found: String(found), expected });
    };
    if (heads % this.kvHeads !== 0)
      field("num_key_value_heads", this.kvHeads, `a divisor of ${heads}, num_attention_heads`);
    if (!this.config.head_dim && hidden_size % heads !== 0) {
      field("hidden_size", hidden_size, `a multiple of ${heads}, num_attention_heads`);
    }
    this.headWidth = this.config.head_dim ?? hidden_size / heads;
    if (this.headWidth % 2 !== 0) field("head_dim", this.headWidth, "an even number");
    this.rotary = ropeOf(config, configPath, this.headWidth);
    this.prefix = checkpoint.tensors.has("model.embed_tokens.weight") ? "model." : "";
    this.hookNames = Array.from({ length: num_hidden_layers }, (_, layer) => residualHooks(layer)).flat();
    this.info = {
      family: this.config.model_type,
      nLayers: num_hidden_layers,
      dModel: hidden_size,
      dVocab: vocab_size,
      contextSize: this.config.max_position_embeddings,
    };
  }

  logits(graph: GraphBuilder, inputs: DecoderInputs, hook: (name: string, value: Value) => Value): Value {
    let residual = graph.op("Gather", [this.embedding(graph), inputs.ids], { axis: { int: 0 } });
    for (let layer = 0; layer < this.config.num_hidden_layers; layer++) {
      const at = (name: string, value: Value) => hook(`blocks.${layer}.${name}`, value);
      const block = `${this.prefix}layers.${layer}.`;
      residual = at("hook_resid_pre", residual);
      const attention = this.attention(
        graph,
        inputs,
        `${block}self_attn.`,
        this.norm(graph, residual, `${block}input_layernorm`),
      );
      residual = at("hook_resid_mid", graph.op("Add", [residual, at("hook_attn_out", attention)]));
      const mlp = this.mlp(graph, `${block}mlp.`, this.norm(graph, residual, `${block}post_attention_layernorm`));
      residual = at("hook_resid_post", graph.op("Add", [residual, at("hook_mlp_out", mlp)]));
    }
    return this.output(graph, this.norm(graph, residual, `${this.prefix}norm`));
  }

  unembed(graph: GraphBuilder, directions: Value): Value {
    const scale = graph.weight(`${this.prefix}norm.weight`, [this.config.hidden_size]);
    return this.output(graph, graph.op("Mul", [directions, scale]));
  }

  private attention(graph: GraphBuilder, inputs: DecoderInputs, name: string, x: Value): Value {
    const { hidden_size: d, num_attention_heads: heads, attention_bias: bias } = this.config;
    const width = heads * this.headWidth;
    const kvWidth = this.kvHeads * this.headWidth;
    const mixed = causalAttention(
      graph,
      inputs,
      {
        query: linear(graph, x, `${name}q_proj`, [width, d], bias),
        key: linear(graph, x, `${name}k_proj`, [kvWidth, d], bias),
        value: linear(graph, x, `${name}v_proj`, [kvWidth, d], bias),
      },
      {
        heads,
        kvHeads: this.kvHeads,
        headWidth: this.headWidth,
        rotary: true,
        window: this.config.model_type === "mistral" ? (this.config.sliding_window ?? null) : null,
      },
    );
    return linear(graph, mixed, `${name}o_proj`, [d, width], bias);
  }

  /** down(silu(gate(x)) · up(x)) */
  private mlp(graph: GraphBuilder, name: string, x: Value): Value {
    const { hidden_size: d, intermediate_size: inner, mlp_bias: bias } = this.config;
    const gate = linear(graph, x, `${name}gate_proj`, [inner, d], bias);
    const up = linear(graph, x, `${name}up_proj`, [inner, d], bias);
    // QuickGelu with alpha 1 is silu, in one pass.
    const active = graph.op("com.microsoft.QuickGelu", [gate], { alpha: { float: 1 } });
    return linear(graph, graph.op("Mul", [active, up]), `${name}down_proj`, [d, inner], bias);
  }

  private norm(graph: GraphBuilder, x: Value, name: string): Value {
    const scale = graph.weight(`${name}.weight`, [this.config.hidden_size]);
    return graph.op("SimplifiedLayerNormalization", [x, scale], {
      axis: { int: -1 },
      epsilon: { float: this.config.rms_norm_eps },
      stash_type: { int: 1 },
    });
  }

  private embedding(graph: GraphBuilder): Value {
    return graph.weight(`${this.prefix}embed_tokens.weight`, [this.config.vocab_size, this.config.hidden_size]);
  }

  private output(graph: GraphBuilder, x: Value): Value {
    const { vocab_size, hidden_size, tie_word_embeddings } = this.config;
    const matrix = tie_word_embeddings
      ? this.embedding(graph)
      : graph.weight("lm_head.weight", [vocab_size, hidden_size]);
    return graph.op("Gemm", [x, matrix], { transB: { int: 1 } });
  }
}

/** x Wᵀ (+ b), W as PyTorch stores it, [out, in]. */
function linear(graph: GraphBuilder, x: Value, name: string, shape: [number, number], bias: boolean): Value {
  const matrix = graph.weight(`${name}.weight`, shape);
  const inputs = bias ? [x, matrix, graph.weight(`${name}.bias`, [shape[0]])] : [x, matrix];
  return graph.op("Gemm", inputs, { transB: { int: 1 } });
}
