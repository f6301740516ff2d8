// Opens a language model from a path: a Hugging Face folder, a GGUF file or an ONNX file.

import { existsSync, readdirSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { defaultCacheFolder } from "../data/cacheFolder.ts";
import { hubReference } from "../data/hub/reference.ts";
import { cachedSnapshot } from "../data/hub/repository.ts";
import { readGguf } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { readOnnx } from "../formats/onnxFile.ts";
import { requireOnnxRuntime } from "../formats/onnxRuntime.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type Conversion, convertedCheckpoint, plannedCheckpoint } from "./convertedCheckpoint.ts";
import type { Decoder, ModelFamily } from "./decoder.ts";
import { unusedTensors } from "./decoderGraphs.ts";
import type { ModelDevice } from "./device/modelDevice.ts";
import { gemma2Family } from "./gemma2.ts";
import { ggufConversion } from "./ggufCheckpoint.ts";
import { ggufModel } from "./ggufFamilies.ts";
import { ggufTokenizer } from "./ggufTokenizer.ts";
import { gpt2Family } from "./gpt2.ts";
import { gptNeoXFamily } from "./gptNeoX.ts";
import { openTokenizer, openWeights, readConfig, weightsAmong } from "./huggingFaceFolder.ts";
import type { LanguageModel, Tokenizer } from "./languageModel.ts";
import { requireLayersHeld } from "./layersHeld.ts";
import { llamaFamily } from "./llama.ts";
import { externalWeights } from "./onnxExternalWeights.ts";
import { OnnxFileGraphs } from "./onnxFileGraphs.ts";
import { onnxFileInfo } from "./onnxFileInfo.ts";
import { ONNX_PLACES } from "./onnxPlaces.ts";
import { plainGraph } from "./onnxRewrites.ts";
import { qwenFamily } from "./qwen.ts";
import { isTransformerLensFolder, TRANSFORMER_LENS_WEIGHTS, transformerLensModel } from "./transformerLensFolder.ts";

/** Every family there is. */
const FAMILIES: readonly ModelFamily[] = [llamaFamily, gpt2Family, gptNeoXFamily, qwenFamily, gemma2Family];

const FORMS = "a model folder, a .gguf file or an .onnx file";

export interface OpenOptions {
  /** Threads of onnxruntime; default: one a core. */
  readonly threads?: number;
  /** Where onnxruntime computes; default: the processor. In a process of its own: device/deviceModel.ts. */
  readonly device?: ModelDevice;
  /** Where dequantised GGUF tensors are kept; default: the user's cache folder. */
  readonly cacheFolder?: string;
  /** Bytes of a GGUF file's tensors converted, and their total; not called where the cache has them. */
  readonly onConversion?: (done: number, total: number) => void;
  /** Only to examine the model: nothing is converted, and one whose weights would have to be can't be run. */
  readonly onlyExamined?: boolean;
}

/**
 * Headers, shapes and names are all checked here; weights are read when a graph first runs.
 * Throws InputError for what is missing, damaged or of a kind that isn't supported, by file and field, and Error where
 * onnxruntime can't be loaded.
 */
export async function openLanguageModel(path: string, options: OpenOptions = {}): Promise<LanguageModel> {
  const absolute = resolve(path);
  const stats = await stat(absolute).catch(() => null);
  if (!stats) {
    throw new InputError({
      file: path,
      found: "no such file or folder",
      expected: FORMS,
    });
  }
  await requireOnnxRuntime("a language model");
  const onnx = stats.isDirectory() ? onnxFileIn(absolute) : absolute.endsWith(".onnx") ? absolute : null;
  if (onnx !== null) return openOnnxFile(onnx, options);
  if (stats.isDirectory()) refuseOtherWeights(absolute);
  else if (!absolute.endsWith(".gguf"))
    throw new InputError({ file: path, found: `a ${extname(path) || "nameless"} file`, expected: FORMS });
  const { decoder, checkpoint, tokenizer, conversion } = stats.isDirectory()
    ? await openFolder(absolute)
    : await openGgufFile(absolute);
  checkParts(decoder, checkpoint, tokenizer, absolute);
  // Last, since it may take minutes.
  const weights =
    conversion && !options.onlyExamined
      ? await convertedCheckpoint(conversion, options.cacheFolder ?? defaultCacheFolder(), options.onConversion)
      : checkpoint;
  // Loaded only now, since it imports onnxruntime itself.
  const { OnnxLanguageModel } = await import("./onnxLanguageModel.ts");
  return new OnnxLanguageModel(
    basename(absolute, ".gguf"),
    decoder,
    weights,
    tokenizer,
    options.threads,
    options.device,
  );
}

/** Tensors that old files carry along: masks and rotary tables, which are computed here. */
const CARRIED_ALONG = /\.(attn|attention)\.(masked_)?bias$|rotary_emb\.inv_freq$/;

/** Whether configuration, weights and tokenizer are of one model. */
function checkParts(decoder: Decoder, checkpoint: Checkpoint, tokenizer: Tokenizer, path: string): void {
  const unused = unusedTensors(decoder, checkpoint).find(
    (name) => !decoder.output.copies.includes(name) && !CARRIED_ALONG.test(name),
  );
  if (unused !== undefined) {
    const where = `tensor ${checkpoint.nameOf?.(unused) ?? unused}`;
    const expected = `tensors of the ${decoder.info.family} model that the configuration describes, and no other`;
    throw new InputError({ file: checkpoint.path, where, found: "no use for it", expected });
  }
  if (path.endsWith(".gguf")) checkIds(tokenizer, decoder.info.dVocab, path, path, "tokenizer.ggml.");
  else checkIds(tokenizer, decoder.info.dVocab, join(path, "tokenizer.json"), join(path, "config.json"), "");
}

/** Throws InputError where the tokenizer gives ids that the model has no embedding of. An id that the vocabulary hasn't comes from `file`, where its field's name begins with `prefix`. */
function checkIds(tokenizer: Tokenizer, dVocab: number, vocabularyFile: string, file: string, prefix: string): void {
  if (tokenizer.vocabularySize > dVocab) {
    const found = `a vocabulary of ${tokenizer.vocabularySize} tokens`;
    throw new InputError({ file: vocabularyFile, found, expected: `at most ${dVocab}, the model's` });
  }
  for (const kind of ["bos", "eos"] as const) {
    const id = tokenizer[`${kind}Id`];
    if (id === null || id < dVocab) continue;
    const expected = `less than ${dVocab}, the model's vocabulary`;
    throw new InputError({ file, where: `${prefix}${kind}_token_id`, found: String(id), expected });
  }
}

/** Of a folder without safetensors: the .onnx file in it. */
function onnxFileIn(folder: string): string | null {
  if (weightsAmong((name) => existsSync(join(folder, name)))) return null;
  return ONNX_PLACES.map((place) => join(folder, place)).find(existsSync) ?? null;
}

/** Throws InputError for a folder whose only weights are in files that it can't be read from, by their names. */
function refuseOtherWeights(folder: string): void {
  const names = readdirSync(folder);
  const others = names.filter((name) => /\.(gguf|onnx|bin|pt|pth)$/.test(name));
  if (weightsAmong((name) => names.includes(name)) || names.includes(TRANSFORMER_LENS_WEIGHTS) || others.length === 0)
    return;
  const nameable = others.find((name) => /\.(gguf|onnx)$/.test(name));
  throw new InputError({
    file: folder,
    found: `its weights only in ${nameable ?? others[0]}`,
    expected:
      nameable === undefined
        ? "model.safetensors, as transformers' save_pretrained writes it"
        : `that file's own path (${join(folder, nameable)}), or model.safetensors in the folder`,
  });
}

/** Graph, configuration and tokenizer, the latter two beside the file or in the folder above. */
async function openOnnxFile(path: string, options: OpenOptions): Promise<LanguageModel> {
  const above = dirname(path);
  const folder =
    existsSync(join(above, "tokenizer.json")) || !existsSync(join(above, "..", "tokenizer.json"))
      ? above
      : dirname(above);
  const file = await readOnnx(path);
  const plain = plainGraph(path, file.graph);
  const weights = await externalWeights(path, plain.tensors);
  const graphs = new OnnxFileGraphs({ ...file, graph: { ...plain, tensors: weights.tensors } });
  const { config } = existsSync(join(folder, "config.json")) ? await readConfig(folder) : { config: {} };
  const tokenizer = await openTokenizer(folder, config);
  const { OnnxFileModel } = await import("./onnxFileModel.ts");
  const { fileInput } = await import("./onnxFileInputs.ts");
  const inputs = graphs.graph.inputs
    .filter(({ name }) => !graphs.graph.tensors.some((tensor) => tensor.name === name))
    .map((input) => fileInput(path, input));
  const info = { modelName: basename(path, ".onnx"), ...onnxFileInfo(path, graphs, config) };
  checkIds(tokenizer, info.dVocab, join(folder, "tokenizer.json"), join(folder, "config.json"), "");
  return new OnnxFileModel(path, weights.folder, info, graphs, inputs, tokenizer, options.threads, options.device);
}

interface Opened {
  readonly decoder: Decoder;
  /** Only planned where there is a conversion. */
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  /** What makes the weights, where they are of another format. */
  readonly conversion?: Conversion;
}

async function openFolder(folder: string): Promise<Opened> {
  const { path, config } = await readConfig(folder);
  if (isTransformerLensFolder(folder, config)) {
    const { config: gpt2, conversion } = await transformerLensModel(folder, config, path);
    const checkpoint = plannedCheckpoint(conversion);
    const decoder = await familyOf("gpt2", path, "model_type").open(gpt2, { path }, checkpoint);
    const tokenizer = await openTokenizer(tokenizerFolder(folder, config), config);
    return { decoder, checkpoint, tokenizer, conversion };
  }
  const family = familyOf(config["model_type"], path, "model_type");
  const checkpoint = await openWeights(folder);
  requireLayersHeld(config, checkpoint.tensors.keys(), { path });
  const decoder = await family.open(config, { path }, checkpoint);
  return { decoder, checkpoint, tokenizer: await openTokenizer(folder, config) };
}

/** TransformerLens' models name the repository of their tokenizer. */
function tokenizerFolder(folder: string, config: Readonly<Record<string, unknown>>): string {
  const name = config["tokenizer_name"];
  const reference =
    typeof name === "string" && !existsSync(join(folder, "tokenizer.json")) ? hubReference(name, "model") : null;
  return (reference && cachedSnapshot(reference)) ?? folder;
}

async function openGgufFile(path: string): Promise<Opened> {
  const file = await readGguf(path);
  const { config, configFile, mapping, nameOf } = await ggufModel(file);
  const tokenizer = ggufTokenizer(file);
  const conversion = ggufConversion(file, mapping, nameOf);
  const checkpoint = plannedCheckpoint(conversion);
  const family = familyOf(config["model_type"], path, "general.architecture");
  const decoder = await family.open(config, configFile, checkpoint);
  return { decoder, checkpoint, tokenizer, conversion };
}

function familyOf(modelType: unknown, file: string, where: string): ModelFamily {
  const family = FAMILIES.find(({ modelTypes }) => modelTypes.some((type) => type === modelType));
  if (family) return family;
  const expected = FAMILIES.flatMap(({ modelTypes }) => modelTypes).join(" or ");
  throw new InputError({
    file,
    where,
    found: modelType === undefined ? "nothing" : JSON.stringify(modelType),
    expected,
  });
}
