// What debiasing and concept detection share: the ensembles of a run, opened, and labelled texts pooled for them.
import type { LabelledText } from "../data/labelledTexts.ts";
import type { Engine } from "../engine/engine.ts";
import { InputError } from "../formats/inputError.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import type { PooledTexts } from "../probing/pool.ts";
import { combinedRows } from "../sae/combine.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { loadEnsemble } from "../sae/ensembleFolder.ts";
import type { TrainingMethod } from "../training/trainingRun.ts";
import { openEngine } from "./device.ts";
import { type EnsembleTask, type Experiment, ensembleTasks } from "./experiment.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";
import type { JobContext } from "./job.ts";
import { pooledTexts } from "./pooledTexts.ts";
import { openExperimentModel } from "./resources.ts";
import { runPaths } from "./runFolder.ts";
import { experimentOfRun, readRunRecord } from "./runRecord.ts";

export interface ProbeRunOptions {
  /** Names of ensembles; every trained one where left out. */
  readonly ensembles?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (stage: string, done: number, total: number, unit: string) => void;
  /** Opened and closed by the caller; where left out, they are opened when needed and closed at the end. */
  readonly resources?: Pick<JobContext, "model" | "engine">;
}

export interface ProbedEnsemble {
  readonly name: string;
  readonly method: TrainingMethod;
  readonly ensemble: Ensemble;
  readonly texts: PooledTexts;
  /** Where they are kept. */
  readonly pooledFile: string;
  /** [F, d] */
  readonly W_dec: Float32Array;
}

/** How many texts fill the context: what is longer was cut to it. */
export function textsAtTheContext(
  tokens: Uint32Array,
  { context_size, prepend_bos }: Pick<ExperimentSettings, "context_size" | "prepend_bos">,
): number {
  const most = context_size - (prepend_bos ? 1 : 0);
  return tokens.reduce((count, own) => count + (own >= most ? 1 : 0), 0);
}

/** The text of a file, for messages. */
export interface TextSource {
  readonly file: string;
  readonly text: LabelledText;
}

/** The trained ensembles of those names; all where left out. Throws InputError where one isn't trained, or none is. */
export function trainedTasks(
  runFolder: string,
  settings: ExperimentSettings,
  wanted: readonly string[] | undefined,
): EnsembleTask[] {
  const { stages } = readRunRecord(runFolder);
  const trained = ensembleTasks(settings).filter(({ name }) => stages[`train ${name}`] !== undefined);
  if (trained.length === 0)
    throw new InputError({ file: runFolder, found: "no trained ensemble", expected: "one: run train first" });
  const missing = wanted?.find((name) => !trained.some((task) => task.name === name));
  if (missing === undefined) return trained.filter(({ name }) => wanted?.includes(name) ?? true);
  const expected = `one of ${trained.map((task) => task.name).join(", ")}`;
  throw new InputError({ file: runFolder, found: `no trained ensemble "${missing}"`, expected });
}

/**
 * Opens the trained ensembles of a run and pools the texts for each, from what is kept where it is. `use` is called once for
 * each, in the experiment's order; nothing of an ensemble is held beyond that. Throws InputError where nothing is trained.
 */
export async function probeRun(
  runFolder: string,
  texts: readonly TextSource[],
  options: ProbeRunOptions,
  use: (probed: ProbedEnsemble, engine: () => Promise<Engine>) => Promise<void> | void,
): Promise<Experiment> {
  const experiment = experimentOfRun(runFolder);
  const { settings, paths } = experiment;
  const folder = runPaths(runFolder);
  const tasks = trainedTasks(runFolder, settings, options.ensembles);
  const opened: { model?: Promise<LanguageModel>; engine?: Promise<Engine> } = {};
  const ownModel = (): Promise<LanguageModel> => {
    opened.model ??= openExperimentModel(experiment, (done, total) =>
      options.onProgress?.("model", done, total, "tensors"),
    );
    return opened.model;
  };
  const ownEngine = (): Promise<Engine> => {
    opened.engine ??= openEngine(settings);
    return opened.engine;
  };
  const { signal, onProgress } = options;
  const { model, engine } = options.resources ?? { model: ownModel, engine: ownEngine };
  try {
    const ensembles = await Promise.all(
      tasks.map(async ({ name }) => ({
        folder: folder.ensemble(name),
        ensemble: await loadEnsemble(folder.ensemble(name)),
      })),
    );
    const { pooled, files } = await pooledTexts({
      texts: texts.map(({ text }) => text.text),
      ensembles,
      hookName: settings.hook_name,
      contextSize: settings.context_size,
      prependBos: settings.prepend_bos,
      modelPath: paths.model,
      model,
      engine,
      ...(signal && { signal }),
      onProgress: (done, total) => onProgress?.("pooling", done, total, "texts"),
    });
    for (const [at, { name, method }] of tasks.entries()) {
      signal?.throwIfAborted();
      const { ensemble } = ensembles[at]!;
      const W_dec = combinedRows(ensemble);
      await use({ name, method, ensemble, texts: pooled[at]!, pooledFile: files[at]!, W_dec }, engine);
      onProgress?.("probing", at + 1, tasks.length, "ensembles");
    }
    return experiment;
  } finally {
    await (await opened.model?.catch(() => undefined))?.close();
    await (await opened.engine?.catch(() => undefined))?.close();
  }
}
