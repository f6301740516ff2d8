// Opens a language model from a path: a Hugging Face folder or a GGUF file.
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { readGguf } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { requireOnnxRuntime } from "../formats/onnxRuntime.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Decoder, ModelFamily } from "./decoder.ts";
import { logitsGraph } from "./decoderGraphs.ts";
import { openGgufCheckpoint } from "./ggufCheckpoint.ts";
import { ggufLlamaConfig, ggufLlamaTensors } from "./ggufLlama.ts";
import { ggufTokenizer } from "./ggufTokenizer.ts";
import { openTokenizer, openWeights, readConfig } from "./huggingFaceFolder.ts";
import type { LanguageModel, Tokenizer } from "./languageModel.ts";
import { llamaFamily } from "./llama.ts";

/** Every family there is. */
const FAMILIES: readonly ModelFamily[] = [llamaFamily];

export interface OpenOptions {
  /** Threads of onnxruntime; default: one a core. */
  readonly threads?: number;
  /** Where dequantised GGUF tensors are kept; default: the user's cache folder. */
  readonly cacheFolder?: string;
  /** Bytes of a GGUF file's tensors converted, and their total; not called where the cache has them. */
  readonly onConversion?: (done: number, total: number) => void;
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
    throw new InputError({ file: path, found: "no such file or folder", expected: "a model folder or a .gguf file" });
  }
  await requireOnnxRuntime("a language model");
  const { decoder, checkpoint, tokenizer } = stats.isDirectory()
    ? await openFolder(absolute)
    : await openGgufFile(absolute, options);
  // Builds the whole graph once and throws it away: a tensor that is missing or misshapen is found now.
  logitsGraph(decoder, checkpoint, null);
  // Loaded only now, since it imports onnxruntime itself.
  const { OnnxLanguageModel } = await import("./onnxLanguageModel.ts");
  return new OnnxLanguageModel(basename(absolute, ".gguf"), decoder, checkpoint, tokenizer, options.threads);
}

interface Opened {
  readonly decoder: Decoder;
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
}

async function openFolder(folder: string): Promise<Opened> {
  const { path, config } = await readConfig(folder);
  const family = familyOf(config["model_type"], path, "model_type");
  const checkpoint = await openWeights(folder);
  const decoder = await family.open(config, path, checkpoint);
  return { decoder, checkpoint, tokenizer: await openTokenizer(folder, config) };
}

async function openGgufFile(path: string, options: OpenOptions): Promise<Opened> {
  const file = await readGguf(path);
  const architecture = file.metadata.get("general.architecture");
  if (architecture !== "llama") {
    const found = typeof architecture === "string" ? architecture : "nothing";
    throw new InputError({ file: path, where: "general.architecture", found, expected: "llama" });
  }
  const config = await ggufLlamaConfig(file);
  const tokenizer = ggufTokenizer(file);
  const mapping = ggufLlamaTensors(file, config["head_dim"] as number);
  const cacheFolder = options.cacheFolder ?? defaultCacheFolder();
  const checkpoint = await openGgufCheckpoint(file, mapping, cacheFolder, options.onConversion);
  const decoder = await familyOf(architecture, path, "general.architecture").open(config, path, checkpoint);
  return { decoder, checkpoint, tokenizer };
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

/** The platform's folder for what can be made anew. */
function defaultCacheFolder(): string {
  const { platform, env } = process;
  const base =
    platform === "darwin"
      ? join(homedir(), "Library", "Caches")
      : platform === "win32"
        ? (env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"))
        : env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return join(base, "sae-ensembles");
}
