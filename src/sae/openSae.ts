// An SAE from a folder or a file, in whatever layout the field has it: finds out which, and hands over to that layout's reader.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { InputError } from "../formats/inputError.ts";
import { isBareStateDict, readBareStateDict } from "./layouts/bareStateDict.ts";
import {
  isDictionaryLearning,
  readDictionaryLearning,
  saysItsClass,
  saysOtherwise,
} from "./layouts/dictionaryLearning.ts";
import { isGemmaScope, readGemmaScope } from "./layouts/gemmaScope.ts";
import { isOpenAi, readOpenAi } from "./layouts/openAi.ts";
import { jsonObject, metadataWith, type OpenedSae, type OpenOptions, thresholdWarnings } from "./layouts/opened.ts";
import { isSaeLensDict, readSaeLensDict } from "./layouts/saeLensDict.ts";
import { readSparsify } from "./layouts/sparsify.ts";
import { readStateDict, type StateDict } from "./layouts/stateDict.ts";
import { placeWarnings } from "./memberPlace.ts";
import { misreadMatrix } from "./orientation.ts";
import { checkFinite } from "./parameters.ts";
import { loadSae, WEIGHTS } from "./saeLensFolder.ts";

export const WEIGHTS_ENDINGS: readonly string[] = [".safetensors", ".npz", ".pt", ".pth", ".bin", ".ckpt"];
/** Beside weights, but none. */
const NOT_WEIGHTS = ["sparsity.safetensors", "io.safetensors"];
/** The main file of each layout, in the order in which they are looked for. */
const MAIN = [
  "sae_weights.safetensors",
  "sae.safetensors",
  "params.safetensors",
  "params.npz",
  "ae.pt",
  "autoencoder.pt",
];

/**
 * `path`: a folder of one SAE, its weights, or its configuration.
 * Throws InputError where nothing fits; a reader never guesses what would change the numbers silently: what it had to
 * assume stands in `warnings`.
 */
export async function openSae(path: string, options: OpenOptions = {}): Promise<OpenedSae> {
  const opened = await openAs(weightsFile(path), options);
  const misread = misreadMatrix(opened.sae);
  return misread ? { ...opened, warnings: [...opened.warnings, misread] } : opened;
}

async function openAs(file: string, options: OpenOptions): Promise<OpenedSae> {
  const folder = dirname(file);
  const cfg = jsonBeside(folder, "cfg.json");
  if (basename(file) === WEIGHTS) return openSaeLens(folder, file, options);
  const bare = await readStateDict(file);
  // Whatever the file is called, SAELens' configuration says how it is read.
  const saeLens = ofSaeLens(cfg);
  if (saeLens && extname(file) === ".safetensors" && bare.tensors.has("W_enc"))
    return openSaeLens(folder, file, options);
  if (basename(file) === "sae.safetensors" && cfg && !saeLens) return readSparsify(bare, cfg.value, cfg.path, options);
  const dict = saeLens && bare.config.size === 0 ? { ...bare, config: new Map(Object.entries(saeLens)) } : bare;
  if (isSaeLensDict(dict)) return readSaeLensDict(dict, options);
  const config = jsonBeside(folder, "config.json")?.value ?? null;
  return openStateDict(dict, config, options);
}

/** A folder's cfg.json where it is SAELens': sparsify's has no d_sae. */
export function saeLensBeside(folder: string): Record<string, unknown> | null {
  return ofSaeLens(jsonBeside(folder, "cfg.json"));
}

function ofSaeLens(cfg: ReturnType<typeof jsonBeside>): Record<string, unknown> | null {
  return typeof cfg?.value["d_sae"] === "number" ? cfg.value : null;
}

async function openSaeLens(folder: string, file: string, options: OpenOptions): Promise<OpenedSae> {
  const sae = await loadSae(folder, basename(file));
  const metadata = metadataWith(sae.config.metadata, options);
  const config = { ...sae.config, metadata };
  return {
    sae: { ...sae, config },
    layout: "SAELens",
    path: file,
    warnings: [...thresholdWarnings(sae), ...placeWarnings(metadata)],
  };
}

async function openStateDict(
  file: StateDict,
  config: Record<string, unknown> | null,
  options: OpenOptions,
): Promise<OpenedSae> {
  refuseCrosscoder(file);
  if (isOpenAi(file)) return readOpenAi(file, options);
  if (basename(file.path).startsWith("params.") && isGemmaScope(file)) return readGemmaScope(file, config, options);
  // A person's word on a bare state dict, and its wrap's, go before the names of its tensors, but not before what its configuration says.
  const isByNames = options.architecture === undefined && !saysOtherwise(file);
  if (isDictionaryLearning(file) && (isByNames || saysItsClass(file, config))) {
    return readDictionaryLearning(file, config, options);
  }
  if (isBareStateDict(file)) return readBareStateDict(file, options);
  await checkNamedOfSaes(file);
  const names = [...file.tensors.keys()];
  const found = `the tensors ${names.slice(0, 12).join(", ")}${names.length > 12 ? `, … (${names.length})` : ""}`;
  const expected = "an SAE of SAELens, dictionary_learning, sparsify, Gemma Scope or OpenAI";
  throw new InputError({ file: file.path, found: names.length > 0 ? found : "no tensors", expected });
}

/** Of a file that is no SAE, what is wrong with the tensors that an SAE would have: a value that is no number says more than a name that is missing. */
async function checkNamedOfSaes(file: StateDict): Promise<void> {
  for (const name of file.tensors.keys()) {
    if (/^(w_enc|w_dec|b_enc|b_dec|threshold)$/i.test(name)) checkFinite(file.path, name, await file.float32(name));
  }
}

/** A crosscoder's matrices have a third axis, its layers (or models). */
function refuseCrosscoder({ path, tensors }: StateDict): void {
  for (const [name, { shape }] of tensors) {
    if (!/^(w_enc|w_dec|(encoder|decoder)\.weight)$/i.test(name) || shape.length !== 3) continue;
    const found = `shape [${shape}]: a crosscoder, which reads several layers at once`;
    throw new InputError({ file: path, where: `tensor ${name}`, found, expected: "an SAE of one hook: a matrix" });
  }
}

/** The file of the weights that a path means. */
function weightsFile(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new InputError({ file: path, found: "no such file or folder", expected: "an SAE" });
  if (!stat.isDirectory()) return extname(path) === ".json" ? weightsFile(dirname(path)) : path;
  const names = readdirSync(path).sort();
  const chosen = weightsAmong(names);
  if (chosen !== null) return join(path, chosen);
  const weights = names.filter(isWeights);
  const inside = weights.length > 0 ? weights : names;
  const found = `${inside.slice(0, 10).join(", ") || "nothing"}${inside.length > 10 ? ", …" : ""}`;
  const expected = weights.length > 0 ? "one file of weights: say which" : "a folder with an SAE's weights";
  throw new InputError({ file: path, found, expected });
}

/** The file of weights among the names in a folder: a layout's own, or the only one there is; null without such. */
export function weightsAmong(names: readonly string[]): string | null {
  const weights = names.filter(isWeights);
  return MAIN.find((name) => names.includes(name)) ?? (weights.length === 1 ? weights[0]! : null);
}

function isWeights(name: string): boolean {
  return WEIGHTS_ENDINGS.includes(extname(name)) && !NOT_WEIGHTS.includes(name);
}

function jsonBeside(folder: string, name: string): { path: string; value: Record<string, unknown> } | null {
  const path = join(folder, name);
  return existsSync(path) ? { path, value: jsonObject(readFileSync(path, "utf8"), path) } : null;
}
