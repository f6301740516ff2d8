// How many layers weights hold, by their tensors' names: a configuration that claims more is refused before anything is made for each of its layers.
import { type ConfigFile, refuseField } from "./modelConfig.ts";

/** As Hugging Face ("model.layers.3.…", "h.3.…") and GGUF ("blk.3.…") name a layer's tensors. */
const OF_LAYER = /(?:^|\.)(?:layers|h|blk)\.(\d+)\./;

/** Fields of configurations that say how many layers there are. */
const FIELDS = ["num_hidden_layers", "n_layer"];

/** Throws InputError where the configuration (Hugging Face's words) has more layers than the tensors. */
export function requireLayersHeld(
  config: Readonly<Record<string, unknown>>,
  tensors: Iterable<string>,
  file: ConfigFile,
): void {
  const held = new Set<string>();
  for (const name of tensors) {
    const layer = OF_LAYER.exec(name)?.[1];
    if (layer !== undefined) held.add(layer);
  }
  for (const field of FIELDS) {
    const layers = config[field];
    // What is no count is the family's to refuse.
    if (typeof layers !== "number" || layers <= held.size) continue;
    refuseField(file, field, layers, `at most ${held.size}, the layers that the weights hold`);
  }
}
