// A run folder as the process that works on it has it: created or reopened, locked, its record kept up to date. Reading from outside is runRecord.ts.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { MANIFEST_FILE } from "../data/activationManifest.ts";
import { hubReferenceOf } from "../data/hub/reference.ts";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import type { FileLock } from "../formats/fileLock.ts";
import { InputError } from "../formats/inputError.ts";
import type { JobKind } from "../protocol/runEvents.ts";
import { EventLog } from "./eventLog.ts";
import { type Experiment, experimentError, shownPath } from "./experiment.ts";
import type { ExperimentSettings } from "./experimentSchema.ts";
import { contentState, modelStates } from "./fileStates.ts";
import { acquireRunLock } from "./runLock.ts";
import {
  type ExperimentRecord,
  experimentRecordText,
  type RunRecord,
  readExperimentRecord,
  readRunRecord,
  workingTime,
} from "./runRecord.ts";
import { versions } from "./versions.ts";

/** Another process is at work on the run. */
export class RunBusyError extends Error {
  override name = "RunBusyError";
}

/** Where everything in a run folder lies. */
export function runPaths(folder: string) {
  return {
    run: join(folder, "run.json"),
    experiment: join(folder, "experiment.json"),
    events: join(folder, "events.jsonl"),
    /** Made by who wants the run to stop; seen within a second. */
    stop: join(folder, "stop"),
    /** What a detached process prints. */
    output: join(folder, "output.log"),
    trainActivations: join(folder, "activations", "train"),
    testActivations: join(folder, "activations", "test"),
    checkpoint: (task: string) => join(folder, "checkpoints", task),
    ensemble: (task: string) => join(folder, "ensembles", task),
    /** Each ensemble has its own index, beside it. */
    index: (task: string) => join(folder, "ensembles", task, "index.sqlite"),
    /** Flags, labels and notes on the ensemble's features. */
    annotations: (task: string) => join(folder, "ensembles", task, "annotations.json"),
    report: (extension: "json" | "csv" | "md") => join(folder, `report.${extension}`),
  };
}

export class RunFolder {
  readonly folder: string;
  readonly paths: ReturnType<typeof runPaths>;
  readonly events: EventLog;
  readonly #lock: FileLock;
  /** Folders that were made for this run, the run's own last; empty where it was there before. */
  readonly #made: readonly string[];
  #record: RunRecord;
  #writing: Promise<void> = Promise.resolve();

  private constructor(folder: string, record: RunRecord, lock: FileLock, made: readonly string[]) {
    this.folder = folder;
    this.paths = runPaths(folder);
    this.events = new EventLog(this.paths.events);
    this.#record = record;
    this.#lock = lock;
    this.#made = made;
  }

  /**
   * Creates the experiment's run folder, or reopens it to go on. Throws InputError where the folder holds something else
   * or a run of other settings, RunBusyError where another process is at work on it. `state`: in which it begins.
   */
  static async open(
    experiment: Experiment,
    jobs: readonly JobKind[],
    state: "running" | "queued" = "running",
  ): Promise<RunFolder> {
    const folder = experiment.paths.runFolder;
    const text = checkedRecord(experiment);
    const made = makeFolders(folder);
    const lock = acquireRunLock(folder);
    if (!lock) {
      const { pid, host } = existsSync(join(folder, "run.json"))
        ? readRunRecord(folder)
        : { pid: "?", host: hostname() };
      throw new RunBusyError(`${folder}: another process (${pid} on ${host}) is at work on this run`);
    }
    try {
      const now = Date.now();
      const before = existsSync(join(folder, "run.json")) ? readRunRecord(folder) : undefined;
      const record: RunRecord = {
        format_version: 1,
        name: experiment.name,
        state,
        reason: null,
        jobs: [...jobs],
        job: jobs[0] ?? null,
        pid: process.pid,
        host: hostname(),
        created: before?.created ?? now,
        started: now,
        heartbeat: now,
        ended: null,
        worked: before ? workingTime(before) : 0,
        ahead: null,
        progress: null,
        stages: before?.stages ?? {},
      };
      await writeFileAtomic(join(folder, "experiment.json"), text);
      rmSync(join(folder, "stop"), { force: true });
      const run = new RunFolder(folder, record, lock, made);
      await run.update({});
      return run;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Remembers where everything lies that was fetched after the run began. Throws InputError as `open` does. */
  async settle(experiment: Experiment): Promise<void> {
    await writeFileAtomic(this.paths.experiment, checkedRecord(experiment));
  }

  get record(): RunRecord {
    return this.#record;
  }

  /** Changes the record; the next `update` (a heartbeat at the latest) writes it. */
  note(change: Partial<RunRecord>): void {
    this.#record = { ...this.#record, ...change };
  }

  /** Changes the record and writes it; writes follow one another. Throws where this write fails; one that failed before it does not count. */
  async update(change: Partial<RunRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change, heartbeat: Date.now() };
    this.#writing = this.#writing.catch(() => {}).then(() => writeFileAtomic(this.paths.run, json(this.#record)));
    await this.#writing;
  }

  /** Whether a stage is over, done with the settings that `settings` says. */
  isFinished(stage: string, settings: unknown): boolean {
    return this.#record.stages[stage]?.fingerprint === fingerprint(settings);
  }

  async finishStage(stage: string, settings: unknown): Promise<void> {
    const entry = { fingerprint: fingerprint(settings), finished: Date.now() };
    await this.update({ stages: { ...this.#record.stages, [stage]: entry } });
  }

  /** Whether someone asked the run to stop. */
  stopRequested(): boolean {
    return existsSync(this.paths.stop);
  }

  /** Gives the lock back; the record must have its last state by then. */
  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    rmSync(this.paths.stop, { force: true });
    this.#lock.release();
  }

  /** After `close`: takes back a folder that this run made and in which it has not come further than its harvest, as after a text that turned out to be broken. */
  discard(): void {
    if (this.#made.length === 0 || finishedMore(this.#record.stages)) return;
    removeFolders(this.#made);
  }
}

/** Makes a folder and those above it that are missing; which those were, outermost first. */
export function makeFolders(folder: string): string[] {
  const made: string[] = [];
  let above = resolve(folder);
  for (; !existsSync(above); above = dirname(above)) made.unshift(above);
  const expected = "a place for a folder (output_path, --run-folder or --folder)";
  if (!statSync(above).isDirectory()) throw new InputError({ file: above, found: "a file", expected });
  // One by one: where a file system refuses, mkdir's own recursion may try for ever.
  for (const [i, one] of made.entries()) {
    try {
      mkdirSync(one);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST" && statSync(one).isDirectory()) continue;
      if (i > 0) removeFolders(made.slice(0, i));
      throw new InputError({ file: one, found: `nothing, and no folder can be made there (${code})`, expected });
    }
  }
  return made;
}

/** Takes back what makeFolders made: the innermost with what is in it, those above unless something else has come into them. */
export function removeFolders(made: readonly string[]): void {
  rmSync(made.at(-1)!, { recursive: true, force: true });
  for (const parent of made.slice(0, -1).reverse()) if (readdirSync(parent).length === 0) rmdirSync(parent);
}

/** Keys that a run may change while it lives: they alter neither what is harvested nor what is trained. */
const free = new Set([
  "$schema",
  "n_checkpoints",
  "threads",
  "device",
  "autocast",
  "llm_device",
  "engine",
  "output_path",
  "index",
  "ensembles",
  "evaluation",
  "debias",
  "concepts",
]);

/** What harvest and training depend on: a run folder keeps to it for life. Methods and seed sets may be added. */
export function identity(settings: ExperimentSettings): Record<string, unknown> {
  const kept = Object.fromEntries(Object.entries(settings).filter(([key]) => !free.has(key)));
  const { evaluation, ensembles } = settings;
  // The held-out share decides which documents are trained on.
  const test_share = evaluation.dataset_path ? 0 : evaluation.test_share;
  return { ...kept, ensembles: { n_members: ensembles.n_members }, evaluation: { test_share } };
}

/** What a run may leave in a folder before its records are written. */
const leftBehind = /^(run\.lock|output\.log|stop|\..*\.tmp.*|\.DS_Store)$/;

/** Refuses a folder in which others keep their files: a run writes over names of its own. */
function checkOwner(folder: string): void {
  if (["experiment.json", "run.json"].some((file) => existsSync(join(folder, file)))) return;
  const others = readdirSync(folder).filter((name) => !leftBehind.test(name));
  if (others.length === 0) return;
  const named = others.slice(0, 3).join(", ");
  throw new InputError({
    file: folder,
    where: "output_path",
    found: `other files (${named}${others.length > 3 ? `, and ${others.length - 3} more` : ""})`,
    expected: "the folder of a run, an empty one, or none yet",
  });
}

/** What is written into experiment.json. Throws InputError where the run can't go on with it, or could not be opened with it again. */
function checkedRecord(experiment: Experiment): string {
  const { runFolder } = experiment.paths;
  const now = experimentRecord(experiment);
  const text = experimentRecordText(runFolder, now);
  if (existsSync(runFolder)) checkReopening(experiment, now);
  return text;
}

/** Refuses to go on with other settings or other texts than the run began with. */
function checkReopening(experiment: Experiment, now: ExperimentRecord): void {
  const folder = experiment.paths.runFolder;
  if (!statSync(folder).isDirectory())
    throw new InputError({ file: folder, found: "a file", expected: "the run folder, or nothing yet" });
  checkOwner(folder);
  if (!existsSync(join(folder, "experiment.json"))) return;
  const before = readExperimentRecord(folder);
  if (!hasBegun(folder)) return;
  const advice = "(or another output_path, or no run folder yet)";
  // What is still to be fetched has no place yet; its name is among the settings.
  const fetched = (paths: Pick<ExperimentRecord["paths"], "model" | "dataset">) => ({
    paths: Object.fromEntries(
      (["model", "dataset"] as const)
        .filter((key) => [before.paths[key], now.paths[key]].every((path) => hubReferenceOf(path) === null))
        .map((key) => [key, paths[key]]),
    ),
  });
  const difference =
    firstDifference(identity(before.settings), identity(experiment.settings)) ??
    firstDifference(fetched(before.paths), fetched(now.paths));
  if (difference)
    throw experimentError(
      experiment.file,
      difference.path,
      JSON.stringify(difference.now) ?? "nothing",
      `${JSON.stringify(difference.before) ?? "nothing"}, with which the run in ${shownPath(folder)} began ${advice}`,
    );
  for (const [file, state] of Object.entries(before.files)) {
    const found = now.files[file];
    // Other texts may change: what is made of them is made anew.
    const same = (key: "model" | "dataset") => before.paths[key] === now.paths[key];
    const kept =
      (file === before.paths.dataset && same("dataset")) || (file.startsWith(before.paths.model) && same("model"));
    if (found === state || !kept) continue;
    throw new InputError({
      file,
      found: found ?? "no such file",
      expected: `the ${state} that the run in ${shownPath(folder)} began with ${advice}`,
    });
  }
}

/**
 * Whether a run has anything that its settings made: what failed before that may be repaired. The held-out part does not
 * count, since it is made anew when what it depends on changes.
 */
function hasBegun(folder: string): boolean {
  const { stages } = existsSync(join(folder, "run.json")) ? readRunRecord(folder) : { stages: {} };
  const paths = runPaths(folder);
  return (
    finishedMore(stages) ||
    existsSync(join(paths.trainActivations, MANIFEST_FILE)) ||
    existsSync(join(folder, "checkpoints"))
  );
}

function finishedMore(stages: RunRecord["stages"]): boolean {
  return Object.keys(stages).some((stage) => stage !== "harvest held-out");
}

/** The first key, by its path, that two JSON values don't have in common. */
export function firstDifference(
  before: unknown,
  now: unknown,
  path = "",
): { path: string; before: unknown; now: unknown } | undefined {
  if (isRecord(before) && isRecord(now)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
      const inner = firstDifference(before[key], now[key], path === "" ? key : `${path}.${key}`);
      if (inner) return inner;
    }
    return undefined;
  }
  return JSON.stringify(before) === JSON.stringify(now) ? undefined : { path, before, now };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function experimentRecord(experiment: Experiment): ExperimentRecord {
  const { runFolder: _, ...paths } = experiment.paths;
  return {
    format_version: 1,
    file: experiment.file,
    name: experiment.name,
    settings: experiment.settings,
    paths,
    files: {
      ...(hubReferenceOf(paths.model) === null && modelStates(paths.model)),
      ...(hubReferenceOf(paths.dataset) === null && { [paths.dataset]: contentState(paths.dataset) }),
    },
    versions: versions(),
  };
}

/** The same settings, the same 16 hexadecimal digits, whatever the order of their keys. */
function fingerprint(settings: unknown): string {
  const sorted = JSON.stringify(settings, (_, value) =>
    isRecord(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  );
  return createHash("sha256")
    .update(sorted ?? "undefined")
    .digest("hex")
    .slice(0, 16);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
