// Language models of the hub: which of a repository's files a model needs, brought into the local cache and nothing else.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { z } from "zod";
import type { HubFile } from "../data/hub/download.ts";
import { type HubReference, hubName, hubReference } from "../data/hub/reference.ts";
import { cachedSnapshot, fetchHubFiles, openHubRepository } from "../data/hub/repository.ts";
import type { HubOptions } from "../data/hub/requests.ts";
import { InputError } from "../formats/inputError.ts";
import { INDEX, SINGLE, shardsByTensor, weightsAmong } from "./huggingFaceFolder.ts";
import { externalFiles } from "./onnxExternalWeights.ts";
import { ONNX_PLACES } from "./onnxPlaces.ts";
import { TRANSFORMER_LENS_WEIGHTS } from "./transformerLensFolder.ts";

const CONFIG = "config.json";
const TOKENIZER = "tokenizer.json";
/** Read where they are there. */
const OPTIONAL = ["tokenizer_config.json", "special_tokens_map.json"];
/** Largest .onnx file that is fetched only to learn where its weights lie. */
const MOST_ASKED = 2 ** 25;

/** The model's folder, or its one file, in the local cache; null where it isn't there whole. Asks nobody. */
export function cachedModel(reference: HubReference, options: HubOptions = {}): string | null {
  const snapshot = cachedSnapshot(reference, options);
  if (snapshot === null) return null;
  const path = join(snapshot, reference.path);
  const there = (name: string) => existsSync(join(path, name));
  if (isOneFile(reference)) return existsSync(path) && lacks(path).length === 0 ? path : null;
  if (!there(CONFIG)) return null;
  try {
    const weights = weightsOf(there);
    if (weights === TRANSFORMER_LENS_WEIGHTS)
      return there(TOKENIZER) || hasTokenizer(tokenizerOf(path, reference), options) ? path : null;
    if (!there(TOKENIZER)) return null;
    if (weights === SINGLE) return path;
    if (weights === INDEX) return shardsOf(path, reference).every(there) ? path : null;
    const exported = ONNX_PLACES.find(there);
    return exported !== undefined && lacks(join(path, exported)).length === 0 ? path : null;
  } catch {
    // What is damaged isn't whole; whoever fetches it again hears what is wrong.
    return null;
  }
}

/** What of a folder the model is read from; null: an exported .onnx file at most. */
function weightsOf(
  has: (name: string) => boolean,
): typeof SINGLE | typeof INDEX | typeof TRANSFORMER_LENS_WEIGHTS | null {
  const weights = weightsAmong(has);
  return weights !== SINGLE && has(TRANSFORMER_LENS_WEIGHTS) && has(CONFIG) ? TRANSFORMER_LENS_WEIGHTS : weights;
}

/** The same, downloaded where it isn't there. Throws InputError where that can't be or the repository has no model of a kind that is read here. */
export async function obtainModel(reference: HubReference, options: HubOptions = {}): Promise<string> {
  const cached = cachedModel(reference, options);
  if (cached !== null) return cached;
  const needed = isOneFile(reference)
    ? posix.basename(reference.path)
    : `${CONFIG}, ${TOKENIZER}, ${SINGLE} or its shards`;
  const { commit, files } = await openHubRepository(reference, needed, options);
  const inside = (name: string) => (reference.path === "" ? name : `${reference.path}/${name}`);
  const find = (name: string) => files.find(({ path }) => path === name);
  const fetch = (wanted: readonly HubFile[]) => fetchHubFiles(reference, commit, wanted, options);
  const fetchFile = async (file: HubFile): Promise<string> => {
    const path = join(await fetch([...besides(file, files), file]), file.path);
    // The graph knows best where its weights are.
    const weights = lacks(path).map((name) => {
      const found = find(posix.join(posix.dirname(file.path), name));
      return found ?? refuse(reference, files, `no ${name}, which ${file.path} needs`, "every file of the model");
    });
    await fetch(weights);
    return path;
  };
  const { weights, graph, small } = modelAmong(reference, files);
  if (isOneFile(reference)) return fetchFile(graph!);
  const optional = OPTIONAL.flatMap((name) => find(inside(name)) ?? []);
  if (weights === TRANSFORMER_LENS_WEIGHTS) {
    const folder = join(await fetch([...small, ...optional, find(inside(weights))!]), reference.path);
    const tokenizer = find(inside(TOKENIZER)) ? null : tokenizerOf(folder, reference);
    if (tokenizer && !hasTokenizer(tokenizer, options)) await obtainTokenizer(tokenizer, options);
    return folder;
  }
  if (weights === null) {
    await fetchFile(graph!);
    return join(await fetch(small), reference.path);
  }
  const chosen = find(inside(weights))!;
  // One list after the other, so that progress counts all that is large.
  const folder = join(await fetch([...small, ...optional, ...(weights === INDEX ? [chosen] : [])]), reference.path);
  await fetch(weights === INDEX ? shardsAmong(folder, reference, files) : [chosen]);
  return folder;
}

/** What a repository's list says of the model. Throws InputError where that is none of a kind that is read here. */
function modelAmong(
  reference: HubReference,
  files: readonly HubFile[],
): { weights: ReturnType<typeof weightsOf>; graph: HubFile | null; small: HubFile[] } {
  const at = (path: string) => files.find((file) => file.path === path);
  const find = (name: string) => at(posix.join(reference.path, name));
  const named = reference.path === "" ? undefined : at(reference.path);
  if (isOneFile(reference)) {
    const graph = named ?? refuse(reference, files, `no file ${reference.path}`, "a file that it has");
    return { weights: null, graph, small: [] };
  }
  if (named) {
    const expected = "the repository alone, a folder of it, or a .gguf or .onnx file";
    throw new InputError({ file: hubName(reference), found: "a file that is no model by itself", expected });
  }
  const weights = weightsOf((name) => find(name) !== undefined);
  const given = [CONFIG, TOKENIZER].flatMap((name) => find(name) ?? []);
  if (weights === TRANSFORMER_LENS_WEIGHTS) return { weights, graph: null, small: given };
  const single = files.find(({ path }) => /\.(gguf|onnx)$/.test(path) && path.startsWith(reference.path));
  const orSingle = single ? `, or one file by its own name (${hubName({ ...reference, path: single.path })})` : "";
  const small = [CONFIG, TOKENIZER].map(
    (name) => find(name) ?? refuse(reference, files, `no ${name}`, `a model in transformers' form${orSingle}`),
  );
  if (weights !== null) return { weights, graph: null, small };
  const places = `${ONNX_PLACES.slice(0, 3).join(" or ")}, if in onnx/`;
  const expected = `${SINGLE}, shards with ${INDEX}, or ${places}${orSingle}`;
  const graph = ONNX_PLACES.flatMap((place) => find(place) ?? [])[0];
  return { weights, graph: graph ?? refuse(reference, files, "no weights as .safetensors or .onnx", expected), small };
}

/** Where a model of TransformerLens' own form has its tokenizer from; null where it doesn't say. */
function tokenizerOf(folder: string, reference: HubReference): HubReference | null {
  const file = `${hubName(reference)}/${CONFIG}`;
  let config: Record<string, unknown>;
  try {
    config = z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(join(folder, CONFIG), "utf8")));
  } catch {
    throw new InputError({ file, found: "something else", expected: "a model's configuration in JSON" });
  }
  const name = config["tokenizer_name"];
  return typeof name === "string" ? hubReference(name, "model") : null;
}

function hasTokenizer(reference: HubReference | null, options: HubOptions): boolean {
  const snapshot = reference && cachedSnapshot(reference, options);
  return snapshot !== null && existsSync(join(snapshot, TOKENIZER));
}

async function obtainTokenizer(reference: HubReference, options: HubOptions): Promise<void> {
  const { commit, files } = await openHubRepository(reference, TOKENIZER, options);
  const wanted = files.filter(({ path }) => [TOKENIZER, ...OPTIONAL].includes(path));
  if (!wanted.some(({ path }) => path === TOKENIZER)) refuse(reference, files, `no ${TOKENIZER}`, "a tokenizer");
  await fetchHubFiles(reference, commit, wanted, options);
}

/** Bytes that obtaining the model would still bring. Throws InputError where it can't be obtained. Asks the hub, and may fetch an index, or the small graph of an .onnx file, to know its weights by. */
export async function modelDownloadSize(reference: HubReference, options: HubOptions = {}): Promise<number> {
  if (cachedModel(reference, options) !== null) return 0;
  const { commit, files } = await openHubRepository(reference, `${CONFIG}, ${TOKENIZER} and the weights`, options);
  const find = (name: string) => files.find(({ path }) => path === posix.join(reference.path, name));
  const { weights, graph } = modelAmong(reference, files);
  const chosen = new Set(graph ? [...besides(graph, files), graph] : []);
  if (weights === INDEX) {
    // Only the index tells which of the files are the model's.
    const folder = join(await fetchHubFiles(reference, commit, [find(INDEX)!], options), reference.path);
    for (const shard of shardsAmong(folder, reference, files)) chosen.add(shard);
  } else if (weights !== null) chosen.add(find(weights)!);
  if (graph && chosen.has(graph) && graph.path.endsWith(".onnx") && !hasNamedWeights(graph, chosen)) {
    // Only the graph tells which files its weights are in; one that may hold them itself isn't fetched to be asked.
    if (graph.size <= MOST_ASKED) {
      const path = join(await fetchHubFiles(reference, commit, [graph], options), graph.path);
      const needed = lacks(path).map((name) => posix.join(posix.dirname(graph.path), name));
      for (const file of files) if (needed.includes(file.path)) chosen.add(file);
    }
  }
  return [...chosen].reduce((sum, { size }) => sum + size, 0);
}

function hasNamedWeights({ path }: HubFile, files: ReadonlySet<HubFile>): boolean {
  return [...files].some((file) => file.path.startsWith(`${path}_data`) || file.path.startsWith(`${path}.data`));
}

/** Whether the reference is to a model in one file, and to none in a folder. */
export function isOneFile({ path }: HubReference): boolean {
  return /\.(gguf|onnx)$/.test(path);
}

/** Files that an .onnx file needs and that aren't there, seen from its folder; nothing of one that can't be read, which opening it says better. */
function lacks(path: string): string[] {
  if (!path.endsWith(".onnx")) return [];
  const there = (name: string) => existsSync(join(dirname(path), name));
  const tokenizer = [TOKENIZER, join("..", TOKENIZER)].some(there) ? [] : [TOKENIZER];
  try {
    return [...tokenizer, ...externalFiles(path).filter((name) => !there(name))];
  } catch {
    return tokenizer;
  }
}

/** What an .onnx file needs beside it: its weights by their usual names, and configuration and tokenizer there or in the folder above. */
function besides({ path }: { readonly path: string }, files: readonly HubFile[]): HubFile[] {
  if (!path.endsWith(".onnx")) return [];
  const folder = posix.dirname(path);
  const places = [folder, posix.dirname(folder)];
  const small = [CONFIG, TOKENIZER, ...OPTIONAL];
  return files.filter(
    (file) =>
      file.path.startsWith(`${path}_data`) ||
      file.path.startsWith(`${path}.data`) ||
      (places.includes(posix.dirname(file.path)) && small.includes(posix.basename(file.path))),
  );
}

function shardsOf(folder: string, reference: HubReference): string[] {
  return [...new Set(Object.values(shardsByTensor(folder, `${hubName(reference)}/${INDEX}`)))];
}

/** The repository's files that the index in the folder names. */
function shardsAmong(folder: string, reference: HubReference, files: readonly HubFile[]): HubFile[] {
  return shardsOf(folder, reference).map((shard) => {
    const file = files.find(({ path }) => path === posix.join(reference.path, shard));
    return file ?? refuse(reference, files, `no ${shard}, which ${INDEX} names`, "every shard");
  });
}

function refuse(reference: HubReference, files: readonly HubFile[], found: string, expected: string): never {
  const folder = isOneFile(reference) ? posix.dirname(reference.path) : reference.path || ".";
  const names = files.map(({ path }) => path).filter((path) => posix.dirname(path) === folder);
  const list = names.length === 0 ? "nothing" : `${names.slice(0, 12).join(", ")}${names.length > 12 ? ", …" : ""}`;
  throw new InputError({ file: hubName(reference), found: `${found} among ${list}`, expected });
}
