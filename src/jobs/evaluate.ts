// Evaluation: every metric of every trained ensemble over the held-out part, and the report. What is computed for one ensemble is kept, so that a stopped evaluation goes on behind it.
import { existsSync, readFileSync } from "node:fs";
import { readActivationManifest } from "../data/activationManifest.ts";
import { openActivationStore } from "../data/activationStore.ts";
import type { Encoder } from "../engine/engine.ts";
import { type EnsembleEvaluation, evaluateEnsemble } from "../evaluation/evaluateEnsemble.ts";
import { type ModelMetrics, modelMetrics } from "../evaluation/modelMetrics.ts";
import { type EvaluationReport, type ReportEntry, reportJson } from "../evaluation/report.ts";
import { reportCsv } from "../evaluation/reportCsv.ts";
import { reportTable } from "../evaluation/reportTable.ts";
import { type Stability, stability } from "../evaluation/stability.ts";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { removePatiently } from "../formats/filesInUse.ts";
import { InputError } from "../formats/inputError.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { loadEnsemble } from "../sae/ensembleFolder.ts";
import type { TrainingMethod } from "../training/trainingRun.ts";
import { experimentWindows, windowBatches } from "./captureWindows.ts";
import { type EnsembleTask, ensembleTasks } from "./experiment.ts";
import { harvestHeldOut, harvestIdentity } from "./harvest.ts";
import type { JobContext } from "./job.ts";
import { PartialResults } from "./partialResults.ts";
import { runPaths } from "./runFolder.ts";
import { isTrained } from "./train.ts";
import { versions } from "./versions.ts";

const FENCE = "```";

/** The table of a run's report, as the terminal shows it. */
export function readReportTable(runFolder: string): string {
  return readFileSync(runPaths(runFolder).report("md"), "utf8")
    .split(/^```.*\n/m)[1]!
    .trimEnd();
}

/** A method's trained ensembles, one a seed set. */
interface Trained {
  readonly method: TrainingMethod;
  readonly tasks: readonly EnsembleTask[];
  readonly ensembles: readonly Ensemble[];
}

interface Named {
  readonly name: string;
  readonly ensemble: Ensemble;
}

function named({ tasks, ensembles }: Trained): Named[] {
  return ensembles.map((ensemble, set) => ({ name: tasks[set]!.name, ensemble }));
}

export async function evaluate(context: JobContext): Promise<void> {
  const { experiment, run } = context;
  const trained = await trainedEnsembles(context);
  const { model_metrics_tokens } = experiment.settings.evaluation;
  const settings = {
    data: harvestIdentity(experiment, "test"),
    model_metrics_tokens,
    tasks: trained.flatMap(({ tasks }) => tasks.map(({ name }) => [name, run.record.stages[`train ${name}`]])),
  };
  if (run.isFinished("evaluate", settings) && existsSync(run.paths.report("json"))) return;
  await harvestHeldOut(context);
  const kept = new PartialResults(run.paths.checkpoint("evaluate"), settings);
  const evaluations = new Map<string, EnsembleEvaluation>();
  for (const { name, ensemble } of trained.flatMap(named))
    evaluations.set(name, await kept.get(name, () => intrinsic(context, name, ensemble)));
  const models =
    model_metrics_tokens > 0 ? await kept.get("CE and KL", () => throughModel(context, trained.flatMap(named))) : {};
  const entries: ReportEntry[] = [];
  for (const one of trained) {
    const runs = named(one).map(({ name, ensemble }) => {
      const model = models[name];
      return { seeds: ensemble.seeds, evaluation: evaluations.get(name)!, ...(model && { model }) };
    });
    const stable = await kept.get(`stability ${one.method}`, () => stabilityOf(context, one));
    entries.push({ method: one.method, runs, stability: stable });
  }
  const report: EvaluationReport = {
    command: `sae-ensembles evaluate ${experiment.name}.sae.jsonc`,
    versions: versions(),
    data: reportData(context),
    entries,
  };
  await writeFileAtomic(run.paths.report("json"), `${JSON.stringify(reportJson(report), null, 2)}\n`);
  await writeFileAtomic(run.paths.report("csv"), reportCsv(report));
  await writeFileAtomic(
    run.paths.report("md"),
    `# ${experiment.name}\n\n${FENCE}text\n${reportTable(report)}\n${FENCE}\n`,
  );
  await run.finishStage("evaluate", settings);
  await removePatiently(run.paths.checkpoint("evaluate"));
}

async function trainedEnsembles(context: JobContext): Promise<Trained[]> {
  const { experiment, run } = context;
  const tasks = ensembleTasks(experiment.settings).filter((task) => isTrained(context, task));
  if (tasks.length === 0)
    throw new InputError({ file: run.folder, found: "no trained ensemble", expected: "at least one: run train first" });
  const missing = ensembleTasks(experiment.settings).filter((task) => !isTrained(context, task));
  if (missing.length > 0)
    context.log("warning", `not trained yet and so not in the report: ${missing.map(({ name }) => name).join(", ")}`);
  const methods = [...new Set(tasks.map(({ method }) => method))];
  return Promise.all(
    methods.map(async (method) => {
      const own = tasks.filter((task) => task.method === method);
      return {
        method,
        tasks: own,
        ensembles: await Promise.all(own.map(({ name }) => loadEnsemble(run.paths.ensemble(name)))),
      };
    }),
  );
}

async function intrinsic(context: JobContext, name: string, ensemble: Ensemble): Promise<EnsembleEvaluation> {
  const { run, signal, experiment } = context;
  const stage = `evaluate ${name}`;
  // The order does not matter to sums, and the store is small enough to be read whole.
  const source = await openActivationStore(run.paths.testActivations, { seed: 0, passes: 1 });
  const { threads } = experiment.settings;
  const manifest = await readActivationManifest(run.paths.testActivations);
  try {
    return await evaluateEnsemble(await context.engine(), ensemble, source, {
      signal,
      ...(threads !== undefined && { threads }),
      onProgress: (tokens) => context.progress(stage, tokens, manifest?.rows ?? tokens, "tokens"),
      onDiversity: blocksOf(context, `diversity ${name}`),
    });
  } finally {
    await source.close();
  }
}

/** CE and KL through the language model, of all ensembles in one pass; by the ensemble's name. */
async function throughModel(context: JobContext, ensembles: readonly Named[]): Promise<Record<string, ModelMetrics>> {
  const { experiment, signal } = context;
  const { settings } = experiment;
  const model = await context.model();
  const engine = await context.engine();
  const total = settings.evaluation.model_metrics_tokens;
  const encoders: Encoder[] = [];
  try {
    for (const { ensemble } of ensembles) encoders.push(await engine.createEncoder(ensemble));
    const batches = windowBatches(experimentWindows(experiment, "test", model), settings.store_batch_size_prompts);
    const onProgress = (done: number) => context.progress("CE and KL", done, Math.max(done, total), "tokens");
    onProgress(0);
    const metrics = await modelMetrics(model, settings.hook_name, encoders, batches, {
      signal,
      tokens: total,
      onProgress,
    });
    return Object.fromEntries(ensembles.map(({ name }, position) => [name, metrics[position]!]));
  } finally {
    for (const encoder of encoders) await encoder.close();
  }
}

function stabilityOf(context: JobContext, { method, ensembles }: Trained): Promise<Stability> {
  const { threads } = context.experiment.settings;
  if (ensembles.length > 1) context.log("info", `stability of ${method} over ${ensembles.length} seed sets`);
  return stability(ensembles, {
    signal: context.signal,
    ...(threads !== undefined && { threads }),
    onTiles: blocksOf(context, `stability ${method}`),
  });
}

/** Progress of cosines between features. Those of a small ensemble are one block, and there at once: nothing is said of them. */
function blocksOf(context: JobContext, stage: string) {
  return (blocks: number, of: number): void => {
    if (of > 1) context.progress(stage, blocks, of, "blocks");
  };
}

function reportData({ experiment, run }: JobContext): Record<string, unknown> {
  const { settings } = experiment;
  return {
    model_name: settings.model_name,
    hook_name: settings.hook_name,
    dataset_path: settings.evaluation.dataset_path ?? settings.dataset_path,
    part: settings.evaluation.dataset_path
      ? "the whole file"
      : `one document in ${Number((1 / settings.evaluation.test_share).toPrecision(3))}`,
    training_tokens: settings.training_tokens,
    model_metrics_tokens: settings.evaluation.model_metrics_tokens,
    run: run.record.name,
  };
}
