// Gemma-2: norms before and after, soft caps on scores and logits, a scaled embedding, a window in every other layer.
import { z } from "zod";
import { ACTIVATIONS } from "./activation.ts";
import type { ModelFamily } from "./decoder.ts";
import { layerWindows, parseModelConfig, refuseFields } from "./modelConfig.ts";
import { rmsConfigSchema, rmsDecoder } from "./rmsDecoder.ts";

const cap = z.number().positive().nullable();

/** Width of a head where the configuration says none. */
export const GEMMA2_HEAD = 256;

const configSchema = rmsConfigSchema.extend({
  head_dim: z.int().positive().default(GEMMA2_HEAD),
  /** Counts before hidden_act, which old files carry along with another value. */
  hidden_activation: z.enum(ACTIVATIONS).nullish(),
  max_position_embeddings: z.int().positive().default(8192),
  tie_word_embeddings: z.boolean().default(true),
  query_pre_attn_scalar: z.number().positive().default(256),
  attn_logit_softcapping: cap.default(50),
  final_logit_softcapping: cap.default(30),
  sliding_window: z.int().positive().nullable().default(4096),
});

export const gemma2Family: ModelFamily = {
  modelTypes: ["gemma2"],
  async open(json, file, checkpoint) {
    const config = parseModelConfig(configSchema, json, file);
    refuseFields(json, file, ["use_bidirectional_attention"]);
    return rmsDecoder(config, file, checkpoint, {
      activation: config.hidden_activation ?? "gelu_pytorch_tanh",
      postNorms: true,
      normOffset: 1,
      embeddingScale: Math.sqrt(config.hidden_size),
      scoreScale: 1 / Math.sqrt(config.query_pre_attn_scalar),
      scoreCap: config.attn_logit_softcapping,
      logitCap: config.final_logit_softcapping,
      windows: layerWindows(json, file, config.num_hidden_layers, config.sliding_window, (layer) => layer % 2 === 0),
    });
  },
};
