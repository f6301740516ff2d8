// Whether the labelled texts of an experiment's sections, if they are files of this machine, are ones that their jobs would take: columns, values, enough texts a cell or class.
import { dirname } from "node:path";
import { InputError } from "../formats/inputError.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import { checkConcepts } from "./conceptsJob.ts";
import { checkDebias } from "./debiasJob.ts";
import type { Experiment } from "./experiment.ts";
import type { Finding } from "./machine.ts";
import { isNamedData, modelHere } from "./obtain.ts";
import { openExperimentModel } from "./resources.ts";

const checks = { debias: checkDebias, concepts: checkConcepts };

/** Of every section whose texts are here. Lengths in tokens are looked at where the model is here and can be opened: whether it can is another finding. */
export async function examineLabelled(experiment: Experiment): Promise<Finding[]> {
  const { settings } = experiment;
  const sections = (["debias", "concepts"] as const).filter((kind) => settings[kind] && isHere(kind, experiment));
  const asksLengths = sections.some((kind) => settings[kind]!.saebench_compatible);
  const model = asksLengths ? await openedHere(experiment) : null;
  try {
    return await Promise.all(sections.map((kind) => finding(kind, experiment, model)));
  } finally {
    await model?.close();
  }
}

async function openedHere(experiment: Experiment): Promise<LanguageModel | null> {
  const path = modelHere(experiment);
  if (path === null) return null;
  return openExperimentModel(experiment, null, path).catch((error: unknown) => {
    if (error instanceof InputError) return null;
    throw error;
  });
}

async function finding(
  kind: keyof typeof checks,
  experiment: Experiment,
  model: LanguageModel | null,
): Promise<Finding> {
  const name = "Text";
  try {
    await checks[kind](experiment, model && (async () => model));
    const texts = experiment.settings[kind]!.dataset_path;
    return { name, state: "ok", value: `${kind}: the labelled texts of ${texts} can be read, and are enough` };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { name, state: "problem", value: error.message };
  }
}

/** A data set of the hub is read from there, and doctor downloads nothing. */
function isHere(kind: keyof typeof checks, { settings, file }: Experiment): boolean {
  const { dataset_path, test_dataset_path } = settings[kind]!;
  return [dataset_path, test_dataset_path ?? []]
    .flat()
    .every((name) => name === "demo" || !isNamedData(name, dirname(file)));
}
