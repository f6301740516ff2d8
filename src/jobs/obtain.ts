// What an experiment names of the Hugging Face hub: recognised where its file is read, and brought to this machine before its jobs run.
import { existsSync, statSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";
import { datasetFiles, datasetListPath, datasetSize, obtainDataset } from "../data/hub/dataset.ts";
import { type HubReference, hubReference, hubReferenceOf, hubUri } from "../data/hub/reference.ts";
import { cachedModel, obtainModel } from "../model/hubModel.ts";
import type { Experiment, ExperimentPaths } from "./experiment.ts";

/** Endings of files that lie beside an experiment; a repository may have such a name, but hardly ever has. */
const FILE_ENDINGS = new Set([".gguf", ".txt", ".jsonl", ".csv", ".tsv", ".parquet", ".gz", ".onnx", ".json"]);

/**
 * Where a name leads that is no path: the local file or folder if the hub's cache has it, otherwise what `hubReferenceOf`
 * reads. Null for a name that is a path, if to nowhere.
 */
export function hubPath(name: string, type: HubReference["type"], folder: string): string | null {
  const reference = hubReference(name, type);
  if (!reference) return null;
  const parts = name.split("/");
  if (parts.length === 2 && FILE_ENDINGS.has(extname(name))) return null;
  // "models/gpt2" beside a folder models/ is a path with a mistake in it.
  if (parts.length > 1 && existsSync(resolve(folder, parts[0]!))) return null;
  if (type === "model") return cachedModel(reference) ?? hubUri(reference);
  const list = datasetListPath(reference);
  return existsSync(list) ? list : hubUri(reference);
}

/** The path of an experiment's model; null where it is yet to be downloaded. */
export function modelHere({ paths }: Experiment): string | null {
  const reference = hubReferenceOf(paths.model);
  return reference ? cachedModel(reference) : paths.model;
}

/** Labelled texts of a section: the file, or the list that stands for a data set of the hub, whether or not it is there yet. */
export function labelledPath(name: string, folder: string): string {
  const path = resolve(folder, name);
  const reference = existsSync(path) ? null : labelledReference(name, folder);
  return reference ? datasetListPath(reference) : path;
}

/** The same, with all of the data set here: labelled texts are read whole, so whoever waits sees how far they are. */
export async function obtainLabelled(name: string, folder: string, options: ObtainOptions = {}): Promise<string> {
  const path = labelledPath(name, folder);
  const reference = labelledReference(name, folder);
  if (!reference) return path;
  const signal = options.signal && { signal: options.signal };
  const stage = "download labelled texts";
  if (!existsSync(path))
    await obtainDataset(reference, {
      ...signal,
      onProgress: (done, total) => options.onProgress?.(stage, done, total),
    });
  const { bytes } = datasetSize(path);
  let before = 0;
  const onProgress = (done: number) => options.onProgress?.(stage, before + done, bytes);
  for await (const file of datasetFiles(path, { ...signal, onProgress })) before += statSync(file).size;
  return path;
}

/** Whether a section's labelled texts are no file beside it: the demo's, or a data set of the hub. */
export function isNamedData(name: string, folder: string): boolean {
  return name === "demo" || labelledReference(name, folder) !== null;
}

/** The data set of the hub that a section's name means; null for a file. */
function labelledReference(name: string, folder: string): HubReference | null {
  if (name === "demo" || existsSync(resolve(folder, name)) || hubPath(name, "dataset", folder) === null) return null;
  return hubReference(name, "dataset");
}

/** Data sets that the experiment's sections name and whose lists aren't here yet. */
export function missingLabelled({ settings, file }: Experiment): HubReference[] {
  const names = [settings.debias, settings.concepts].flatMap((section) =>
    section ? [section.dataset_path, section.test_dataset_path ?? []].flat() : [],
  );
  return names
    .flatMap((name) => labelledReference(name, dirname(file)) ?? [])
    .filter((reference) => !existsSync(datasetListPath(reference)));
}

/** Whether something must still be fetched. */
export function isRemote(experiment: Experiment): boolean {
  const paths = Object.values(experiment.paths);
  return (
    paths.some((path) => typeof path === "string" && hubReferenceOf(path) !== null) ||
    missingLabelled(experiment).length > 0
  );
}

export interface ObtainOptions {
  readonly signal?: AbortSignal;
  /** Bytes. */
  readonly onProgress?: (stage: string, done: number, total: number) => void;
}

/** The experiment with local paths only. Throws InputError where the hub doesn't give what it names. */
export async function obtainExperiment(experiment: Experiment, options: ObtainOptions = {}): Promise<Experiment> {
  const { signal } = options;
  const obtain = async (path: string, stage: string): Promise<string> => {
    const reference = hubReferenceOf(path);
    if (!reference) return path;
    const onProgress = (done: number, total: number) => options.onProgress?.(stage, done, total);
    const common = { ...(signal && { signal }), onProgress };
    return reference.type === "model" ? obtainModel(reference, common) : obtainDataset(reference, common);
  };
  const { paths } = experiment;
  for (const reference of missingLabelled(experiment)) await obtain(hubUri(reference), "download labelled texts");
  const model = await obtain(paths.model, "download model");
  const dataset = await obtain(paths.dataset, "download text");
  const resolved: ExperimentPaths = {
    ...paths,
    model,
    dataset,
    ...(paths.testDataset !== undefined && { testDataset: await obtain(paths.testDataset, "download held-out text") }),
    indexDataset: await obtain(paths.indexDataset, "download text"),
  };
  return { ...experiment, paths: resolved };
}
