// Whether an experiment's model, if it is on this machine, is one that `run` would take: opened and closed again, no weights read.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { hubReferenceOf } from "../data/hub/reference.ts";
import { readGguf } from "../formats/gguf.ts";
import { ggufModel } from "../model/ggufFamilies.ts";
import { cachedModel } from "../model/hubModel.ts";
import type { ModelSize } from "../model/modelSize.ts";
import { TRANSFORMER_LENS_WEIGHTS } from "../model/transformerLensFolder.ts";
import { type Experiment, shownPath } from "./experiment.ts";
import { openExperimentModel } from "./resources.ts";

/** What is wrong, in a sentence; null: nothing, or the model is yet to be downloaded. */
export async function examineModel(experiment: Experiment, size: ModelSize): Promise<string | null> {
  const { settings, paths, file } = experiment;
  const layer = Number(/^blocks\.(\d+)\./.exec(settings.hook_name)?.[1] ?? 0);
  if (layer >= size.nLayers)
    return `${shownPath(file)}, hook_name: found "${settings.hook_name}", expected blocks.0 to blocks.${size.nLayers - 1}`;
  const reference = hubReferenceOf(paths.model);
  const path = reference ? cachedModel(reference) : paths.model;
  if (path === null) return null;
  try {
    if (path.endsWith(".gguf")) await ggufModel(await readGguf(path));
    else if (!(await isFile(join(path, TRANSFORMER_LENS_WEIGHTS))))
      await (await openExperimentModel(experiment, () => {}, path)).close();
    // Opening the others would convert all their weights first.
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}
