// The language model that an experiment asks for, opened and checked against it.
import { InputError } from "../formats/inputError.ts";
import { hookWidth, hookWords } from "../model/hookPoints.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import { openLanguageModel } from "../model/open.ts";
import { type Experiment, experimentError, isImported, saeConfig } from "./experiment.ts";

/** Opens the model; `onConversion` gets the bytes of a GGUF file's tensors that were made into float32, once a file, and null is for who only examines it; `path`: where a model of the hub lies. Throws InputError where it has no such hook or a shorter context. */
export async function openExperimentModel(
  experiment: Experiment,
  onConversion: ((done: number, total: number) => void) | null,
  path = experiment.paths.model,
): Promise<LanguageModel> {
  const { settings, file } = experiment;
  const { threads, hook_name, context_size } = settings;
  const wrong = (where: string, found: string, expected: string) => experimentError(file, where, found, expected);
  const opening = openLanguageModel(path, {
    ...(onConversion ? { onConversion } : { onlyExamined: true }),
    ...(threads !== undefined && { threads }),
  });
  const model = await opening.catch((error: unknown) => {
    if (!(error instanceof InputError)) throw error;
    throw wrong("model_name", `"${settings.model_name}" (${error.message})`, "a language model that can be read");
  });
  try {
    if (!model.hookNames.includes(hook_name)) {
      const kinds = new Set(model.hookNames.map((name) => name.replace(/^blocks\.\d+\./, "")));
      throw wrong("hook_name", `"${hook_name}"`, hookWords(model.info.nLayers, [...kinds]));
    }
    if (context_size > model.info.contextSize)
      throw wrong("context_size", `${context_size}`, `at most the model's ${model.info.contextSize}`);
    if (settings.prepend_bos && model.tokenizer.bosId === null)
      throw wrong("prepend_bos", "true", "false (the default is true): the model's tokenizer has no BOS token");
    if (!isImported(experiment)) saeConfig(experiment, hookWidth(model.info, hook_name));
    return model;
  } catch (error) {
    await model.close();
    throw error;
  }
}
