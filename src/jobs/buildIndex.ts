// The feature indexes of an experiment: one for each indexed ensemble of the first seed set, beside the ensemble. An index that is there and up to date is kept.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Annotations } from "../features/annotations.ts";
import { buildFeatureIndex } from "../features/buildFeatureIndex.ts";
import type { FeatureIndex } from "../features/featureIndex.ts";
import type { IndexRow } from "../features/indexWindows.ts";
import { openFeatureIndex } from "../features/openFeatureIndex.ts";
import { InputError } from "../formats/inputError.ts";
import type { TokenWindow } from "../model/windows.ts";
import { loadEnsemble, movedAside } from "../sae/ensembleFolder.ts";
import { experimentWindows } from "./captureWindows.ts";
import { type EnsembleTask, ensembleTasks, indexedMethods } from "./experiment.ts";
import { wholeState } from "./fileStates.ts";
import type { JobContext } from "./job.ts";
import { runPaths } from "./runFolder.ts";
import { experimentOfRun } from "./runRecord.ts";
import { isTrained } from "./train.ts";

export async function buildIndexes(context: JobContext): Promise<void> {
  const { settings } = context.experiment;
  for (const method of indexedMethods(settings)) {
    const task = ensembleTasks(settings).find((candidate) => candidate.method === method && candidate.seedSet === 0)!;
    if (!isTrained(context, task))
      throw new InputError({
        file: context.run.folder,
        found: `no trained ensemble "${task.name}"`,
        expected: "one: run train first",
      });
    context.signal.throwIfAborted();
    await buildOne(context, task);
  }
}

async function buildOne(context: JobContext, task: EnsembleTask): Promise<void> {
  const { experiment, run, signal } = context;
  const { settings, paths } = experiment;
  const { index, context_size, prepend_bos, packing, column } = settings;
  const stage = `index ${task.name}`;
  const path = run.paths.index(task.name);
  const done = {
    // Which other ensembles get an index is nothing to this one.
    index: { ...index, methods: undefined },
    text: paths.indexDataset,
    file: wholeState(paths.indexDataset),
    column,
    context_size,
    prepend_bos,
    packing,
    trained: run.record.stages[`train ${task.name}`],
  };
  if (run.isFinished(stage, done) && isWhole(path, (message) => context.log("warning", `${stage}: ${message}`))) return;
  const ensemble = await loadEnsemble(run.paths.ensemble(task.name));
  const model = await context.model();
  const engine = await context.engine();
  const encoder = await engine.createEncoder(ensemble);
  const tokens = index.tokens;
  // Tokens given to the build, and of those the ones in batches that are done.
  let [seen, computed] = [0, 0];
  let begun = false;
  const progress = () => context.progress(stage, Math.min(computed, tokens), tokens, "tokens");
  try {
    await buildFeatureIndex({
      path,
      ensemble,
      encoder,
      model,
      rows: upTo(experimentWindows(experiment, "index", model), tokens, (given) => (seen = given)),
      source: { dataset_path: index.dataset_path ?? settings.dataset_path, run: run.record.name, ensemble: task.name },
      options: { seed: settings.seed },
      identity: () => ({ ...done, model: settings.model_name, engine: engine.name }),
      signal,
      // What was read from the journal has no part in the rate.
      onBegun: (there) => {
        if (there > 0) context.log("info", `${stage}: goes on after ${there.toLocaleString("en")} tokens`);
        begun = true;
        progress();
      },
      onProgress: ({ stage: part, done, total, unit }) => {
        if (part === "activations") {
          computed = seen;
          if (begun) progress();
        } else context.progress(`${stage}: ${part}`, done, Math.max(done, total ?? done), unit);
      },
    });
  } finally {
    await encoder.close();
  }
  await run.finishStage(stage, done);
}

/** Whether there is an index that opens; `complain` is told why one does not. */
function isWhole(path: string, complain: (message: string) => void): boolean {
  if (!existsSync(path)) return false;
  try {
    openFeatureIndex(path).close();
    return true;
  } catch (error) {
    complain((error as Error).message);
    return false;
  }
}

async function* upTo(
  windows: AsyncIterable<TokenWindow>,
  tokens: number,
  onSeen: (tokens: number) => void,
): AsyncGenerator<IndexRow> {
  let seen = 0;
  for await (const window of windows) {
    yield window;
    seen += window.ids.length;
    onSeen(seen);
    if (seen >= tokens) return;
  }
}

/** Names of the ensembles of a run that have an index: the experiment's in its order, then those that were moved aside, newest first. */
export function indexedEnsembles(runFolder: string): string[] {
  const paths = runPaths(runFolder);
  const parent = join(runFolder, "ensembles");
  const aside = existsSync(parent) ? readdirSync(parent).filter((name) => movedAside(name)) : [];
  const tasks = ensembleTasks(experimentOfRun(runFolder).settings).map(({ name }) => name);
  return [...tasks, ...aside.sort().reverse()].filter((name) => existsSync(paths.index(name)));
}

/** Opens an index of a run, with the flags and labels beside it: of `ensemble`, or the first there is. Throws InputError where there is none. */
export async function openRunIndex(
  runFolder: string,
  ensemble?: string,
): Promise<{ name: string; index: FeatureIndex }> {
  const names = indexedEnsembles(runFolder);
  const name = ensemble ?? names[0];
  if (name === undefined)
    throw new InputError({
      file: runFolder,
      found: "no feature index",
      expected: "one: run `sae-ensembles index` on its experiment first",
    });
  if (!names.includes(name))
    throw new InputError({
      file: join(runFolder, "ensembles"),
      found: `no index of "${name}"`,
      expected: `one of ${names.join(", ")}`,
    });
  const paths = runPaths(runFolder);
  const annotations = await Annotations.open(paths.annotations(name));
  const index = openFeatureIndex(paths.index(name));
  index.setAnnotations(annotations.byId(index.info.members));
  return { name, index };
}
