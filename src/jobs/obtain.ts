// What an experiment names of the Hugging Face hub: recognised where its file is read, and brought to this machine before its jobs run.
import { existsSync } from "node:fs";
import { extname, resolve } from "node:path";
import { datasetListPath, obtainDataset } from "../data/hub/dataset.ts";
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

/** Whether something must still be fetched. */
export function isRemote({ paths }: Experiment): boolean {
  return Object.values(paths).some((path) => typeof path === "string" && hubReferenceOf(path) !== null);
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
