// Whether the labelled texts of an experiment's sections, if they are files of this machine, are ones that their jobs would take: columns, values, enough texts a cell or class.
import { dirname } from "node:path";
import { InputError } from "../formats/inputError.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import { checkConcepts } from "./conceptsJob.ts";
import { checkDebias } from "./debiasJob.ts";
import type { Experiment } from "./experiment.ts";
import type { Finding } from "./machine.ts";
import { modelHere } from "./modelFinding.ts";
import { isNamedData } from "./obtain.ts";
import { openExperimentModel } from "./resources.ts";

const checks = { debias: checkDebias, concepts: checkConcepts };

/** Of every section whose texts are here; the model, which has to be one that can be opened, is asked only for lengths in tokens. */
export async function examineLabelled(experiment: Experiment): Promise<Finding[]> {
  const path = modelHere(experiment);
  let opened: Promise<LanguageModel> | undefined;
  const model = () => (opened ??= openExperimentModel(experiment, null, path!));
  const findings: Finding[] = [];
  try {
    for (const kind of ["debias", "concepts"] as const) {
      const section = experiment.settings[kind];
      if (!section) continue;
      const { dataset_path, test_dataset_path } = section;
      // A data set of the hub is read from there, and doctor downloads nothing.
      if ([dataset_path, test_dataset_path ?? []].flat().some((name) => isOnHub(name, experiment))) continue;
      // Only a tokenizer can tell lengths.
      const known = path === null ? { ...section, saebench_compatible: false } : section;
      findings.push(await finding(kind, { ...experiment, settings: { ...experiment.settings, [kind]: known } }, model));
    }
  } finally {
    await (await opened?.catch(() => undefined))?.close();
  }
  return findings;
}

async function finding(
  kind: keyof typeof checks,
  experiment: Experiment,
  model: () => Promise<LanguageModel>,
): Promise<Finding> {
  const name = "Text";
  try {
    await checks[kind](experiment, model);
    const texts = experiment.settings[kind]!.dataset_path;
    return { name, state: "ok", value: `${kind}: the labelled texts of ${texts} can be read, and are enough` };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { name, state: "problem", value: error.message };
  }
}

function isOnHub(name: string, { file }: Experiment): boolean {
  return name !== "demo" && isNamedData(name, dirname(file));
}
