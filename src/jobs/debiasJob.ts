// Debiasing as a job of a run: the experiment's section "debias" becomes the options of debias.ts.
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { cellsOf } from "../data/fourCells.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import { type DebiasJobOptions, debias } from "./debias.ts";
import { drawDebiasSets, readDebiasData } from "./debiasData.ts";
import { demoBias } from "./demoData.ts";
import type { Experiment } from "./experiment.ts";
import { ensembleTasks, experimentError, shownPath } from "./experiment.ts";
import { textStates, wholeState } from "./fileStates.ts";
import { flagsOf } from "./flags.ts";
import type { JobContext } from "./job.ts";
import { isNamedData, labelledPath } from "./obtain.ts";
import type { DebiasSection } from "./probingSchema.ts";
import { runPaths } from "./runFolder.ts";
import { readRunRecord } from "./runRecord.ts";
import { checkSaeBenchLengths } from "./saebench.ts";
import { sayReplaced } from "./savedReports.ts";
import { checkEnsembles, commandLine, requireSection } from "./sections.ts";

/** Throws InputError where the section or its data lack something; nothing is computed. `model`: asked for where only its tokenizer knows; null: that isn't looked at. */
export async function checkDebias(experiment: Experiment, model: (() => Promise<LanguageModel>) | null): Promise<void> {
  checkEnsembles(experiment, "debias");
  const options = debiasOptions(experiment);
  if (options.probeFolder !== undefined && options.saebenchCompatible)
    throw experimentError(
      experiment.file,
      "debias.probe",
      "a debiased probe to save with saebench_compatible",
      "one of them: a probe to take away knows nothing of SAEBench's padding",
    );
  const data = await readDebiasData(options);
  const cells = cellsOf(
    data.texts.map(({ text }) => text),
    data.pairs,
  );
  for (const seed of options.seeds) drawDebiasSets(data, data.pairs, cells, seed, options);
  await checkFlags(experiment, options);
  if (options.saebenchCompatible && model) await checkSaeBenchLengths(data.texts, experiment.settings, model);
}

/** Of ensembles that are still to be trained, only that nothing can be flagged yet is known. */
async function checkFlags({ settings, paths: { runFolder } }: Experiment, options: DebiasJobOptions): Promise<void> {
  if (options.flags === undefined && options.probeFolder === undefined) return;
  const stages = existsSync(runPaths(runFolder).run) ? readRunRecord(runFolder).stages : {};
  const trained = ensembleTasks(settings)
    .map(({ name }) => name)
    .filter((name) => stages[`train ${name}`] !== undefined && (options.ensembles?.includes(name) ?? true))
    // One whose folder is gone is trained again.
    .filter((name) => existsSync(runPaths(runFolder).ensemble(name)));
  if (trained.length > 0 || options.flags === undefined) await flagsOf(runFolder, trained, options);
}

export async function debiasJob({ experiment, run, signal, progress, log, model, engine }: JobContext): Promise<void> {
  const options = debiasOptions(experiment);
  const report = debiasReportPath(experiment);
  const tasks = ensembleTasks(experiment.settings).map(({ name }) => name);
  const flags = tasks.map((name) => run.paths.annotations(name));
  const done = {
    section: experiment.settings.debias,
    texts: textStates(options),
    trained: tasks.map((name) => run.record.stages[`train ${name}`] ?? null),
    flags: flags.map((file) => (existsSync(file) ? wholeState(file) : null)),
  };
  if (run.isFinished("debias", done) && existsSync(`${report}.json`)) return;
  sayReplaced(report, log);
  await debias(run.folder, report, { ...options, signal, onProgress: progress, resources: { model, engine } });
  await run.finishStage("debias", done);
}

/** Where the report goes, without its endings. */
export function debiasReportPath(experiment: Experiment): string {
  const { report } = requireSection(experiment, "debias");
  return report === undefined ? join(experiment.paths.runFolder, "debias") : resolve(dirname(experiment.file), report);
}

export function debiasOptions(experiment: Experiment): DebiasJobOptions {
  const section = requireSection(experiment, "debias");
  const { dataset_path, test_dataset_path, per_cell, labels } = section;
  const at = (path: string): string => shownPath(labelledPath(path, dirname(experiment.file)));
  const demo = dataset_path === "demo" ? demoBias() : undefined;
  const testFile = test_dataset_path === undefined ? demo?.testFile : at(test_dataset_path);
  const label = labels ?? demo?.label;
  const perCell = per_cell === undefined ? demo?.perCell : { train: per_cell, test: Math.ceil(per_cell / 2) };
  return {
    trainFile: demo ? demo.trainFile : at(dataset_path),
    ...(testFile !== undefined && { testFile }),
    columns: { text: section.text_column, label: section.label_column, attribute: section.attribute_column },
    ...(label && { label }),
    ...(section.attributes && { attribute: section.attributes }),
    ...(section.ensembles && { ensembles: section.ensembles }),
    ...(section.flags && { flags: section.flags }),
    seeds: section.seeds,
    ...(section.n && { n_values: section.n }),
    ...(section.probe !== undefined && { probeFolder: resolve(dirname(experiment.file), section.probe) }),
    shift_n: section.shift,
    ...(perCell && { perCell }),
    saebenchCompatible: section.saebench_compatible,
    command: debiasCommandLine(section, experiment),
  };
}

/** What a person would type, in any folder, to have the same report. */
function debiasCommandLine(section: DebiasSection, { file, paths }: Experiment): string {
  const pair = (sides: DebiasSection["labels"]): string | undefined =>
    sides && `${sides.positive.join(",")}/${sides.negative.join(",")}`;
  const at = (path: string | undefined): string | undefined =>
    path === undefined ? path : resolve(dirname(file), path);
  const data = (name: string | undefined): string | undefined =>
    name !== undefined && isNamedData(name, dirname(file)) ? name : at(name);
  return commandLine(["debias", paths.runFolder], {
    data: data(section.dataset_path),
    test: data(section.test_dataset_path),
    text: section.text_column,
    label: section.label_column,
    attribute: section.attribute_column,
    labels: pair(section.labels),
    attributes: pair(section.attributes),
    ensemble: section.ensembles?.join(","),
    flags: section.flags?.join(","),
    seeds: section.seeds.join(","),
    n: section.n?.join(","),
    shift: section.shift,
    "per-cell": section.per_cell,
    report: at(section.report),
    probe: at(section.probe),
    "saebench-compatible": section.saebench_compatible,
  });
}
