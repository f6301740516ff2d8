// What every job is given: the experiment, its run folder, ways to say how far it is, and the signal to stop. The jobs are harvest.ts, train.ts, evaluate.ts, buildIndex.ts, debiasJob.ts and conceptsJob.ts; runJobs.ts runs them.
import type { Engine } from "../engine/engine.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import type { TrainEvent } from "../protocol/runEvents.ts";
import type { Experiment } from "./experiment.ts";
import type { RunFolder } from "./runFolder.ts";

export interface JobContext {
  readonly experiment: Experiment;
  readonly run: RunFolder;
  /** Aborted when the run is to stop: save what there is, then throw the signal's reason (`throwIfAborted`). */
  readonly signal: AbortSignal;
  /** Opened when first asked for, closed when the run ends. */
  model(): Promise<LanguageModel>;
  /** The same for the engine. */
  engine(): Promise<Engine>;
  progress(stage: string, done: number, total: number, unit: string): void;
  train(event: Omit<TrainEvent, "type">): void;
  log(level: "info" | "warning", message: string): void;
}
