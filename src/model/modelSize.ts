// How large a language model is, before its weights are there: from its configuration, on this machine or on the hub, or from a list of models that presets name.
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { type HubReference, hubName, hubReferenceOf } from "../data/hub/reference.ts";
import { fetchHubFiles, openHubRepository } from "../data/hub/repository.ts";
import { ofAllLayers, readGguf } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { readOnnx } from "../formats/onnxFile.ts";
import { isOneFile } from "./hubModel.ts";
import { OnnxFileGraphs } from "./onnxFileGraphs.ts";
import { onnxFileInfo } from "./onnxFileInfo.ts";
import { ONNX_PLACES } from "./onnxPlaces.ts";

export interface ModelSize {
  readonly nLayers: number;
  readonly dModel: number;
  readonly dVocab: number;
  /** Weights of one layer's matrices. */
  readonly perLayer: number;
  /**
   * Bytes of the float32 copy of its weights that a GGUF file, or a model of TransformerLens' own form, is run from; without
   * norms and biases where only a GGUF file's configuration is there. 0 for a model that is run as it is.
   */
  readonly converted: number;
}

/** The model may be a good one all the same: only its size can't be told, or not yet. */
export class SizeUnknown extends InputError {}

/** So that an experiment can be weighed without a network: [layers, width, vocabulary, weights a layer, bytes converted]. */
const KNOWN: Readonly<Record<string, readonly [number, number, number, number, number]>> = {
  "NeelNanda/GELU_1L512W_C4_Code": [1, 512, 48_262, 12 * 512 ** 2, lensCopy(1, 512, 2048, 48_262, 1024)],
  "EleutherAI/pythia-70m-deduped": [6, 512, 50_304, 12 * 512 ** 2, 0],
  "EleutherAI/pythia-160m": [12, 768, 50_304, 12 * 768 ** 2, 0],
  "HuggingFaceTB/SmolLM2-135M": [30, 576, 49_152, 2 * 576 ** 2 + 2 * 576 * 192 + 3 * 576 * 1536, 0],
  "google/gemma-2-2b": [26, 2304, 256_000, 2 * 2304 * 2048 + 2 * 2304 * 1024 + 3 * 2304 * 9216, 0],
};

/**
 * `path`: a folder, a file, or what stands for a name of the hub. Throws InputError where none of them tells, SizeUnknown where
 * that need not be wrong.
 */
export async function modelSize(path: string): Promise<ModelSize> {
  const reference = hubReferenceOf(path);
  if (!reference) {
    const stats = await stat(path).catch(() => null);
    if (!stats) throw new InputError({ file: path, found: "nothing there", expected: "a model's folder or file" });
    if (!stats.isDirectory()) return ofFile(path);
    const config = join(path, "config.json");
    // An exported model needs none.
    const exported = existsSync(config) ? undefined : ONNX_PLACES.find((place) => existsSync(join(path, place)));
    return exported === undefined ? ofConfig(config) : ofFile(join(path, exported));
  }
  const known = KNOWN[reference.repo];
  if (known) {
    const [nLayers, dModel, dVocab, perLayer, converted] = known;
    return { nLayers, dModel, dVocab, perLayer, converted };
  }
  return ofRepository(reference);
}

/** Of a folder's config.json, or that beside or above the one file that is named. */
async function ofRepository(reference: HubReference): Promise<ModelSize> {
  const { commit, files } = await openHubRepository(reference, "config.json");
  const { path } = reference;
  const find = (name: string) => files.find((file) => file.path === name);
  const one = isOneFile(reference);
  const folders = one ? [posix.dirname(path), posix.dirname(posix.dirname(path))] : [path];
  const file = folders.flatMap((folder) => find(posix.join(folder, "config.json")) ?? [])[0];
  if (one && !find(path))
    throw new InputError({
      file: hubName(reference),
      found: "no such file",
      expected: "a file that the repository has",
    });
  if (one && !file)
    throw new SizeUnknown({
      file: hubName(reference),
      found: "no config.json beside it",
      expected: "one, to know the model's size, and what it needs, before it is downloaded",
    });
  if (!file)
    throw new InputError({
      file: reference.repo,
      found: `no ${posix.join(path, "config.json")}`,
      expected: "a model's configuration",
    });
  const size = await ofConfig(join(await fetchHubFiles(reference, commit, [file]), file.path));
  if (!path.endsWith(".gguf")) return size;
  return { ...size, converted: 4 * (size.perLayer * size.nLayers + 2 * size.dVocab * size.dModel) };
}

async function ofFile(path: string): Promise<ModelSize> {
  if (!path.endsWith(".gguf")) {
    const config = [join(path, "..", "config.json"), join(path, "..", "..", "config.json")].find(existsSync);
    return config ? ofConfig(config) : ofGraph(path);
  }
  const { metadata, tensors } = await readGguf(path);
  const architecture = metadata.get("general.architecture");
  const of = (key: string) => {
    const value = ofAllLayers(metadata.get(`${architecture}.${key}`), metadata.get(`${architecture}.block_count`));
    return typeof value === "bigint" ? Number(value) : value;
  };
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const numbers = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  // Tables of rotary frequencies are read and not kept.
  const kept = [...tensors].filter(([name]) => name !== "rope_freqs.weight");
  const converted = kept.reduce((sum, [, { shape }]) => sum + 4 * numbers(shape), 0);
  const size = sizeOf(path, {
    num_hidden_layers: of("block_count"),
    hidden_size: of("embedding_length"),
    intermediate_size: of("feed_forward_length"),
    num_attention_heads: of("attention.head_count"),
    num_key_value_heads: of("attention.head_count_kv"),
    head_dim: of("attention.key_length"),
    vocab_size: Array.isArray(tokens) ? tokens.length : undefined,
    hidden_act: architecture === "gpt2" || architecture === "gptneox" ? "gelu" : "silu",
  });
  return { ...size, converted };
}

/** Of an exported model without a configuration: what its own graph and tensors say. */
async function ofGraph(path: string): Promise<ModelSize> {
  const graphs = new OnnxFileGraphs(await readOnnx(path));
  const { nLayers, dModel, dVocab } = onnxFileInfo(path, graphs, {});
  // All matrices but embedding and unembedding are the layers'.
  const matrices = graphs.graph.tensors.filter(({ shape }) => shape.length > 1 && !shape.includes(dVocab));
  const numbers = matrices.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  return { nLayers, dModel, dVocab, perLayer: numbers / nLayers, converted: 0 };
}

async function ofConfig(path: string): Promise<ModelSize> {
  const text = await readFile(path, "utf8").catch(() => {
    throw new InputError({ file: path, found: "no such file", expected: "a model's configuration" });
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file: path, found: (error as Error).message, expected: "a model's configuration in JSON" });
  }
  return sizeOf(path, (json ?? {}) as Record<string, unknown>);
}

/** By whichever of the families' names there are. */
function sizeOf(file: string, config: Readonly<Record<string, unknown>>): ModelSize {
  const read = (...keys: string[]) => keys.map((key) => config[key]).find((value) => typeof value === "number");
  const need = (...keys: string[]): number => {
    const value = read(...keys);
    if (value !== undefined && value > 0) return value;
    throw new InputError({ file, where: keys[0]!, found: String(config[keys[0]!] ?? "nothing"), expected: "a number" });
  };
  const d = need("hidden_size", "n_embd", "d_model");
  const heads = need("num_attention_heads", "n_head", "n_heads");
  const width = read("head_dim", "d_head") ?? d / heads;
  const kv = (read("num_key_value_heads") ?? heads) * width;
  const inner = read("intermediate_size", "n_inner", "d_mlp") ?? 4 * d;
  const nLayers = need("num_hidden_layers", "n_layer", "n_layers");
  const dVocab = need("vocab_size", "d_vocab");
  const isLens = config["model_type"] === undefined && config["act_fn"] !== undefined;
  // The families with a gate have three matrices in their MLP.
  const gated = /silu|swish/.test(String(config["hidden_act"])) || config["model_type"] === "gemma2";
  return {
    nLayers,
    dModel: d,
    dVocab,
    perLayer: 2 * d * heads * width + 2 * d * kv + (gated ? 3 : 2) * d * inner,
    converted: isLens ? lensCopy(nLayers, d, inner, dVocab, need("n_ctx")) : 0,
  };
}

/** Bytes of a model of TransformerLens' own form as a GPT-2 in float32: matrices, biases and norms (transformerLensFolder.ts). */
function lensCopy(layers: number, d: number, inner: number, vocabulary: number, context: number): number {
  const layer = 4 * d * d + 2 * d * inner + inner + 9 * d;
  return 4 * (layers * layer + (2 * vocabulary + context + 2) * d + vocabulary);
}
