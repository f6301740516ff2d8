// All that is wrong with an experiment file's text, for editors: with its keys, with the files that it names, and beside its model, whose configuration alone is read.
import { type ParseError, parseTree, stripComments } from "jsonc-parser";
import type { InputError } from "../formats/inputError.ts";
import { hooksExpected, hookWidth } from "../model/hookPoints.ts";
import { modelSize } from "../model/modelSize.ts";
import { completeTrainingSaeConfig } from "../sae/trainingConfig.ts";
import { type Complain, type Experiment, lookThrough, misfit } from "./experiment.ts";
import { experimentWarnings } from "./experimentWarnings.ts";
import { modelHere } from "./obtain.ts";

export interface ExperimentProblems {
  readonly problems: readonly InputError[];
  /** What is allowed in a file without a problem, and hardly meant; `file` has line and column behind it. */
  readonly warnings: readonly { readonly file: string; readonly message: string }[];
}

/**
 * `file`: what relative paths refer to; the text need not be its own. A model of the hub that is not here is not asked
 * after, and of what is no JSON an editor tells itself.
 */
export async function experimentProblems(text: string, file: string): Promise<ExperimentProblems> {
  if (isBrokenJson(text)) return { problems: [], warnings: [] };
  const { problems, experiment, complain, placeOf } = lookThrough(text, file);
  const wrong = new Set(problems.map(({ where }) => where));
  // A model that stands in says nothing of the others' sizes, and what is wrong already is said once.
  if (experiment && !wrong.has("model_name"))
    await besideModel(experiment, (field, ...words) => {
      if (!wrong.has(field.join("."))) complain(field, ...words);
    });
  const warnings = problems.length > 0 || !experiment ? [] : experimentWarnings(experiment.settings);
  return { problems, warnings: warnings.map(({ field, words }) => ({ file: placeOf(field), message: words })) };
}

/** A text without a value has nothing broken in it. */
function isBrokenJson(text: string): boolean {
  const errors: ParseError[] = [];
  parseTree(text, errors, { allowTrailingComma: true });
  return errors.length > 0 && stripComments(text).trim() !== "";
}

/** What can't be read says so when it is run. */
async function besideModel(experiment: Experiment, complain: Complain): Promise<void> {
  const path = modelHere(experiment);
  const size = path === null ? null : await modelSize(path).catch(() => null);
  if (!size) return;
  const { hook_name, sae } = experiment.settings;
  const hooks = hooksExpected(size, hook_name);
  if (hooks) complain(["hook_name"], `"${hook_name}"`, hooks);
  if (hooks || sae.architecture === "imported") return;
  const width = hookWidth(size, hook_name);
  try {
    completeTrainingSaeConfig(sae, width);
  } catch (error) {
    const { key, found, expected } = misfit(error as RangeError, width);
    complain(["sae", key], found, expected);
  }
}
