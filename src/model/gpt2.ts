// GPT-2: learned positions, LayerNorm, one matrix for queries, keys and values, linear maps stored [in, out].
import { z } from "zod";
import { ACTIVATIONS, activate } from "./activation.ts";
import { causalAttention } from "./attention.ts";
import type { Decoder, DecoderInputs, ModelFamily } from "./decoder.ts";
import type { GraphBuilder, Value } from "./graphBuilder.ts";
import { hookPoint, hooksOf } from "./hookPoints.ts";
import { layerNorm } from "./layers.ts";
import { type ConfigFile, fieldName, parseModelConfig, refuseField } from "./modelConfig.ts";
import { type OutputLayer, outputLayer } from "./outputLayer.ts";

const count = z.int().positive();

const configSchema = z.looseObject({
  vocab_size: count,
  n_embd: count,
  n_layer: count,
  n_head: count,
  n_positions: count,
  n_inner: count.nullish(),
  activation_function: z.enum(ACTIVATIONS).default("gelu_new"),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  /** Scores of layer l are divided by l + 1 besides. */
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
});

export const gpt2Family: ModelFamily = {
  modelTypes: ["gpt2"],
  async open(json, file, checkpoint) {
    const config = parseModelConfig(configSchema, json, file);
    const prefix = checkpoint.tensors.has("transformer.wte.weight") ? "transformer." : "";
    const output = await outputLayer(checkpoint, config.tie_word_embeddings, `${prefix}wte.weight`);
    return new Gpt2Decoder(config, file, prefix, output);
  },
};

class Gpt2Decoder implements Decoder {
  readonly info: Decoder["info"];
  readonly output: OutputLayer;
  readonly hookNames: readonly string[];
  readonly rotary = null;
  private readonly config: z.infer<typeof configSchema>;
  /** "transformer." in files that transformers writes, nothing in the hub's oldest. */
  private readonly prefix: string;
  /** Width of the MLP's inner values. */
  private readonly inner: number;

  constructor(config: z.infer<typeof configSchema>, file: ConfigFile, prefix: string, output: OutputLayer) {
    this.config = config;
    this.prefix = prefix;
    this.output = output;
    const { n_embd, n_head, n_layer, n_positions, vocab_size } = config;
    if (n_embd % n_head !== 0)
      refuseField(file, "n_embd", n_embd, `a multiple of ${n_head}, ${fieldName(file, "n_head")}`);
    this.inner = config.n_inner ?? 4 * n_embd;
    this.info = {
      family: "gpt2",
      nLayers: n_layer,
      dModel: n_embd,
      dHeads: n_embd,
      dMlp: this.inner,
      dVocab: vocab_size,
      contextSize: n_positions,
    };
    this.hookNames = hooksOf(this.info);
  }

  logits(graph: GraphBuilder, inputs: DecoderInputs, hook: (name: string, value: Value) => Value): Value {
    const { n_embd: d, n_layer, n_positions, layer_norm_epsilon: epsilon } = this.config;
    const tokens = graph.op("Gather", [this.embedding(graph), inputs.ids], { axis: { int: 0 } });
    const table = graph.weight(`${this.prefix}wpe.weight`, [n_positions, d]);
    const places = graph.op("Gather", [table, inputs.positions], { axis: { int: 0 } });
    let residual = graph.op("Add", [tokens, places]);
    for (let layer = 0; layer < n_layer; layer++) {
      const at = (name: string, value: Value) => hook(`blocks.${layer}.${name}`, value);
      const block = `${this.prefix}h.${layer}.`;
      residual = at("hook_resid_pre", residual);
      const normed = layerNorm(graph, residual, `${block}ln_1`, d, epsilon);
      const mixed = at("attn.hook_z", this.attention(graph, inputs, layer, normed));
      const attention = at("hook_attn_out", this.attentionOut(graph, block, mixed, true));
      residual = at("hook_resid_mid", graph.op("Add", [residual, attention]));
      const normedMid = layerNorm(graph, residual, `${block}ln_2`, d, epsilon);
      const inner = at("mlp.hook_post", this.mlp(graph, block, normedMid));
      const mlp = at("hook_mlp_out", this.mlpOut(graph, block, inner, true));
      residual = at("hook_resid_post", graph.op("Add", [residual, mlp]));
    }
    return this.unembedded(graph, layerNorm(graph, residual, `${this.prefix}ln_f`, d, epsilon), true);
  }

  toStream(graph: GraphBuilder, directions: Value, hookName: string): Value {
    const { layer, kind } = hookPoint(hookName);
    const block = `${this.prefix}h.${layer}.`;
    if (kind === "attn.hook_z") return this.attentionOut(graph, block, directions, false);
    if (kind === "mlp.hook_post") return this.mlpOut(graph, block, directions, false);
    return directions;
  }

  unembed(graph: GraphBuilder, directions: Value): Value {
    const scale = graph.weight(`${this.prefix}ln_f.weight`, [this.config.n_embd]);
    return this.unembedded(graph, graph.op("Mul", [directions, scale]), false);
  }

  /** Values as the heads mix them, [tokens, d]. */
  private attention(graph: GraphBuilder, inputs: DecoderInputs, layer: number, x: Value): Value {
    const { n_embd: d, n_head: heads, scale_attn_weights, scale_attn_by_inverse_layer_idx } = this.config;
    const name = `${this.prefix}h.${layer}.attn.`;
    const scale = scale_attn_weights ? 1 / Math.sqrt(d / heads) : 1;
    // The matrix is taken apart once, when the graph is loaded, so that no activation need be.
    const [query, key, value] = [0, 1, 2].map((kind) => {
      const part = (weights: Value, axis: number) =>
        graph.op("Slice", [weights, graph.ints([kind * d]), graph.ints([(kind + 1) * d]), graph.ints([axis])]);
      const matrix = part(graph.weight(`${name}c_attn.weight`, [d, 3 * d]), 1);
      return graph.op("Gemm", [x, matrix, part(graph.weight(`${name}c_attn.bias`, [3 * d]), 0)]);
    });
    return causalAttention(
      graph,
      inputs,
      { query: query!, key: key!, value: value! },
      {
        heads,
        kvHeads: heads,
        headWidth: d / heads,
        rotaryWidth: 0,
        window: null,
        scale: scale_attn_by_inverse_layer_idx ? scale / (layer + 1) : scale,
        softCap: null,
      },
    );
  }

  private attentionOut(graph: GraphBuilder, block: string, mixed: Value, bias: boolean): Value {
    const { n_embd: d } = this.config;
    return linearInOut(graph, mixed, `${block}attn.c_proj`, [d, d], bias);
  }

  private mlp(graph: GraphBuilder, block: string, x: Value): Value {
    const { n_embd: d, activation_function } = this.config;
    return activate(graph, activation_function, linearInOut(graph, x, `${block}mlp.c_fc`, [d, this.inner], true));
  }

  private mlpOut(graph: GraphBuilder, block: string, inner: Value, bias: boolean): Value {
    return linearInOut(graph, inner, `${block}mlp.c_proj`, [this.inner, this.config.n_embd], bias);
  }

  private embedding(graph: GraphBuilder): Value {
    return graph.weight(`${this.prefix}wte.weight`, [this.config.vocab_size, this.config.n_embd]);
  }

  private unembedded(graph: GraphBuilder, x: Value, withBias: boolean): Value {
    const { vocab_size, n_embd } = this.config;
    const matrix = graph.weight(this.output.weight, [vocab_size, n_embd]);
    // Only models that come from elsewhere have a bias there.
    const bias = withBias && graph.hasWeight("lm_head.bias") ? [graph.weight("lm_head.bias", [vocab_size])] : [];
    return graph.op("Gemm", [x, matrix, ...bias], { transB: { int: 1 } });
  }
}

/** x W (+ b), W as GPT-2's Conv1D stores it, [in, out]. */
function linearInOut(graph: GraphBuilder, x: Value, name: string, shape: [number, number], bias: boolean): Value {
  const matrix = graph.weight(`${name}.weight`, shape);
  return graph.op("Gemm", bias ? [x, matrix, graph.weight(`${name}.bias`, [shape[1]])] : [x, matrix]);
}
