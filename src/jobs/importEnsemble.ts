// The training's place in an experiment over SAEs that exist already: they are read in whatever layout, checked against the experiment and on its activations, and put into the run folder as its ensembles.
import { openActivationStore } from "../data/activationStore.ts";
import { sanityOfMembers } from "../evaluation/saneReconstruction.ts";
import { hookWidth } from "../model/hookPoints.ts";
import type { Ensemble, EnsembleMethod } from "../sae/ensemble.ts";
import { saveEnsemble } from "../sae/ensembleFolder.ts";
import { type ImportSource, importedEnsemble, openSources } from "../sae/importEnsemble.ts";
import { type EnsembleTask, type Experiment, ensembleTasks, experimentError, shownPath } from "./experiment.ts";
import { harvestHeldOut } from "./harvest.ts";
import type { JobContext } from "./job.ts";
import { identity } from "./runFolder.ts";
import { versions } from "./versions.ts";

/** Tokens that explained variance and L0 are looked at on. */
const SAMPLE_ROWS = 2048;

interface OpenedImport {
  readonly sources: readonly ImportSource[];
  readonly ensemble: Ensemble;
}

/**
 * The SAEs that an experiment names, as an ensemble of the method. `width`: of the experiment's hook. Throws InputError where
 * they can't be read, don't fit together, or are of another hook or width than the experiment's.
 */
export async function openImported(
  { settings, paths, file }: Experiment,
  { method }: Pick<EnsembleTask, "method">,
  width: number,
): Promise<OpenedImport> {
  const sources = await openSources(paths.imported!);
  const ensemble = importedEnsemble(sources, { method: method as EnsembleMethod, hook: settings.hook_name });
  const { d_in } = ensemble.members[0]!.config;
  if (d_in === width) return { sources, ensemble };
  throw experimentError(file, "sae.paths", `SAEs of d_in ${d_in}`, `the hook's ${width}`);
}

/** The same for each of the experiment's ensembles, in their order. */
export async function openAllImported(experiment: Experiment, width: number): Promise<OpenedImport[]> {
  const opened: OpenedImport[] = [];
  for (const task of ensembleTasks(experiment.settings)) opened.push(await openImported(experiment, task, width));
  return opened;
}

/** Throws InputError as `openImported` does. */
export async function importTask(context: JobContext, task: EnsembleTask): Promise<void> {
  const { experiment, run } = context;
  const { settings } = experiment;
  const stage = `train ${task.name}`;
  const { info } = await context.model();
  const { sources, ensemble } = await openImported(experiment, task, hookWidth(info, settings.hook_name));
  await harvestHeldOut(context);
  const { x, rows } = await sampleRows(run.paths.testActivations);
  const numbers = await sanityOfMembers(await context.engine(), ensemble, x, rows);
  for (const [j, { path, layout, warnings }] of sources.flatMap(({ members }) => members).entries()) {
    const { explained_variance, l0, warning } = numbers[j]!;
    const name = `member ${j} (${layout}, ${shownPath(path)})`;
    context.log("info", `${name}: explained variance ${explained_variance.toFixed(3)}, L0 ${l0.toFixed(1)}`);
    for (const text of [...warnings, ...(warning ? [warning] : [])]) context.log("warning", `${name}: ${text}`);
  }
  const { provenance } = ensemble;
  const more = { experiment: experiment.name, method: task.method, settings, versions: versions() };
  await saveEnsemble(run.paths.ensemble(task.name), { ...ensemble, provenance: { ...provenance, ...more } });
  await run.finishStage(stage, identity(settings));
}

async function sampleRows(folder: string): Promise<{ x: Float32Array; rows: number }> {
  const source = await openActivationStore(folder, { seed: 0, passes: 1 });
  try {
    const parts: Float32Array[] = [];
    let rows = 0;
    while (rows < SAMPLE_ROWS) {
      const batch = await source.next(SAMPLE_ROWS - rows);
      if (!batch) break;
      parts.push(batch.x.slice(0, batch.rows * source.d_in));
      rows += batch.rows;
    }
    const x = new Float32Array(rows * source.d_in);
    let at = 0;
    for (const part of parts) {
      x.set(part, at);
      at += part.length;
    }
    return { x, rows };
  } finally {
    await source.close();
  }
}
