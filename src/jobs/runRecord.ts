// run.json and experiment.json of a run folder: what they hold, and reading them from any process. Working on a run is runFolder.ts.
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { hubReferenceOf } from "../data/hub/reference.ts";
import { absolutePath } from "../formats/absolutePath.ts";
import { InputError } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import { jobKinds, progress, type RunState, runStates } from "../protocol/runEvents.ts";
import { type Experiment, importedPaths } from "./experiment.ts";
import { experimentSchema } from "./experimentSchema.ts";
import { conceptsSchema, debiasSchema } from "./probingSchema.ts";
import { isRunLocked } from "./runLock.ts";

const milliseconds = z.number();
const jobKind = z.enum(jobKinds);

const runRecordSchema = z.object({
  format_version: z.literal(1),
  name: z.string(),
  state: z.enum(runStates),
  /** Why it stopped or failed. */
  reason: z.string().nullable(),
  /** What was asked for, in order. */
  jobs: z.array(jobKind),
  /** The one at work, or the last one. */
  job: jobKind.nullable(),
  pid: z.number().int(),
  host: z.string(),
  /** Milliseconds since 1970. */
  created: milliseconds,
  started: milliseconds,
  heartbeat: milliseconds,
  ended: milliseconds.nullable(),
  /** Milliseconds of work before `started`: of a run that was stopped, failed or killed and resumed, or done and asked for more. */
  worked: milliseconds.default(0),
  /** While it is queued: runs before it on its device. */
  ahead: z.int().nullable().default(null),
  progress: progress.nullable(),
  /** Stages that are over: which settings they were done with, and when. */
  stages: z.record(z.string(), z.object({ fingerprint: z.string(), finished: milliseconds })),
});

/** run.json. */
export type RunRecord = z.infer<typeof runRecordSchema>;

const experimentRecordSchema = z.object({
  format_version: z.literal(1),
  /** The experiment file that it was read from. */
  file: z.string(),
  name: z.string(),
  settings: experimentSchema,
  paths: z.object({
    model: z.string(),
    dataset: z.string(),
    testDataset: z.string().optional(),
    indexDataset: z.string(),
    imported: z.array(z.string()).readonly().optional(),
  }),
  /** State of the contents of the model's files and of the text that is trained on, so that a change under a run is seen. */
  files: z.record(z.string(), z.string()),
  versions: z.record(z.string(), z.string()),
});

/** experiment.json: everything resolved. */
export type ExperimentRecord = z.infer<typeof experimentRecordSchema>;

/** As it is read: sections that only their own jobs need count as absent where they are wrong. */
const forgivingRecordSchema = experimentRecordSchema.extend({
  settings: experimentSchema.extend({
    debias: debiasSchema.optional().catch(undefined),
    concepts: conceptsSchema.optional().catch(undefined),
  }),
});

/** What a watcher is told of a run. */
export interface RunStatus {
  /** Absolute. */
  readonly folder: string;
  readonly record: RunRecord;
  /** The record's state, corrected by what is so: a run whose process is gone has failed. */
  readonly state: RunState;
  readonly reason: string | null;
}

/** Reads a run folder from any process. Throws InputError where it is none, or is damaged. */
export function readRunStatus(folder: string): RunStatus {
  const path = absolutePath(folder);
  const record = readRunRecord(path);
  if (!isAtWork(record.state) || isRunLocked(path))
    return { folder: path, record, state: record.state, reason: record.reason };
  // It may have ended between the two looks.
  const again = readRunRecord(path);
  if (!isAtWork(again.state)) return { folder: path, record: again, state: again.state, reason: again.reason };
  const process = `its process (${again.pid} on ${again.host})`;
  if (again.state === "queued")
    return {
      folder: path,
      record: again,
      state: "stopped",
      reason: `${process} ended while it waited; resume queues it again`,
    };
  const words = lastWords(path);
  return {
    folder: path,
    record: again,
    state: "failed",
    reason: `${process} ended without a word${words && ` in its record; the last in output.log: ${words}`}; resume goes on from the newest checkpoint`,
  };
}

/** Whether a process has the run, at work or in the queue. */
export function isAtWork(state: RunState): boolean {
  return state === "running" || state === "queued";
}

/** Milliseconds of work so far, also what came before a stop; waiting in the queue is none. */
export function workingTime({ state, started, heartbeat, ended, worked }: RunRecord): number {
  return state === "queued" ? worked : worked + (ended ?? heartbeat) - started;
}

/** The last line that a detached process printed, which may say why it died; empty where there is none. */
export function lastWords(folder: string): string {
  try {
    const text = readFileSync(join(folder, "output.log"), "utf8").trimEnd();
    return text.slice(text.lastIndexOf("\n") + 1).slice(0, 300);
  } catch {
    return "";
  }
}

export function readRunRecord(folder: string): RunRecord {
  return readJson(join(folder, "run.json"), runRecordSchema, "a run folder");
}

export function readExperimentRecord(folder: string): ExperimentRecord {
  return readJson(join(folder, "experiment.json"), forgivingRecordSchema, "a run folder");
}

/** The text of experiment.json. Throws InputError where a run could not be opened with it again. */
export function experimentRecordText(folder: string, record: ExperimentRecord): string {
  const text = `${JSON.stringify(record, null, 2)}\n`;
  parseRecord(text, join(folder, "experiment.json"), experimentRecordSchema, "a run folder");
  return text;
}

/** The experiment of a run folder, wherever the folder lies now. */
export function experimentOfRun(folder: string): Experiment {
  const { file, name, settings, paths } = readExperimentRecord(folder);
  // Imported SAEs are copied into the run: a finished one does without them, and reading them says which is missing.
  // What a stop found not yet fetched is fetched when the run goes on.
  for (const [field, path] of Object.entries(paths))
    if (typeof path === "string" && hubReferenceOf(path) === null && !existsSync(path))
      throw new InputError({
        file: join(folder, "experiment.json"),
        where: `paths.${field}`,
        found: `"${path}", which is not there`,
        expected: "what the run began with",
      });
  // A record of before doesn't hold the imported ones: they are where the experiment's file names them.
  const { testDataset, imported = importedPaths(settings, dirname(file)), ...others } = paths;
  return {
    file,
    name,
    settings,
    paths: {
      ...others,
      ...(testDataset && { testDataset }),
      ...(imported && { imported }),
      runFolder: absolutePath(folder),
    },
  };
}

/** Run folders in the usual places below `folder` (itself, its children, runs/* and a child's runs/*), newest first. */
export function findRuns(folder: string): string[] {
  return runsAmong(usualPlaces(folder));
}

/** Where a look finds the runs of a folder: it is quick in a folder of any depth, and knows nothing of an experiment that lies deeper or has an output_path. */
export function usualPlaces(folder: string): string[] {
  const inside = children(folder);
  return [folder, ...inside, ...[folder, ...inside].flatMap((above) => children(join(above, "runs")))];
}

/** Which of these are run folders, newest first, each once and as it is spelled first. */
export function runsAmong(folders: readonly string[]): string[] {
  const seen = new Set<string>();
  return (
    [...new Set(folders.map((folder) => absolutePath(folder)))]
      .map((folder) => ({ folder, time: recordTime(folder) }))
      .filter(({ time }) => time > 0)
      // A drive's letter may be large or small, and a link leads to the same folder.
      .filter(({ folder }) => seen.size < seen.add(realpathSync.native(folder)).size)
      .sort((a, b) => b.time - a.time)
      .map(({ folder }) => folder)
  );
}

/** When a run's record was written last, in milliseconds since 1970; 0 where there is none, or none that can be seen. */
function recordTime(folder: string): number {
  try {
    return statSync(join(folder, "run.json")).mtimeMs;
  } catch {
    return 0;
  }
}

function children(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "node_modules" && !entry.name.startsWith("."))
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

function readJson<T>(file: string, schema: z.ZodType<T>, what: string): T {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    const found = existsSync(join(file, "..")) ? `no ${basename(file)} in it` : "no such folder";
    throw new InputError({ file: join(file, ".."), found, expected: what });
  }
  return parseRecord(text, file, schema, what);
}

function parseRecord<T>(text: string, file: string, schema: z.ZodType<T>, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file, found: `broken JSON (${(error as Error).message})`, expected: what });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw schemaError(file, value, parsed.error, what);
}
