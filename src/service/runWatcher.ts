// Watches run folders by looking at them (which also works on network file systems), and tells what changed.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import * as z from "zod";
import { openIndexFile } from "../features/indexFile.ts";
import { InputError } from "../formats/inputError.ts";
import { glanceAt, indexedMethods } from "../jobs/experiment.ts";
import { ensembleMetric, type ReportFile, readReportFile } from "../jobs/reportFile.ts";
import { runPaths } from "../jobs/runFolder.ts";
import {
  isAtWork,
  readExperimentRecord,
  readRunStatus,
  runsAmong,
  usualPlaces,
  workingTime,
} from "../jobs/runRecord.ts";
import { seedSetOf } from "../protocol/seedSet.ts";
import type { EnsembleEntry, RunEntry, SeenRuns, WatchedPlaces } from "../protocol/service.ts";
import { movedAside } from "../sae/ensembleFolder.ts";
import { annotationFile } from "./openEnsembles.ts";

/** Milliseconds between looks while a run is at work, and otherwise. */
const busy = 700;
const idle = 2000;

export class RunWatcher {
  readonly #changed: (seen: SeenRuns) => void;
  readonly #failed: (error: Error) => void;
  #places: WatchedPlaces = { folders: [], experiments: [], runs: [] };
  #timer: NodeJS.Timeout | undefined;
  #last = "";

  /** `failed` is told what goes wrong in a look that nobody asked for; the next look comes all the same. */
  constructor(changed: (seen: SeenRuns) => void, failed: (error: Error) => void) {
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Watches these from now on; tells at once. */
  watch(places: WatchedPlaces): void {
    this.#places = places;
    this.#last = "";
    this.look();
  }

  /** Looks now. */
  look(): void {
    clearTimeout(this.#timer);
    let wait = idle;
    try {
      const experiments = this.#places.experiments.map((file) => ({
        file,
        ...(onceAModification(file, () => glanceAt(file)) ?? glanceAt(file)),
      }));
      const { folders, runs: started } = this.#places;
      const places = [...folders.flatMap(usualPlaces), ...experiments.map(({ runFolder }) => runFolder), ...started];
      const runs = runsAmong(places).map(readRun);
      const imports = experiments.filter(({ imported, runFolder }) => imported && !existsSync(runPaths(runFolder).run));
      const seen = { runs, imports: imports.map(({ file }) => file).sort() };
      if (runs.some((run) => run.state === "running" || run.state === "queued")) wait = busy;
      const text = JSON.stringify(seen);
      if (text !== this.#last) {
        this.#changed(seen);
        this.#last = text;
      }
    } finally {
      this.#timer = setTimeout(() => this.#again(), wait);
      this.#timer.unref();
    }
  }

  #again(): void {
    try {
      this.look();
    } catch (error) {
      this.#failed(error as Error);
    }
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
      worked: isAtWork(state) ? null : workingTime(record),
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
      worked: null,
      ahead: null,
      progress: null,
      report: false,
      ensembles: whatIsWhole(folder),
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

/** Names of the ensembles that the experiment's index job indexes; none where the experiment can't be read. */
function indexableEnsembles(folder: string): ReadonlySet<string> {
  try {
    // The first seed set's ensembles have their methods' names.
    return new Set(indexedMethods(readExperimentRecord(folder).settings));
  } catch {
    return new Set();
  }
}

function experimentFile(folder: string): string | null {
  try {
    return readExperimentRecord(folder).file;
  } catch {
    return null;
  }
}

const ensembleFile = z.object({
  method: z.string(),
  members: z.array(z.string()).min(1),
  seeds: z.array(z.int()),
  hook: z.string(),
  /** What trained it says more: an expanded SAE is a single one as such. */
  provenance: z.looseObject({ method: z.string().optional().catch(undefined) }).optional(),
});
const annotationCounts = z
  .object({ features: z.record(z.string(), z.unknown()) })
  .transform(({ features }) => Object.keys(features).length);
const memberConfig = z.object({ d_sae: z.number().int() });

/** Ensembles of a run that is damaged: they may be whole all the same, or be what is damaged. */
function whatIsWhole(runFolder: string): EnsembleEntry[] {
  try {
    return readEnsembles(runFolder);
  } catch {
    return [];
  }
}

/** Throws InputError where the folder of ensembles is there and can't be read. */
function readEnsembles(runFolder: string): EnsembleEntry[] {
  const parent = join(runFolder, "ensembles");
  const names = namesIn(parent).filter(
    (name) => !name.startsWith(".") && existsSync(join(parent, name, "ensemble.json")),
  );
  const report = readReport(runFolder);
  const indexable = indexableEnsembles(runFolder);
  return names.sort().map((name) => ({ ...readEnsemble(join(parent, name), report), indexable: indexable.has(name) }));
}

/** None where there is no such folder. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    const found = code === "ENOTDIR" ? "a file" : `a folder that can't be read (${code})`;
    throw new InputError({ file: folder, found, expected: "a folder of ensembles" });
  }
}

function readEnsemble(folder: string, report: ReportFile | null): Omit<EnsembleEntry, "indexable"> {
  const name = basename(folder);
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
    indexTime: null,
    indexDamage: "",
    annotated: annotatedFeatures(join(folder, annotationFile)),
    replaced: movedAside(name)?.time ?? null,
  };
  try {
    const { method, members, seeds, hook, provenance } = ensembleFile.parse(
      JSON.parse(readFileSync(join(folder, "ensemble.json"), "utf8")),
    );
    const metric = (key: string) => report && ensembleMetric(report, seedSetOf(name).method, seeds, key).value;
    const sizes = members.map(
      (member) => memberConfig.parse(JSON.parse(readFileSync(join(folder, member, "cfg.json"), "utf8"))).d_sae,
    );
    return {
      ...empty,
      method: provenance?.method ?? method,
      hook,
      members: members.length,
      features: sizes.reduce((sum, size) => sum + size, 0),
      explainedVariance: metric("explained_variance"),
      l0: metric("l0"),
      ...indexState(join(folder, "index.sqlite")),
      damage: "",
    };
  } catch (error) {
    return { ...empty, damage: (error as Error).message };
  }
}

/** What was found in a file as it was at a time of modification: a watcher looks often, and files seldom change. */
const seen = new Map<string, { readonly time: number; readonly found: unknown }>();

/** Undefined where there is no file. */
function onceAModification<T>(file: string, look: () => T): T | undefined {
  let time: number | undefined;
  try {
    time = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  } catch {
    return look(); // it says what is wrong with the file
  }
  if (time === undefined) return undefined;
  const known = seen.get(file);
  if (known?.time === time) return known.found as T;
  const found = look();
  seen.set(file, { time, found });
  return found;
}

/** Whether there is an index, of when, and what can be seen at once of its damage. */
function indexState(file: string): Pick<EnsembleEntry, "indexed" | "indexTime" | "indexDamage"> {
  const damage = onceAModification(file, () => {
    try {
      openIndexFile(file).database.close();
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  });
  const indexTime = damage === undefined ? null : (seen.get(file)?.time ?? null);
  return { indexed: damage === "", indexTime, indexDamage: damage ?? "" };
}

function annotatedFeatures(file: string): number | null {
  const count = onceAModification(file, () => {
    try {
      return annotationCounts.parse(JSON.parse(readFileSync(file, "utf8")));
    } catch {
      return null;
    }
  });
  return count === undefined ? 0 : count;
}

/** Null where there is none, or none that can be read. */
function readReport(runFolder: string): ReportFile | null {
  try {
    return readReportFile(runFolder);
  } catch {
    return null;
  }
}
