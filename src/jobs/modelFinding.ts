// Whether an experiment's model, if it is on this machine, is one that `run` would take: opened and closed again, no weights read or converted.
import { hubReferenceOf } from "../data/hub/reference.ts";
import { cachedModel } from "../model/hubModel.ts";
import type { ModelSize } from "../model/modelSize.ts";
import { vocabularyDoubt } from "../model/vocabulary.ts";
import { type Experiment, experimentError } from "./experiment.ts";
import { layersExpected } from "./experimentProblems.ts";
import type { Finding } from "./machine.ts";
import { openExperimentModel } from "./resources.ts";

/** What is wrong, or doubtful, in a sentence; null: nothing, or the model is yet to be downloaded. */
export async function examineModel(
  experiment: Experiment,
  size: ModelSize,
): Promise<Pick<Finding, "state" | "value"> | null> {
  const { settings, paths, file } = experiment;
  const problem = (value: string) => ({ state: "problem", value }) as const;
  const layers = layersExpected(settings.hook_name, size.nLayers);
  if (layers) return problem(experimentError(file, "hook_name", `"${settings.hook_name}"`, layers).message);
  const reference = hubReferenceOf(paths.model);
  const path = reference ? cachedModel(reference) : paths.model;
  if (path === null) return null;
  try {
    const model = await openExperimentModel(experiment, null, path);
    const doubt = vocabularyDoubt(model);
    await model.close();
    return doubt === null ? null : { state: "warning", value: `${settings.model_name}: ${doubt}` };
  } catch (error) {
    return problem((error as Error).message);
  }
}
