// The Llama family (Llama 2 and 3, SmolLM, TinyLlama, …), and Mistral, which looks back through a window only.
import type { ModelFamily } from "./decoder.ts";
import { layerWindows, parseModelConfig, refuseFields } from "./modelConfig.ts";
import { rmsConfigSchema, rmsDecoder } from "./rmsDecoder.ts";

export const llamaFamily: ModelFamily = {
  modelTypes: ["llama", "mistral"],
  async open(json, file, checkpoint) {
    const config = parseModelConfig(rmsConfigSchema, json, file);
    refuseFields(json, file, ["attn_logit_softcapping", "final_logit_softcapping", "no_rope_layers"]);
    const window = config.model_type === "mistral" ? (config.sliding_window ?? null) : null;
    const windows = layerWindows(json, file, config.num_hidden_layers, window, () => true);
    return rmsDecoder(config, file, checkpoint, { windows });
  },
};
