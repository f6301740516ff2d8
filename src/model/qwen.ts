// The Qwen family, 2 (biases on queries, keys and values) and 3 (norms on queries and keys instead).
import { z } from "zod";
import type { ModelFamily } from "./decoder.ts";
import { layerWindows, parseModelConfig, refuseFields } from "./modelConfig.ts";
import { rmsConfigSchema, rmsDecoder } from "./rmsDecoder.ts";

const configSchema = rmsConfigSchema.extend({
  use_sliding_window: z.boolean().default(false),
  /** The layers before this one see everything. */
  max_window_layers: z.int().nonnegative().default(28),
});

/** Where windows are used and a file says nothing; null says none. */
const WINDOW = 4096;
/** Qwen3's own default; Qwen2's follows from the width. */
export const QWEN3_HEAD = 128;

export const qwenFamily: ModelFamily = {
  modelTypes: ["qwen2", "qwen3"],
  async open(json, file, checkpoint) {
    const parsed = parseModelConfig(configSchema, json, file);
    refuseFields(json, file, ["attn_logit_softcapping", "final_logit_softcapping"]);
    const third = parsed.model_type === "qwen3";
    const config = third ? { ...parsed, head_dim: parsed.head_dim ?? QWEN3_HEAD } : parsed;
    const { use_sliding_window, sliding_window = WINDOW } = config;
    const window = use_sliding_window ? sliding_window : null;
    const slides = (layer: number) => layer >= config.max_window_layers;
    return rmsDecoder(config, file, checkpoint, {
      windows: layerWindows(json, file, config.num_hidden_layers, window, slides),
      ...(third ? { queryKeyNorm: true } : { queryKeyValueBias: true }),
    });
  },
};
