// Language models of the hub: which of a repository's files a model needs, brought into the local cache and nothing else.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { z } from "zod";
import type { HubFile } from "../data/hub/download.ts";
import { type HubReference, hubName, hubReference } from "../data/hub/reference.ts";
import { cachedSnapshot, fetchHubFiles, openHubRepository } from "../data/hub/repository.ts";
import type { HubOptions } from "../data/hub/requests.ts";
import { InputError } from "../formats/inputError.ts";
import { externalFiles } from "./onnxExternalWeights.ts";
import { ONNX_PLACES } from "./onnxPlaces.ts";
import { TRANSFORMER_LENS_WEIGHTS } from "./transformerLensFolder.ts";

const CONFIG = "config.json";
const TOKENIZER = "tokenizer.json";
const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** Read where they are there. */
const OPTIONAL = ["tokenizer_config.json", "special_tokens_map.json"];
/** Largest .onnx file that is fetched only to learn where its weights lie. */
const MOST_ASKED = 2 ** 25;

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/** The model's folder, or its one file, in the local cache; null where it isn't there whole. Asks nobody. */
export function cachedModel(reference: HubReference, options: HubOptions = {}): string | null {
  const snapshot = cachedSnapshot(reference, options);
  if (snapshot === null) return null;
  const path = join(snapshot, reference.path);
  const there = (name: string) => existsSync(join(path, name));
  if (isOneFile(reference)) return existsSync(path) && lacks(path).length === 0 ? path : null;
  if (!there(CONFIG)) return null;
  if (there(TRANSFORMER_LENS_WEIGHTS))
    return there(TOKENIZER) || hasTokenizer(tokenizerOf(path), options) ? path : null;
  if (!there(TOKENIZER)) return null;
  if (!there(INDEX) && !there(SINGLE)) {
    const exported = ONNX_PLACES.find(there);
    return exported !== undefined && lacks(join(path, exported)).length === 0 ? path : null;
  }
  if (!there(INDEX)) return path;
  try {
    return shardsOf(path, reference).every(there) ? path : null;
  } catch {
    return null;
  }
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
  if (isOneFile(reference))
    return fetchFile(
      find(reference.path) ?? refuse(reference, files, `no file ${reference.path}`, "a file that it has"),
    );
  const lens = find(inside(TRANSFORMER_LENS_WEIGHTS));
  const given = [CONFIG, TOKENIZER, ...OPTIONAL].flatMap((name) => find(inside(name)) ?? []);
  if (lens && find(inside(CONFIG)) && !find(inside(SINGLE))) {
    const folder = join(await fetch([...given, lens]), reference.path);
    const tokenizer = find(inside(TOKENIZER)) ? null : tokenizerOf(folder);
    if (tokenizer && !hasTokenizer(tokenizer, options)) await obtainTokenizer(tokenizer, options);
    return folder;
  }
  const small = [CONFIG, TOKENIZER].map(
    (name) => find(inside(name)) ?? refuse(reference, files, `no ${name}`, "a model in transformers' form"),
  );
  const index = find(inside(INDEX));
  const single = find(inside(SINGLE));
  if (!index && !single) {
    const exported = ONNX_PLACES.flatMap((place) => find(inside(place)) ?? [])[0];
    if (!exported)
      refuse(
        reference,
        files,
        "no weights as .safetensors or .onnx",
        `${SINGLE}, shards with ${INDEX}, or ${ONNX_PLACES.slice(0, 3).join(" or ")}, if in onnx/`,
      );
    await fetchFile(exported);
    return join(await fetch(small), reference.path);
  }
  const optional = OPTIONAL.flatMap((name) => find(inside(name)) ?? []);
  // One list after the other, so that progress counts all that is large.
  const folder = join(await fetch([...small, ...optional, ...(single ? [] : [index!])]), reference.path);
  const weights = single
    ? [single]
    : shardsOf(folder, reference).map(
        (shard) => find(inside(shard)) ?? refuse(reference, files, `no ${shard}, which ${INDEX} names`, "every shard"),
      );
  await fetch(weights);
  return folder;
}

/** Where a model of TransformerLens' own form has its tokenizer from; null where it doesn't say. */
function tokenizerOf(folder: string): HubReference | null {
  const { tokenizer_name } = JSON.parse(readFileSync(join(folder, CONFIG), "utf8")) as { tokenizer_name?: unknown };
  return typeof tokenizer_name === "string" ? hubReference(tokenizer_name, "model") : null;
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

/** Bytes that obtaining the model would still bring. Asks the hub, and may fetch the small graph of an .onnx file to know its weights by. */
export async function modelDownloadSize(reference: HubReference, options: HubOptions = {}): Promise<number> {
  if (cachedModel(reference, options) !== null) return 0;
  const { commit, files } = await openHubRepository(reference, `${CONFIG}, ${TOKENIZER} and the weights`, options);
  const ours = files.filter(({ path }) => posix.dirname(path) === (reference.path || "."));
  const single = ours.filter(({ path }) => posix.basename(path) === SINGLE);
  const lens = ours.filter(({ path }) => posix.basename(path) === TRANSFORMER_LENS_WEIGHTS);
  const sharded = ours.filter(({ path }) => path.endsWith(".safetensors"));
  const place = ONNX_PLACES.map((name) => posix.join(reference.path, name));
  const oneFile = isOneFile(reference)
    ? reference.path
    : place.find((path) => files.some((file) => file.path === path));
  const graph = files.find(({ path }) => path === oneFile);
  const exported = graph ? [...besides(graph, files), graph] : [];
  const kinds = isOneFile(reference) ? [] : [single, sharded, lens];
  const chosen = new Set([...kinds, exported].find(({ length }) => length > 0));
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
  const path = join(folder, INDEX);
  const parsed = indexSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (!parsed.success)
    throw new InputError({
      file: `${hubName(reference)}/${INDEX}`,
      found: "something else",
      expected: "an index of shards",
    });
  return [...new Set(Object.values(parsed.data.weight_map))];
}

function refuse(reference: HubReference, files: readonly HubFile[], found: string, expected: string): never {
  const names = files.map(({ path }) => path).filter((path) => dirname(path) === (reference.path || "."));
  const list = names.length === 0 ? "nothing" : `${names.slice(0, 12).join(", ")}${names.length > 12 ? ", …" : ""}`;
  throw new InputError({ file: hubName(reference), found: `${found} among ${list}`, expected });
}
