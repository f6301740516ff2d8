// Runs jobs of an experiment one after the other in this process: takes the run folder, keeps its record alive, listens for the wish to stop, and leaves it done, stopped or failed.
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../engine/engine.ts";
import { InputError } from "../formats/inputError.ts";
import { modelDoubts } from "../model/doubts.ts";
import { hookWidth } from "../model/hookPoints.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import { type JobKind, jobKinds, type ProgressEvent, type RunEvent } from "../protocol/runEvents.ts";
import { buildIndexes } from "./buildIndex.ts";
import { checkConcepts, conceptsJob } from "./conceptsJob.ts";
import { checkDebias, debiasJob } from "./debiasJob.ts";
import { onModelDevice, openEngine } from "./device.ts";
import { deviceOf, QueueTicket } from "./deviceQueue.ts";
import { evaluate } from "./evaluate.ts";
import type { NewRunEvent } from "./eventLog.ts";
import { type Experiment, isImported } from "./experiment.ts";
import { checkTexts, type TextPart } from "./experimentTexts.ts";
import { failureWords } from "./failureWords.ts";
import { harvest } from "./harvest.ts";
import { openAllImported } from "./importEnsemble.ts";
import type { JobContext } from "./job.ts";
import { isRemote, obtainExperiment } from "./obtain.ts";
import { trainedTasks } from "./probeRun.ts";
import { ProgressMeter } from "./progressMeter.ts";
import { openExperimentModel } from "./resources.ts";
import { RunFolder, runPaths } from "./runFolder.ts";
import type { RunRecord } from "./runRecord.ts";
import { train } from "./train.ts";

export interface RunJobsOptions {
  /** Every event, as it is logged. */
  readonly onEvent?: (event: RunEvent) => void;
  /** Aborting checkpoints and stops. */
  readonly signal?: AbortSignal;
  /** Whether to wait until the runs before it on its device are over; default: begins at once. */
  readonly queue?: boolean;
}

/** In the order in which they build on each other. */
export const allJobs: readonly JobKind[] = jobKinds;

const jobs: Record<JobKind, (context: JobContext) => Promise<void>> = {
  harvest,
  train,
  evaluate,
  index: buildIndexes,
  debias: debiasJob,
  concepts: conceptsJob,
};

/** Everything that an experiment asks for: what needs labelled texts, where it names some. */
export function jobsOf({ settings }: Experiment): JobKind[] {
  return allJobs.filter((kind) => (kind !== "debias" && kind !== "concepts") || settings[kind] !== undefined);
}

const MIB = 2 ** 20;

/** Milliseconds between looks at the stop file, and (every fourth) heartbeats. */
const LOOK = 500;

/**
 * Runs `kinds` in order, going on wherever an earlier run of the same folder ended. Returns "stopped" when the signal or the
 * folder's stop file ended it after a checkpoint; throws what made it fail. InputErrors come before anything is written, but for
 * those that only show deep in a text: then a folder that was made for the run is taken back, if its harvest was not finished.
 */
export async function runJobs(
  given: Experiment,
  kinds: readonly JobKind[],
  options: RunJobsOptions = {},
): Promise<"done" | "stopped"> {
  let experiment = given;
  // It may come before there is a run folder to log to.
  const conversion = new ProgressMeter((event) => options.onEvent?.({ time: Date.now(), ...event }));
  const onConversion = (done: number, total: number) =>
    conversion.update("convert model", Math.round(done / MIB), Math.round(total / MIB), "MiB");
  const opened: { model?: Promise<LanguageModel>; engine?: Promise<Engine> } = {};
  // Said before there is a run folder to log to: kept until there is one.
  const early: Parameters<JobContext["log"]>[] = [];
  let say: JobContext["log"] = (...said) => void early.push(said);
  const model = () => (opened.model ??= openModel());
  const openModel = async () => {
    const { settings, paths } = experiment;
    const onCpu = await openExperimentModel(experiment, onConversion);
    for (const doubt of modelDoubts(onCpu)) say("warning", `${settings.model_name}: ${doubt}`);
    return onModelDevice(onCpu, paths.model, settings, (level, message) => say(level, message));
  };
  const isNew = !existsSync(runPaths(given.paths.runFolder).run);
  const engine = () => (opened.engine ??= openEngine(experiment.settings, (level, message) => say(level, message)));
  try {
    checkBeginning(experiment, kinds);
    // A download may take hours: it belongs to a run that can be watched and stopped.
    const remote = isRemote(experiment);
    if (!remote) await check();
    const run = await RunFolder.open(experiment, kinds, options.queue ? "queued" : "running");
    return await work(run, remote);
  } finally {
    await (await opened.model?.catch(() => undefined))?.close();
    await (await opened.engine?.catch(() => undefined))?.close();
  }

  /** Whatever texts, model (a hook that it does not have) or SAEs refuse is said before the folder is made. A run that has harvested may do without the model. */
  async function check(): Promise<void> {
    for (const part of partsRead(experiment, kinds)) await checkTexts(experiment, part);
    if (kinds.includes("debias")) await checkDebias(experiment, model);
    if (kinds.includes("concepts")) await checkConcepts(experiment, model);
    if (!isNew || !kinds.includes("harvest")) return;
    const { info } = await model();
    if (isImported(experiment)) await openAllImported(experiment, hookWidth(info, experiment.settings.hook_name));
  }

  async function work(run: RunFolder, remote: boolean): Promise<"done" | "stopped"> {
    const stop = new AbortController();
    const signal = options.signal ? AbortSignal.any([stop.signal, options.signal]) : stop.signal;
    const log = (event: NewRunEvent): void => {
      const timed = run.events.append(event);
      options.onEvent?.(timed);
    };
    say = (level, message) => log({ type: "log", level, message });
    for (const said of early.splice(0)) say(...said);
    const meter = new ProgressMeter((event) => {
      run.note({ progress: progressOf(event) });
      log(event);
    });
    let looks = 0;
    const timer = setInterval(() => {
      if (run.stopRequested()) stop.abort(new DOMException("asked to stop", "AbortError"));
      if (++looks % 4 === 0) void run.update({}).catch(() => {});
    }, LOOK);
    let ticket: QueueTicket | undefined;
    let refused = false;
    try {
      if (options.queue) {
        ticket = QueueTicket.take(deviceOf(experiment.settings), run.folder);
        await waitForTurn(ticket);
      }
      await run.update({ state: "running", reason: null, ahead: null, started: Date.now() });
      log({ type: "state", state: "running" });
      if (remote) {
        experiment = await obtainExperiment(experiment, {
          signal,
          onProgress: (stage, done, total) =>
            meter.update(stage, Math.floor(done / MIB), Math.ceil(total / MIB), "MiB"),
        });
        await run.settle(experiment);
        await check();
      }
      for (const kind of kinds) {
        signal.throwIfAborted();
        await run.update({ job: kind, progress: null });
        await jobs[kind]({
          experiment,
          run,
          signal,
          model,
          engine,
          progress: (stage, done, total, unit) => meter.update(stage, done, total, unit),
          train: (event) => log({ type: "train", ...event }),
          log: say,
        });
      }
      await run.update({ state: "done", ended: Date.now(), progress: null });
      log({ type: "state", state: "done" });
      return "done";
    } catch (error) {
      // Something may also go wrong while stopping: a checkpoint that cannot be written is a failure.
      if (signal.aborted && (error === signal.reason || (error as Error).name === "AbortError")) {
        meter.flush();
        const ended = Date.now();
        const queued = run.record.state === "queued";
        const reason = queued ? "taken out of the queue; resume queues it again" : stopWords(run.record);
        await run.update({ state: "stopped", reason, ahead: null, ended, ...(queued && { started: ended }) });
        log({ type: "state", state: "stopped", reason });
        return "stopped";
      }
      const reason = failureWords(error);
      log({
        type: "log",
        level: "error",
        message: (error instanceof Error && !(error instanceof InputError) && error.stack) || reason,
      });
      const ended = Date.now();
      await run.update({ state: "failed", reason, ended, ...(run.record.state === "queued" && { started: ended }) });
      log({ type: "state", state: "failed", reason });
      refused = error instanceof InputError;
      throw error;
    } finally {
      clearInterval(timer);
      ticket?.release();
      await run.close();
      if (refused) run.discard();
    }

    async function waitForTurn(ticket: QueueTicket): Promise<void> {
      for (let told = ""; ; ) {
        const { ahead, waitsFor } = ticket.place();
        if (ahead === 0) return;
        if (told !== waitsFor) {
          await run.update({ ahead, reason: waitsFor });
          log({ type: "state", state: "queued", reason: waitsFor });
          told = waitsFor;
          // The memory is the other run's meanwhile.
          await (await opened.model)?.close();
          delete opened.model;
        }
        await sleep(LOOK, undefined, { signal });
      }
    }
  }
}

/** What builds on a training needs a run folder to be there already. */
function checkBeginning({ settings, paths: { runFolder } }: Experiment, kinds: readonly JobKind[]): void {
  if (kinds.includes("harvest")) return;
  if (!existsSync(runPaths(runFolder).run)) {
    const before = kinds.includes("train") ? "harvest" : "train";
    throw new InputError({ file: runFolder, found: "no run", expected: `one: run ${before} first` });
  }
  if (kinds.includes("train")) return;
  for (const kind of ["debias", "concepts"] as const)
    if (kinds.includes(kind)) trainedTasks(runFolder, settings, settings[kind]?.ensembles);
}

/** The texts that the jobs read. */
function partsRead({ settings }: Experiment, kinds: readonly JobKind[]): Set<TextPart> {
  const flying = settings.activations.store === "on_the_fly" && kinds.includes("train");
  return new Set([
    ...(kinds.includes("harvest") || flying ? (["train"] as const) : []),
    ...(kinds.includes("harvest") || kinds.includes("evaluate") ? (["test"] as const) : []),
    ...(kinds.includes("index") ? (["index"] as const) : []),
  ]);
}

/** Where a run stopped. */
function stopWords({ progress }: RunRecord): string {
  if (!progress || progress.total === 0) return "stopped; resume goes on from here";
  return `stopped in ${progress.stage} at ${Math.floor((100 * progress.done) / progress.total)}%; resume goes on from there`;
}

function progressOf({ stage, done, total, unit, rate, eta }: ProgressEvent) {
  return { stage, done, total, unit, rate, eta };
}
