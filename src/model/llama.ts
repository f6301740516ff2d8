// The Llama family (Llama 2 and 3, SmolLM, TinyLlama, …), and Mistral, which looks back through a window only.
import type { ModelFamily } from "./decoder.ts";
import { layerWindows, parseModelConfig, refuseFields } from "./modelConfig.ts";
import { rmsConfigSchema, rmsDecoder } from "./rmsDecoder.ts";

/** Mistral's own default; null in a file means none. */
const MISTRAL_WINDOW = 4096;

export const llamaFamily: ModelFamily = {
  modelTypes: ["llama", "mistral"],
  async open(json, file, checkpoint) {
    const config = parseModelConfig(rmsConfigSchema, json, file);
    refuseFields(json, file, ["attn_logit_softcapping", "final_logit_softcapping", "no_rope_layers"]);
    const { model_type, sliding_window = MISTRAL_WINDOW } = config;
    const window = model_type === "mistral" ? sliding_window : null;
    const windows = layerWindows(json, file, config.num_hidden_layers, window, () => true);
    return rmsDecoder(config, file, checkpoint, { windows });
  },
};
