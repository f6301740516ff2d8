// Watches run folders by looking at them (which also works on network file systems), and tells what changed.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import * as z from "zod";
import { runPaths } from "../jobs/runFolder.ts";
import { findRuns, readExperimentRecord, readRunStatus } from "../jobs/runRecord.ts";
import type { EnsembleEntry, RunEntry } from "../protocol/service.ts";
import { movedAside } from "../sae/ensembleFolder.ts";
import { readReport } from "./reportRows.ts";

/** Milliseconds between looks while a run is at work, and otherwise. */
const busy = 700;
const idle = 2000;

export class RunWatcher {
  readonly #changed: (runs: RunEntry[]) => void;
  #folders: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #last = "";

  constructor(changed: (runs: RunEntry[]) => void) {
    this.#changed = changed;
  }

  /** Watches these from now on; tells at once. */
  watch(folders: readonly string[]): void {
    this.#folders = folders;
    this.#last = "";
    this.look();
  }

  /** Looks now. */
  look(): void {
    clearTimeout(this.#timer);
    const runs = [...new Set(this.#folders.flatMap((folder) => findRuns(folder)))].map(readRun);
    const text = JSON.stringify(runs);
    if (text !== this.#last) {
      this.#last = text;
      this.#changed(runs);
    }
    const wait = runs.some((run) => run.state === "running" || run.state === "queued") ? busy : idle;
    this.#timer = setTimeout(() => this.look(), wait);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** One run as a watcher shows it; damage is a state, not an exception, so that it breaks no other row. */
export function readRun(folder: string): RunEntry {
  try {
    const { record, state, reason } = readRunStatus(folder);
    const report = existsSync(runPaths(folder).report("json"));
    return {
      folder,
      name: record.name,
      state,
      reason,
      experiment: experimentFile(folder),
      started: record.started,
      ended: record.ended,
      ahead: state === "queued" ? record.ahead : null,
      progress: record.progress,
      report,
      ensembles: readEnsembles(folder),
    };
  } catch (error) {
    return {
      folder,
      name: basename(folder),
      state: "damaged",
      reason: (error as Error).message,
      experiment: experimentFile(folder),
      started: null,
      ended: null,
      ahead: null,
      progress: null,
      report: false,
      // What lies in it may be whole all the same.
      ensembles: readEnsembles(folder),
    };
  }
}

/** The run's state and its reason; damage is a state here as well. */
export function stateOf(folder: string): Pick<RunEntry, "state" | "reason"> {
  try {
    const { state, reason } = readRunStatus(folder);
    return { state, reason };
  } catch (error) {
    return { state: "damaged", reason: (error as Error).message };
  }
}

function experimentFile(folder: string): string | null {
  try {
    return readExperimentRecord(folder).file;
  } catch {
    return null;
  }
}

const ensembleFile = z.object({ method: z.string(), members: z.array(z.string()).min(1), hook: z.string() });
const memberConfig = z.object({ d_sae: z.number().int() });
type Metrics = Readonly<Record<string, { readonly value: number | null }>>;

function readEnsembles(runFolder: string): EnsembleEntry[] {
  const parent = join(runFolder, "ensembles");
  if (!existsSync(parent)) return [];
  const names = readdirSync(parent).filter(
    (name) => !name.startsWith(".") && existsSync(join(parent, name, "ensemble.json")),
  );
  const metrics = readMetrics(runFolder);
  return names.sort().map((name) => readEnsemble(join(parent, name), metrics));
}

function readEnsemble(folder: string, metrics: ReadonlyMap<string, Metrics>): EnsembleEntry {
  const name = basename(folder);
  const shown = metrics.get(name.replace(/-\d+$/, ""));
  const empty = {
    folder,
    name,
    method: "",
    members: 0,
    features: 0,
    hook: "",
    explainedVariance: null,
    l0: null,
    indexed: false,
    replaced: movedAside(name)?.time ?? null,
  };
  try {
    const { method, members, hook } = ensembleFile.parse(
      JSON.parse(readFileSync(join(folder, "ensemble.json"), "utf8")),
    );
    const sizes = members.map(
      (member) => memberConfig.parse(JSON.parse(readFileSync(join(folder, member, "cfg.json"), "utf8"))).d_sae,
    );
    return {
      ...empty,
      method,
      hook,
      members: members.length,
      features: sizes.reduce((sum, size) => sum + size, 0),
      explainedVariance: shown?.["explained_variance"]?.value ?? null,
      l0: shown?.["l0"]?.value ?? null,
      indexed: statSync(join(folder, "index.sqlite"), { throwIfNoEntry: false }) !== undefined,
      damage: "",
    };
  } catch (error) {
    return { ...empty, damage: (error as Error).message };
  }
}

/** Values of the report by method; none where it can't be read. */
function readMetrics(runFolder: string): ReadonlyMap<string, Metrics> {
  try {
    return new Map(readReport(runFolder)?.methods.map(({ method, metrics }) => [method, metrics]));
  } catch {
    return new Map();
  }
}
