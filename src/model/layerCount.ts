// How many layers a model has, read from its configuration alone: quick enough to ask while somebody chooses a hook. Opening the model is open.ts.
import { stat } from "node:fs/promises";
import { readGguf } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { readConfig } from "./huggingFaceFolder.ts";

/** Of a Hugging Face folder or a GGUF file. Throws InputError where neither says so. */
export async function layersOfModel(path: string): Promise<number> {
  const stats = await stat(path).catch(() => null);
  if (!stats) throw new InputError({ file: path, found: "nothing there", expected: "a model folder or a .gguf file" });
  const layers = stats.isDirectory() ? await ofFolder(path) : await ofGguf(path);
  if (typeof layers === "number" && Number.isSafeInteger(layers) && layers > 0) return layers;
  throw new InputError({ file: path, found: "no number of layers", expected: "a language model's configuration" });
}

async function ofFolder(folder: string): Promise<unknown> {
  const { config } = await readConfig(folder);
  return config["num_hidden_layers"] ?? config["n_layer"];
}

async function ofGguf(file: string): Promise<unknown> {
  const { metadata } = await readGguf(file);
  const layers = metadata.get(`${String(metadata.get("general.architecture"))}.block_count`);
  return layers === undefined ? undefined : Number(layers);
}
