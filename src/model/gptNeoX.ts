// GPT-NeoX (Pythia): attention and MLP beside each other, a part of each head rotated, LayerNorm.
import { z } from "zod";
import { ACTIVATIONS, activate } from "./activation.ts";
import { causalAttention } from "./attention.ts";
import type { Decoder, DecoderInputs, ModelFamily } from "./decoder.ts";
import type { GraphBuilder, Value } from "./graphBuilder.ts";
import { hookPoint, hooksOf } from "./hookPoints.ts";
import { layerNorm, linear } from "./layers.ts";
import { type ConfigFile, fieldName, parseModelConfig, refuseField, ropeOf } from "./modelConfig.ts";
import { type OutputLayer, outputLayer } from "./outputLayer.ts";
import type { Rotary } from "./rotary.ts";

const count = z.int().positive();

const configSchema = z.looseObject({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  hidden_act: z.enum(ACTIVATIONS).default("gelu"),
  max_position_embeddings: count.default(2048),
  layer_norm_eps: z.number().positive().default(1e-5),
  use_parallel_residual: z.boolean().default(true),
  attention_bias: z.boolean().default(true),
  tie_word_embeddings: z.boolean().default(false),
  rotary_pct: z.number().positive().max(1).default(0.25),
});

const EMBEDDING = "gpt_neox.embed_in.weight";

export const gptNeoXFamily: ModelFamily = {
  modelTypes: ["gpt_neox"],
  async open(json, file, checkpoint) {
    const config = parseModelConfig(configSchema, json, file);
    // This family's own names for what the others call rope_theta and partial_rotary_factor.
    const { rotary_emb_base: rope_theta, rotary_pct } = json;
    const renamed = { rope_theta, partial_rotary_factor: rotary_pct ?? config.rotary_pct };
    const ownNames = { rope_theta: "rotary_emb_base", partial_rotary_factor: "rotary_pct" };
    const own = (field: string) => (field in json ? field : ((ownNames as Record<string, string>)[field] ?? field));
    const names = ["lm_head.weight", "embed_out.weight"];
    const output = await outputLayer(checkpoint, config.tie_word_embeddings, EMBEDDING, names);
    return new GptNeoXDecoder(
      config,
      { ...renamed, ...json },
      { ...file, nameOf: (field) => fieldName(file, own(field)) },
      output,
    );
  },
};

class GptNeoXDecoder implements Decoder {
  readonly info: Decoder["info"];
  readonly output: OutputLayer;
  readonly hookNames: readonly string[];
  readonly rotary: Rotary;
  private readonly config: z.infer<typeof configSchema>;
  private readonly headWidth: number;

  constructor(
    config: z.infer<typeof configSchema>,
    withRotary: Readonly<Record<string, unknown>>,
    file: ConfigFile,
    output: OutputLayer,
  ) {
    this.config = config;
    this.output = output;
    const { hidden_size: d, num_attention_heads: heads, num_hidden_layers: nLayers, use_parallel_residual } = config;
    this.headWidth = d / heads;
    if (!Number.isInteger(this.headWidth))
      refuseField(file, "hidden_size", d, `a multiple of ${heads}, ${fieldName(file, "num_attention_heads")}`);
    this.rotary = ropeOf(withRotary, file, this.headWidth);
    this.info = {
      family: "gpt_neox",
      nLayers,
      dModel: d,
      dHeads: d,
      dMlp: config.intermediate_size,
      dVocab: config.vocab_size,
      contextSize: config.max_position_embeddings,
      ...(use_parallel_residual && { parallel: true }),
    };
    this.hookNames = hooksOf(this.info);
  }

  logits(graph: GraphBuilder, inputs: DecoderInputs, hook: (name: string, value: Value) => Value): Value {
    const { vocab_size, hidden_size: d, num_hidden_layers, use_parallel_residual: parallel } = this.config;
    const embedding = graph.weight(EMBEDDING, [vocab_size, d]);
    let residual = graph.op("Gather", [embedding, inputs.ids], { axis: { int: 0 } });
    for (let layer = 0; layer < num_hidden_layers; layer++) {
      const at = (name: string, value: Value) => hook(`blocks.${layer}.${name}`, value);
      const block = `gpt_neox.layers.${layer}.`;
      residual = at("hook_resid_pre", residual);
      const normed = this.norm(graph, residual, `${block}input_layernorm`);
      const mixed = at("attn.hook_z", this.attention(graph, inputs, `${block}attention.`, normed));
      const attention = at("hook_attn_out", this.attentionOut(graph, block, mixed, this.config.attention_bias));
      const mid = graph.op("Add", [residual, attention]);
      const before = parallel ? residual : at("hook_resid_mid", mid);
      const normedToo = this.norm(graph, before, `${block}post_attention_layernorm`);
      const inner = at("mlp.hook_post", this.mlp(graph, block, normedToo));
      const mlp = at("hook_mlp_out", this.mlpOut(graph, block, inner, true));
      residual = at("hook_resid_post", graph.op("Add", [parallel ? mid : before, mlp]));
    }
    return this.unembedded(graph, this.norm(graph, residual, "gpt_neox.final_layer_norm"));
  }

  toStream(graph: GraphBuilder, directions: Value, hookName: string): Value {
    const { layer, kind } = hookPoint(hookName);
    const block = `gpt_neox.layers.${layer}.`;
    if (kind === "attn.hook_z") return this.attentionOut(graph, block, directions, false);
    if (kind === "mlp.hook_post") return this.mlpOut(graph, block, directions, false);
    return directions;
  }

  unembed(graph: GraphBuilder, directions: Value): Value {
    const scale = graph.weight("gpt_neox.final_layer_norm.weight", [this.config.hidden_size]);
    return this.unembedded(graph, graph.op("Mul", [directions, scale]));
  }

  /** Values as the heads mix them, [tokens, d]. */
  private attention(graph: GraphBuilder, inputs: DecoderInputs, name: string, x: Value): Value {
    const { hidden_size: d, num_attention_heads: heads, attention_bias: bias } = this.config;
    const [query, key, value] = [0, 1, 2].map((kind) => {
      const matrix = this.ofKind(graph, `${name}query_key_value.weight`, [3 * d, d], kind);
      const vector = bias ? [this.ofKind(graph, `${name}query_key_value.bias`, [3 * d], kind)] : [];
      return graph.op("Gemm", [x, matrix, ...vector], { transB: { int: 1 } });
    });
    return causalAttention(
      graph,
      inputs,
      { query: query!, key: key!, value: value! },
      {
        heads,
        kvHeads: heads,
        headWidth: this.headWidth,
        rotaryWidth: this.rotary.width,
        window: null,
        scale: 1 / Math.sqrt(this.headWidth),
        softCap: null,
      },
    );
  }

  private attentionOut(graph: GraphBuilder, block: string, mixed: Value, bias: boolean): Value {
    const { hidden_size: d } = this.config;
    return linear(graph, mixed, `${block}attention.dense`, [d, d], bias);
  }

  /**
   * The rows of all heads' queries (0), keys (1) or values (2); in the file they stand head by head. Done once, when the
   * graph is loaded, so that no activation need be taken apart.
   */
  private ofKind(graph: GraphBuilder, name: string, shape: readonly number[], kind: number): Value {
    const { num_attention_heads: heads } = this.config;
    const apart = graph.op("Reshape", [graph.weight(name, shape), graph.ints([heads, 3, this.headWidth, -1])]);
    const rows = graph.op("Gather", [apart, graph.ints([kind])], { axis: { int: 1 } });
    return graph.op("Reshape", [rows, graph.ints([shape[0]! / 3, ...shape.slice(1)])]);
  }

  private mlp(graph: GraphBuilder, block: string, x: Value): Value {
    const { hidden_size: d, intermediate_size: inner, hidden_act } = this.config;
    return activate(graph, hidden_act, linear(graph, x, `${block}mlp.dense_h_to_4h`, [inner, d], true));
  }

  private mlpOut(graph: GraphBuilder, block: string, inner: Value, bias: boolean): Value {
    const { hidden_size: d, intermediate_size: width } = this.config;
    return linear(graph, inner, `${block}mlp.dense_4h_to_h`, [d, width], bias);
  }

  private norm(graph: GraphBuilder, x: Value, name: string): Value {
    return layerNorm(graph, x, name, this.config.hidden_size, this.config.layer_norm_eps);
  }

  private unembedded(graph: GraphBuilder, x: Value): Value {
    const { vocab_size, hidden_size } = this.config;
    return graph.op("Gemm", [x, graph.weight(this.output.weight, [vocab_size, hidden_size])], { transB: { int: 1 } });
  }
}
