// A trained ensemble with the model and the engine of its run, ready to look at texts.
import { dirname } from "node:path";
import { Inspection } from "../inspection/inspection.ts";
import { loadEnsemble } from "../sae/ensembleFolder.ts";
import { openEngine } from "./device.ts";
import { type Experiment, modelsOwnName } from "./experiment.ts";
import { openExperimentModel } from "./resources.ts";
import { experimentOfRun } from "./runRecord.ts";

export interface OpenInspection {
  readonly inspection: Inspection;
  close(): Promise<void>;
}

/** `folder`: the ensemble's. Throws InputError where its run, its model or the ensemble itself is gone or damaged. */
export async function openInspection(folder: string): Promise<OpenInspection> {
  const experiment = experimentOfRun(dirname(dirname(folder)));
  // At the same time: the engine's threads start while the model's tokenizer is made.
  const [model, reader] = await Promise.allSettled([
    openExperimentModel(experiment, () => {}),
    openReader(folder, experiment),
  ]);
  const close = async () => {
    if (reader.status === "fulfilled") await reader.value.close();
    if (model.status === "fulfilled") await model.value.close();
  };
  if (model.status === "rejected" || reader.status === "rejected") {
    await close();
    throw model.status === "rejected" ? model.reason : (reader as PromiseRejectedResult).reason;
  }
  const { ensemble, encoder } = reader.value;
  const { prepend_bos: prependBos } = experiment.settings;
  const modelName = modelsOwnName(experiment) ?? model.value.info.modelName;
  return { inspection: new Inspection({ model: model.value, modelName, ensemble, encoder, prependBos }), close };
}

/** The ensemble on its engine. */
async function openReader(folder: string, { settings }: Experiment) {
  const opening = openEngine(settings);
  const ensemble = await loadEnsemble(folder).catch(async (error: unknown) => {
    await (await opening).close();
    throw error;
  });
  const engine = await opening;
  const encoder = await engine.createEncoder(ensemble);
  return {
    ensemble,
    encoder,
    close: async () => {
      await encoder.close();
      await engine.close();
    },
  };
}
