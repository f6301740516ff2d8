// Whether an experiment's model, if it is on this machine, is one that `run` would take: opened and closed again, no weights read or converted.
import { modelDoubts } from "../model/doubts.ts";
import { hooksExpected } from "../model/hookPoints.ts";
import type { ModelSize } from "../model/modelSize.ts";
import { type Experiment, experimentError } from "./experiment.ts";
import type { Finding } from "./machine.ts";
import { modelHere } from "./obtain.ts";
import { openExperimentModel } from "./resources.ts";

type ModelFinding = Pick<Finding, "state" | "value">;

/** What is wrong, or doubtful, in a sentence; null: nothing, or the model is yet to be downloaded. */
export async function examineModel(experiment: Experiment): Promise<ModelFinding | null> {
  const { settings } = experiment;
  const path = modelHere(experiment);
  if (path === null) return null;
  try {
    const model = await openExperimentModel(experiment, null, path);
    const doubts = modelDoubts(model);
    await model.close();
    return doubts.length === 0 ? null : { state: "warning", value: `${settings.model_name}: ${doubts.join("; ")}` };
  } catch (error) {
    return { state: "problem", value: (error as Error).message };
  }
}

/** Of a model that is yet to be downloaded, what its size tells: whether it has the hook. */
export function examineHook({ settings, file }: Experiment, size: ModelSize): ModelFinding | null {
  const { hook_name } = settings;
  const hooks = hooksExpected(size, hook_name);
  if (!hooks) return null;
  return { state: "problem", value: experimentError(file, "hook_name", `"${hook_name}"`, hooks).message };
}
