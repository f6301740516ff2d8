// How large a language model is, before its weights are there: from its configuration, on this machine or on the hub, or from a list of models that presets name.
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { type HubReference, hubName, hubReferenceOf } from "../data/hub/reference.ts";
import { fetchHubFiles, openHubRepository } from "../data/hub/repository.ts";
import { ofAllLayers, readGguf } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { readOnnx } from "../formats/onnxFile.ts";
import { GEMMA2_HEAD } from "./gemma2.ts";
import type { BlockHooks } from "./hookPoints.ts";
import { isOneFile } from "./hubModel.ts";
import { OnnxFileGraphs } from "./onnxFileGraphs.ts";
import { onnxFileInfo } from "./onnxFileInfo.ts";
import { ONNX_PLACES } from "./onnxPlaces.ts";
import { QWEN3_HEAD } from "./qwen.ts";

export interface ModelSize extends BlockHooks {
  readonly nLayers: number;
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

/** What the sizes of a layer's matrices follow from. */
interface Layout {
  readonly nLayers: number;
  readonly dModel: number;
  /** Queries' heads × width of a head. */
  readonly dHeads: number;
  /** Keys' heads × width of a head. */
  readonly dKeys: number;
  readonly dMlp: number;
  readonly dVocab: number;
  /** An MLP with a gate has three matrices, without one two. */
  readonly gated: boolean;
  /** Attention and MLP side by side. */
  readonly parallel?: boolean;
}

/** So that an experiment can be weighed without a network. */
const KNOWN: Readonly<Record<string, Layout & { readonly converted: number }>> = {
  "NeelNanda/GELU_1L512W_C4_Code": { ...plain(1, 512, 48_262), converted: lensCopy(plain(1, 512, 48_262), 1024) },
  "EleutherAI/pythia-70m-deduped": { ...plain(6, 512, 50_304), parallel: true, converted: 0 },
  "EleutherAI/pythia-160m": { ...plain(12, 768, 50_304), parallel: true, converted: 0 },
  "HuggingFaceTB/SmolLM2-135M": {
    nLayers: 30,
    dModel: 576,
    dHeads: 576,
    dKeys: 192,
    dMlp: 1536,
    dVocab: 49_152,
    gated: true,
    converted: 0,
  },
  "google/gemma-2-2b": {
    nLayers: 26,
    dModel: 2304,
    dHeads: 2048,
    dKeys: 1024,
    dMlp: 9216,
    dVocab: 256_000,
    gated: true,
    converted: 0,
  },
};

/** Widths of a head by families whose configuration need not say them, and which don't follow from the model's. */
const HEAD_WIDTHS: Readonly<Record<string, number>> = { qwen3: QWEN3_HEAD, gemma2: GEMMA2_HEAD };

/** As GPT-2 and Pythia are laid out. */
function plain(nLayers: number, d: number, dVocab: number): Layout {
  return { nLayers, dModel: d, dHeads: d, dKeys: d, dMlp: 4 * d, dVocab, gated: false };
}

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
  if (known) return sizeOf(known, known.converted);
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
  if (path.endsWith(".onnx")) return asExported(size);
  if (!path.endsWith(".gguf")) return size;
  return { ...size, converted: 4 * (size.perLayer * size.nLayers + 2 * size.dVocab * size.dModel) };
}

async function ofFile(path: string): Promise<ModelSize> {
  if (!path.endsWith(".gguf")) {
    const config = [join(path, "..", "config.json"), join(path, "..", "..", "config.json")].find(existsSync);
    return config ? asExported(await ofConfig(config)) : ofGraph(path);
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
  const size = sizeByNames(path, {
    num_hidden_layers: of("block_count"),
    hidden_size: of("embedding_length"),
    intermediate_size: of("feed_forward_length"),
    num_attention_heads: of("attention.head_count"),
    num_key_value_heads: of("attention.head_count_kv"),
    head_dim: of("attention.key_length"),
    vocab_size: Array.isArray(tokens) ? tokens.length : undefined,
    hidden_act: architecture === "gpt2" || architecture === "gptneox" ? "gelu" : "silu",
    ...(architecture === "gptneox" && { model_type: "gpt_neox", use_parallel_residual: of("use_parallel_residual") }),
  });
  return { ...size, converted };
}

/** The exporter's graph has the hooks of the residual stream alone, whatever the configuration says. */
function asExported({ dHeads: _, dMlp: __, ...size }: ModelSize): ModelSize {
  return size;
}

/** Of an exported model without a configuration: what its own graph and tensors say. */
async function ofGraph(path: string): Promise<ModelSize> {
  const graphs = new OnnxFileGraphs(await readOnnx(path));
  const { nLayers, dModel, dVocab, parallel } = onnxFileInfo(path, graphs, {});
  // All matrices but embedding and unembedding are the layers'.
  const matrices = graphs.graph.tensors.filter(({ shape }) => shape.length > 1 && !shape.includes(dVocab));
  const numbers = matrices.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  return { nLayers, dModel, dVocab, ...(parallel && { parallel }), perLayer: numbers / nLayers, converted: 0 };
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
  return sizeByNames(path, (json ?? {}) as Record<string, unknown>);
}

/** By whichever of the families' names there are. */
function sizeByNames(file: string, config: Readonly<Record<string, unknown>>): ModelSize {
  const read = (...keys: string[]) => keys.map((key) => config[key]).find((value) => typeof value === "number");
  const need = (...keys: string[]): number => {
    const value = read(...keys);
    if (value !== undefined && value > 0) return value;
    throw new InputError({ file, where: keys[0]!, found: String(config[keys[0]!] ?? "nothing"), expected: "a number" });
  };
  const d = need("hidden_size", "n_embd", "d_model");
  const heads = need("num_attention_heads", "n_head", "n_heads");
  const family = String(config["model_type"]);
  const width = read("head_dim", "d_head") ?? HEAD_WIDTHS[family] ?? d / heads;
  const layout: Layout = {
    nLayers: need("num_hidden_layers", "n_layer", "n_layers"),
    dModel: d,
    dHeads: heads * width,
    dKeys: (read("num_key_value_heads") ?? heads) * width,
    dMlp: read("intermediate_size", "n_inner", "d_mlp") ?? 4 * d,
    dVocab: need("vocab_size", "d_vocab"),
    gated: /silu|swish/.test(String(config["hidden_act"])) || family === "gemma2",
    parallel: family === "gpt_neox" && config["use_parallel_residual"] !== false,
  };
  const isLens = config["model_type"] === undefined && config["act_fn"] !== undefined;
  return sizeOf(layout, isLens ? lensCopy(layout, need("n_ctx")) : 0);
}

function sizeOf({ parallel, ...layout }: Layout, converted: number): ModelSize {
  const { nLayers, dModel, dHeads, dKeys, dMlp, dVocab, gated } = layout;
  const perLayer = 2 * dModel * (dHeads + dKeys) + (gated ? 3 : 2) * dModel * dMlp;
  return { nLayers, dModel, dHeads, dMlp, dVocab, ...(parallel && { parallel }), perLayer, converted };
}

/** Bytes of a model of TransformerLens' own form as a GPT-2 in float32: matrices, biases and norms (transformerLensFolder.ts). */
function lensCopy({ nLayers, dModel: d, dMlp, dVocab }: Layout, context: number): number {
  const layer = 4 * d * d + 2 * d * dMlp + dMlp + 9 * d;
  return 4 * (nLayers * layer + (2 * dVocab + context + 2) * d + dVocab);
}
