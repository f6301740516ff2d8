// Concept detection as a job of a run: the experiment's section "concepts" becomes the options of concepts.ts.
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { LanguageModel } from "../model/languageModel.ts";
import { type ConceptsJobOptions, concepts, readConceptTexts } from "./concepts.ts";
import { demoPath } from "./demoData.ts";
import { type Experiment, ensembleTasks, shownPath } from "./experiment.ts";
import { textStates } from "./fileStates.ts";
import type { JobContext } from "./job.ts";
import { isNamedData, labelledPath } from "./obtain.ts";
import type { ConceptsSection } from "./probingSchema.ts";
import { checkSaeBenchLengths } from "./saebench.ts";
import { sayReplaced } from "./savedReports.ts";
import { checkEnsembles, commandLine, requireSection } from "./sections.ts";

/** Throws InputError where the section or its data lack something; nothing is computed. `model`: asked for where only its tokenizer knows; null: that isn't looked at. */
export async function checkConcepts(
  experiment: Experiment,
  model: (() => Promise<LanguageModel>) | null,
): Promise<void> {
  checkEnsembles(experiment, "concepts");
  const options = conceptsOptions(experiment);
  const { texts } = await readConceptTexts(options);
  if (options.saebenchCompatible && model) await checkSaeBenchLengths(texts, experiment.settings, model);
}

export async function conceptsJob({
  experiment,
  run,
  signal,
  progress,
  log,
  model,
  engine,
}: JobContext): Promise<void> {
  const options = conceptsOptions(experiment);
  const report = conceptsReportPath(experiment);
  const done = {
    section: experiment.settings.concepts,
    texts: textStates(options),
    trained: ensembleTasks(experiment.settings).map(({ name }) => run.record.stages[`train ${name}`] ?? null),
  };
  if (run.isFinished("concepts", done) && existsSync(`${report}.json`)) return;
  sayReplaced(report, log);
  await concepts(run.folder, report, { ...options, signal, onProgress: progress, resources: { model, engine } });
  await run.finishStage("concepts", done);
}

/** Where the report goes, without its endings. */
export function conceptsReportPath(experiment: Experiment): string {
  const { report } = requireSection(experiment, "concepts");
  return report === undefined
    ? join(experiment.paths.runFolder, "concepts")
    : resolve(dirname(experiment.file), report);
}

export function conceptsOptions(experiment: Experiment): ConceptsJobOptions {
  const section = requireSection(experiment, "concepts");
  const { dataset_path, test_dataset_path, per_class } = section;
  const at = (path: string): string => shownPath(labelledPath(path, dirname(experiment.file)));
  const demo = dataset_path === "demo";
  const testFile = test_dataset_path !== undefined ? at(test_dataset_path) : demo ? demoPath("testBios") : undefined;
  return {
    trainFile: demo ? demoPath("bios") : at(dataset_path),
    ...(testFile !== undefined && { testFile }),
    columns: { text: section.text_column, label: section.label_column },
    ...(section.classes && { classes: section.classes }),
    ...(section.ensembles && { ensembles: section.ensembles }),
    perClass: { train: per_class, test: Math.ceil(per_class / 2) },
    tpp_n: section.tpp,
    seeds: section.seeds,
    saebenchCompatible: section.saebench_compatible,
    command: conceptsCommandLine(section, experiment),
  };
}

/** What a person would type, in any folder, to have the same report. */
function conceptsCommandLine(section: ConceptsSection, { file, paths }: Experiment): string {
  const at = (path: string | undefined): string | undefined =>
    path === undefined ? path : resolve(dirname(file), path);
  const data = (name: string | undefined): string | undefined =>
    name !== undefined && isNamedData(name, dirname(file)) ? name : at(name);
  return commandLine(["concepts", paths.runFolder], {
    data: data(section.dataset_path),
    test: data(section.test_dataset_path),
    text: section.text_column,
    label: section.label_column,
    classes: section.classes?.join(","),
    ensemble: section.ensembles?.join(","),
    seeds: section.seeds.join(","),
    "per-class": section.per_class,
    tpp: section.tpp.join(",") || "none",
    report: at(section.report),
    "saebench-compatible": section.saebench_compatible,
  });
}
