// A trained ensemble with the model and the engine of its run, ready to look at texts.
import { dirname } from "node:path";
import { Inspection } from "../inspection/inspection.ts";
import { loadEnsemble } from "../sae/ensembleFolder.ts";
import { openEngine } from "./device.ts";
import { openExperimentModel } from "./resources.ts";
import { experimentOfRun } from "./runRecord.ts";

export interface OpenInspection {
  readonly inspection: Inspection;
  close(): Promise<void>;
}

/** `folder`: the ensemble's. Throws InputError where its run, its model or the ensemble itself is gone or damaged. */
export async function openInspection(folder: string): Promise<OpenInspection> {
  const experiment = experimentOfRun(dirname(dirname(folder)));
  const ensemble = await loadEnsemble(folder);
  const model = await openExperimentModel(experiment, () => {});
  try {
    const engine = await openEngine(experiment.settings);
    const encoder = await engine.createEncoder(ensemble);
    const inspection = new Inspection({ model, ensemble, encoder, prependBos: experiment.settings.prepend_bos });
    return {
      inspection,
      close: async () => {
        await encoder.close();
        await engine.close();
        await model.close();
      },
    };
  } catch (error) {
    await model.close();
    throw error;
  }
}
