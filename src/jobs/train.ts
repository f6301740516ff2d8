// Training: every method and seed set of the experiment over the harvested activations (or on the fly), with checkpoints. Finished ensembles are not trained again.
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { ActivationCursor } from "../data/activationSource.ts";
import { openActivationStore } from "../data/activationStore.ts";
import { createMixingBuffer } from "../data/mixingBuffer.ts";
import type { Engine } from "../engine/engine.ts";
import { removePatiently } from "../formats/filesInUse.ts";
import { InputError } from "../formats/inputError.ts";
import { hookWidth } from "../model/hookPoints.ts";
import { saveEnsemble } from "../sae/ensembleFolder.ts";
import { type LoadedCheckpoint, loadCheckpoint, saveCheckpoint } from "../training/checkpoint.ts";
import { completed, continues, planIdentity } from "../training/planIdentity.ts";
import { trainEnsemble } from "../training/trainEnsemble.ts";
import type { OpenActivations, TrainingPlan, TrainingState } from "../training/trainingRun.ts";
import { totalSteps } from "../training/trainingSettings.ts";
import { mixingRows, openWindowProducer } from "./captureWindows.ts";
import {
  type EnsembleTask,
  type Experiment,
  ensembleTasks,
  isImported,
  saeConfig,
  shownPath,
  trainingSettings,
} from "./experiment.ts";
import { experimentWarnings } from "./experimentWarnings.ts";
import { harvestedTokens } from "./harvest.ts";
import { importTask } from "./importEnsemble.ts";
import type { JobContext } from "./job.ts";
import { firstDifference, identity } from "./runFolder.ts";
import { versions } from "./versions.ts";

/** Most training events of one ensemble: enough for a chart, small enough for a file. */
const MOST_EVENTS = 1000;
/** Milliseconds after which a checkpoint is due in any case. */
const CHECKPOINT_INTERVAL = 5 * 60_000;
/** Seed sets are this far apart, so that members of different sets have different seeds. */
const SEED_SET_DISTANCE = 1000;

export async function train(context: JobContext): Promise<void> {
  const { settings } = context.experiment;
  const imported = isImported(context.experiment);
  const tasks = ensembleTasks(settings).filter((task) => !isTrained(context, task));
  if (tasks.length > 0) for (const { words } of experimentWarnings(settings)) context.log("warning", words);
  for (const task of tasks) {
    context.signal.throwIfAborted();
    await (imported ? importTask : trainTask)(context, task);
  }
}

/** Whether a task's ensemble lies in the run folder. */
export function isTrained({ run, experiment }: Pick<JobContext, "run" | "experiment">, task: EnsembleTask): boolean {
  return (
    run.isFinished(`train ${task.name}`, identity(experiment.settings)) &&
    existsSync(join(run.paths.ensemble(task.name), "ensemble.json"))
  );
}

async function trainTask(context: JobContext, task: EnsembleTask): Promise<void> {
  const { experiment, run, signal } = context;
  const { settings } = experiment;
  const stage = `train ${task.name}`;
  const openActivations = await activationsOf(context, task);
  const plan = await trainingPlan(experiment, task, openActivations);
  const checkpoint = run.paths.checkpoint(task.name);
  const loaded = await loadCheckpoint(checkpoint);
  if (loaded) checkContinued(loaded, plan, checkpoint);
  const steps = totalSteps(plan.settings) * (task.method === "boosting" ? plan.n_members : 1);
  const batch = settings.train_batch_size_tokens;
  for (const { message } of loaded?.damaged ?? [])
    context.log("warning", `${stage}: a checkpoint cannot be used: ${message}`);
  if (loaded) context.log("info", `${stage}: goes on after ${(loaded.state.tokens).toLocaleString("en")} tokens`);
  if (task.method === "boosting" && plan.n_members > 1) {
    const each = totalSteps(plan.settings) * batch;
    context.log(
      "info",
      `${stage}: ${plan.n_members} members one after the other, ${each.toLocaleString("en")} tokens each`,
    );
  }
  const checkpointEvery = Math.ceil(steps / (settings.n_checkpoints + 1));
  const eventEvery = Math.ceil(steps / MOST_EVENTS);
  let saved = Date.now();
  const engine = await context.engine();
  // "auto" is not decided before a few steps have been taken.
  let before = loaded?.state;
  const sayWhereItGoesOn = (): void => {
    if (before === undefined || engine.name === "auto") return;
    const change = changeOfDevice(before, engine);
    if (change) context.log("info", `${stage}: ${change}`);
    before = undefined;
  };

  // The rate is taken from here on, not from the end of the first step.
  const started = loaded ? loaded.state.finished.length * totalSteps(plan.settings) + loaded.state.step : 0;
  const begin = () => context.progress(stage, started * batch, steps * batch, "tokens");
  begin();
  const outcome = await trainEnsemble(
    engine,
    plan,
    openActivations,
    {
      signal,
      onStep: (event) => {
        sayWhereItGoesOn();
        const { step, tokens, members, stepsDone, stepsInAll } = event;
        if (step % eventEvery === 0 || step === event.totalSteps) context.train({ stage, step, tokens, members });
        context.progress(stage, stepsDone * batch, stepsInAll * batch, "tokens");
      },
      onEstimate: (batches, of) => {
        context.progress(`${stage}: scale of activations`, batches, of, "batches");
        if (batches >= of) begin();
      },
      onWarning: (message) => context.log("warning", `${stage}: ${message}`),
      checkpoint: {
        due: (stepsDone) =>
          (settings.n_checkpoints > 0 && stepsDone > 0 && stepsDone % checkpointEvery === 0) ||
          Date.now() - saved > CHECKPOINT_INTERVAL,
        save: async (state) => {
          await saveCheckpoint(checkpoint, state);
          saved = Date.now();
        },
      },
    },
    loaded?.state,
  );
  if (!outcome.finished) {
    signal.throwIfAborted();
    throw new Error(`${stage} ended before its time, after ${outcome.stepsDone} steps`);
  }
  const aside = await saveEnsemble(run.paths.ensemble(task.name), outcome.ensemble);
  if (aside)
    context.log(
      "warning",
      `${stage}: the ensemble that was there is kept, with its index, flags and labels, as ensembles/${basename(aside)}`,
    );
  await run.finishStage(stage, identity(settings));
  for (const folder of [checkpoint, `${checkpoint}-buffer`]) await removePatiently(folder);
}

/** The run's own settings are those that it began with; what a checkpoint was trained by may differ from them all the same, as where the model's width is another. */
function checkContinued({ state, path }: LoadedCheckpoint, plan: TrainingPlan, folder: string): void {
  if (continues(plan, state)) return;
  const difference = state.plan && firstDifference(completed(state.plan), planIdentity(plan));
  const wayOut = `to train anew, delete ${shownPath(folder)}`;
  throw new InputError({
    file: join(path, "checkpoint.json"),
    where: difference?.path ?? "fingerprint",
    found: difference ? (JSON.stringify(difference.before) ?? "nothing") : `the training of other settings or seeds`,
    expected: difference
      ? `${JSON.stringify(difference.now) ?? "nothing"}, with which the run would go on (${wayOut})`
      : `that of this experiment (${wayOut})`,
  });
}

/** Where a run goes on on another device than its checkpoint was trained on; checkpoints of before know the engine's name alone, or nothing. */
export function changeOfDevice(
  { engine: name, engine_description: words }: Pick<TrainingState, "engine" | "engine_description">,
  engine: Pick<Engine, "name" | "description">,
): string | undefined {
  if (name === undefined || name === "auto") return undefined;
  if (name === engine.name && (words === undefined || words === engine.description)) return undefined;
  const before = words === undefined ? name : `${name} (${words})`;
  return `was trained on ${before} so far, and goes on on ${engine.name} (${engine.description})`;
}

/** Seed of a seed set; members count up from it, and its data are shuffled by it. */
function seedOf(experiment: Experiment, task: EnsembleTask): number {
  return experiment.settings.seed + SEED_SET_DISTANCE * task.seedSet;
}

async function trainingPlan(experiment: Experiment, task: EnsembleTask, open: OpenActivations): Promise<TrainingPlan> {
  const { settings } = experiment;
  const source = await open();
  const { d_in } = source;
  await source.close();
  const n_members = task.method === "single" ? 1 : settings.ensembles.n_members;
  const seed = seedOf(experiment, task);
  const alone = task.method === "single" || task.method === "expanded";
  return {
    method: task.method,
    n_members,
    sae: saeConfig(experiment, d_in),
    settings: trainingSettings(settings),
    seeds: Array.from({ length: alone ? 1 : n_members }, (_, member) => seed + member),
    hook: settings.hook_name,
    metadata: {
      model_name: settings.model_name,
      hook_name: settings.hook_name,
      dataset_path: settings.dataset_path,
      context_size: settings.context_size,
      prepend_bos: settings.prepend_bos,
      exclude_special_tokens: settings.exclude_special_tokens,
    },
    provenance: {
      experiment: experiment.name,
      method: task.method,
      seed_set: task.seedSet,
      settings,
      versions: versions(),
    },
  };
}

/** Opens the activations that a task is trained on: the same order for each of its members. */
async function activationsOf(context: JobContext, task: EnsembleTask): Promise<OpenActivations> {
  const { experiment, run } = context;
  const { settings } = experiment;
  const seed = seedOf(experiment, task);
  if (settings.activations.store === "disk") {
    const rows = await harvestedTokens(context);
    const passes = Math.ceil(settings.training_tokens / rows);
    return (cursor?: ActivationCursor) =>
      openActivationStore(run.paths.trainActivations, { seed, passes, ...(cursor && { cursor }) });
  }
  const model = await context.model();
  return (cursor?: ActivationCursor) =>
    createMixingBuffer({
      d_in: hookWidth(model.info, settings.hook_name),
      openProducer: (at) => openWindowProducer(experiment, model, at),
      seed,
      bufferRows: mixingRows(settings),
      folder: `${run.paths.checkpoint(task.name)}-buffer`,
      ...(cursor && { cursor }),
    });
}
