// The decoder that Llama, Mistral, Qwen and Gemma share: RMSNorm, rotary halves, grouped queries, a gated MLP. Each family's file says which of its parts it has.
import { z } from "zod";
import { ACTIVATIONS, type Activation, activate } from "./activation.ts";
import { causalAttention } from "./attention.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Decoder, DecoderInputs } from "./decoder.ts";
import type { GraphBuilder, Value } from "./graphBuilder.ts";
import { hookPoint, hooksOf } from "./hookPoints.ts";
import { linear, rmsNorm, softCap } from "./layers.ts";
import { type ConfigFile, fieldName, refuseField, ropeOf } from "./modelConfig.ts";
import { type OutputLayer, outputLayer } from "./outputLayer.ts";
import type { Rotary } from "./rotary.ts";

const count = z.int().positive();

/** Fields of config.json that all of these families have; what differs by default is each family's to say. */
export const rmsConfigSchema = z.looseObject({
  model_type: z.string(),
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_act: z.enum(ACTIVATIONS).default("silu"),
  max_position_embeddings: count.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  sliding_window: count.nullish(),
});

export type RmsConfig = z.infer<typeof rmsConfigSchema>;

/** What a family's decoder has beyond Llama's; Llama has none of it. */
export interface RmsFeatures {
  readonly activation?: Activation;
  /** Bias of the query, key and value maps alone; attention_bias gives it to the output map too. */
  readonly queryKeyValueBias?: boolean;
  /** RMSNorm of every query and key head (Qwen3). */
  readonly queryKeyNorm?: boolean;
  /** Norms behind attention and MLP as well (Gemma-2); the hooks stand behind them. */
  readonly postNorms?: boolean;
  /** Norm weights are stored less 1 (Gemma). */
  readonly normOffset?: number;
  readonly embeddingScale?: number;
  /** Scores are multiplied with this; default 1/√head width. */
  readonly scoreScale?: number;
  readonly scoreCap?: number | null;
  readonly logitCap?: number | null;
  /** Of every layer; default: `sliding_window` is not looked at. */
  readonly windows?: readonly (number | null)[];
}

/** Reads of the weights only what tells the output layer from the embedding. */
export async function rmsDecoder(
  config: RmsConfig,
  file: ConfigFile,
  checkpoint: Checkpoint,
  features: RmsFeatures,
): Promise<Decoder> {
  const prefix = checkpoint.tensors.has("model.embed_tokens.weight") ? "model." : "";
  const output = await outputLayer(checkpoint, config.tie_word_embeddings, `${prefix}embed_tokens.weight`);
  return new RmsDecoder(config, file, prefix, output, features);
}

class RmsDecoder implements Decoder {
  readonly info: Decoder["info"];
  readonly output: OutputLayer;
  readonly hookNames: readonly string[];
  readonly rotary: Rotary;
  private readonly config: RmsConfig;
  private readonly features: RmsFeatures;
  private readonly headWidth: number;
  private readonly kvHeads: number;
  /** "model." in the files of a model with its output layer, nothing in those without. */
  private readonly prefix: string;

  constructor(config: RmsConfig, file: ConfigFile, prefix: string, output: OutputLayer, features: RmsFeatures) {
    this.config = config;
    this.prefix = prefix;
    this.output = output;
    this.features = features;
    const { hidden_size, num_attention_heads: heads, num_hidden_layers, vocab_size } = config;
    this.kvHeads = config.num_key_value_heads ?? heads;
    const refuse = (field: string, found: number, expected: string) => refuseField(file, field, found, expected);
    const ofHeads = `${heads}, ${fieldName(file, "num_attention_heads")}`;
    if (heads % this.kvHeads !== 0) refuse("num_key_value_heads", this.kvHeads, `a divisor of ${ofHeads}`);
    if (!config.head_dim && hidden_size % heads !== 0) {
      refuse("hidden_size", hidden_size, `a multiple of ${ofHeads}`);
    }
    this.headWidth = config.head_dim ?? hidden_size / heads;
    if (this.headWidth % 2 !== 0) refuse("head_dim", this.headWidth, "an even number");
    this.rotary = ropeOf(config, file, this.headWidth);
    if (this.rotary.width !== this.headWidth)
      refuse("partial_rotary_factor", this.rotary.width / this.headWidth, "1: this family rotates whole heads");
    this.info = {
      family: config.model_type,
      nLayers: num_hidden_layers,
      dModel: hidden_size,
      dHeads: heads * this.headWidth,
      dMlp: config.intermediate_size,
      dVocab: vocab_size,
      contextSize: config.max_position_embeddings,
    };
    this.hookNames = hooksOf(this.info);
  }

  logits(graph: GraphBuilder, inputs: DecoderInputs, hook: (name: string, value: Value) => Value): Value {
    let residual = graph.op("Gather", [this.embedding(graph), inputs.ids], { axis: { int: 0 } });
    const { embeddingScale, postNorms } = this.features;
    if (embeddingScale !== undefined) residual = graph.op("Mul", [residual, graph.float(embeddingScale)]);
    for (let layer = 0; layer < this.config.num_hidden_layers; layer++) {
      const at = (name: string, value: Value) => hook(`blocks.${layer}.${name}`, value);
      const block = `${this.prefix}layers.${layer}.`;
      const after = (value: Value, name: string) => (postNorms ? this.norm(graph, value, `${block}${name}`) : value);
      residual = at("hook_resid_pre", residual);
      const normed = this.norm(graph, residual, `${block}input_layernorm`);
      const mixed = at("attn.hook_z", this.attention(graph, inputs, layer, normed));
      const attention = this.attentionOut(graph, block, mixed, this.config.attention_bias);
      const written = at("hook_attn_out", after(attention, "post_attention_layernorm"));
      residual = at("hook_resid_mid", graph.op("Add", [residual, written]));
      // Gemma-2 calls the norm behind attention what Llama calls the norm before the MLP.
      const before = postNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm";
      const inner = at("mlp.hook_post", this.mlp(graph, block, this.norm(graph, residual, `${block}${before}`)));
      const mlp = this.mlpOut(graph, block, inner, this.config.mlp_bias);
      residual = at(
        "hook_resid_post",
        graph.op("Add", [residual, at("hook_mlp_out", after(mlp, "post_feedforward_layernorm"))]),
      );
    }
    const logits = this.unembedded(graph, this.norm(graph, residual, `${this.prefix}norm`));
    const { logitCap } = this.features;
    return logitCap ? softCap(graph, logits, logitCap) : logits;
  }

  toStream(graph: GraphBuilder, directions: Value, hookName: string): Value {
    const { layer, kind } = hookPoint(hookName);
    const block = `${this.prefix}layers.${layer}.`;
    const after = (value: Value, name: string) => {
      if (!this.features.postNorms) return value;
      return graph.op("Mul", [value, this.normWeight(graph, `${block}${name}`, this.config.hidden_size)]);
    };
    if (kind === "attn.hook_z")
      return after(this.attentionOut(graph, block, directions, false), "post_attention_layernorm");
    if (kind === "mlp.hook_post")
      return after(this.mlpOut(graph, block, directions, false), "post_feedforward_layernorm");
    return directions;
  }

  unembed(graph: GraphBuilder, directions: Value): Value {
    const scale = this.normWeight(graph, `${this.prefix}norm`, this.config.hidden_size);
    return this.unembedded(graph, graph.op("Mul", [directions, scale]));
  }

  /** Values as the heads mix them, [tokens, heads·width]. */
  private attention(graph: GraphBuilder, inputs: DecoderInputs, layer: number, x: Value): Value {
    const { hidden_size: d, num_attention_heads: heads, attention_bias } = this.config;
    const { queryKeyValueBias, scoreScale, scoreCap, windows } = this.features;
    const name = `${this.prefix}layers.${layer}.self_attn.`;
    const width = heads * this.headWidth;
    const kvWidth = this.kvHeads * this.headWidth;
    const bias = attention_bias || queryKeyValueBias === true;
    return causalAttention(
      graph,
      inputs,
      {
        query: this.headNorm(graph, linear(graph, x, `${name}q_proj`, [width, d], bias), heads, `${name}q_norm`),
        key: this.headNorm(graph, linear(graph, x, `${name}k_proj`, [kvWidth, d], bias), this.kvHeads, `${name}k_norm`),
        value: linear(graph, x, `${name}v_proj`, [kvWidth, d], bias),
      },
      {
        heads,
        kvHeads: this.kvHeads,
        headWidth: this.headWidth,
        rotaryWidth: this.rotary.width,
        window: windows?.[layer] ?? null,
        scale: scoreScale ?? 1 / Math.sqrt(this.headWidth),
        softCap: scoreCap ?? null,
      },
    );
  }

  private attentionOut(graph: GraphBuilder, block: string, mixed: Value, bias: boolean): Value {
    const { hidden_size: d, num_attention_heads: heads } = this.config;
    return linear(graph, mixed, `${block}self_attn.o_proj`, [d, heads * this.headWidth], bias);
  }

  /** Every head of [tokens, heads·width] normed alone, all with the same weights. */
  private headNorm(graph: GraphBuilder, x: Value, heads: number, name: string): Value {
    if (!this.features.queryKeyNorm) return x;
    const apart = graph.op("Reshape", [x, graph.ints([-1, heads, this.headWidth])]);
    const scale = this.normWeight(graph, name, this.headWidth);
    const normed = rmsNorm(graph, apart, scale, this.config.rms_norm_eps);
    return graph.op("Reshape", [normed, graph.ints([-1, heads * this.headWidth])]);
  }

  /** activation(gate(x)) · up(x) */
  private mlp(graph: GraphBuilder, block: string, x: Value): Value {
    const { hidden_size: d, intermediate_size: inner, mlp_bias: bias, hidden_act } = this.config;
    const gate = linear(graph, x, `${block}mlp.gate_proj`, [inner, d], bias);
    const up = linear(graph, x, `${block}mlp.up_proj`, [inner, d], bias);
    const active = activate(graph, this.features.activation ?? hidden_act, gate);
    return graph.op("Mul", [active, up]);
  }

  private mlpOut(graph: GraphBuilder, block: string, inner: Value, bias: boolean): Value {
    const { hidden_size: d, intermediate_size: width } = this.config;
    return linear(graph, inner, `${block}mlp.down_proj`, [d, width], bias);
  }

  private norm(graph: GraphBuilder, x: Value, name: string): Value {
    const { hidden_size, rms_norm_eps } = this.config;
    return rmsNorm(graph, x, this.normWeight(graph, name, hidden_size), rms_norm_eps);
  }

  private normWeight(graph: GraphBuilder, name: string, width: number): Value {
    const weight = graph.weight(`${name}.weight`, [width]);
    const { normOffset } = this.features;
    return normOffset === undefined ? weight : graph.op("Add", [weight, graph.float(normOffset)]);
  }

  private embedding(graph: GraphBuilder): Value {
    return graph.weight(`${this.prefix}embed_tokens.weight`, [this.config.vocab_size, this.config.hidden_size]);
  }

  private unembedded(graph: GraphBuilder, x: Value): Value {
    const { vocab_size, hidden_size } = this.config;
    const matrix = graph.weight(this.output.weight, [vocab_size, hidden_size]);
    return graph.op("Gemm", [x, matrix], { transB: { int: 1 } });
  }
}
