// `export`: an ensemble and its index in forms that others read.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command, Option } from "commander";
import { InputError } from "../../formats/inputError.ts";
import { indexedEnsembles } from "../../jobs/buildIndex.ts";
import { ensembleTasks, INDEX_ORDER } from "../../jobs/experiment.ts";
import { type ExportForm, exportEnsemble, exportForms } from "../../jobs/exportEnsemble.ts";
import { runPaths } from "../../jobs/runFolder.ts";
import { experimentOfRun } from "../../jobs/runRecord.ts";
import { shortPath } from "../foreground.ts";
import { progressLine } from "../progressLine.ts";

interface ExportOptions {
  readonly as: ExportForm;
  readonly to: string;
  readonly ensemble?: string;
  readonly json?: boolean;
}

export function exportCommand(): Command {
  return new Command("export")
    .summary("write an ensemble or its features in a form that others read")
    .description(
      "saelens: the ensemble as one SAELens SAE, where that is exact. python: its SAELens folders with a short module of SAEBench's contract, exact for every method. neuronpedia: features as SAEDashboard's JSON. parquet: the feature index as tables for notebooks. Each member of an ensemble is a SAELens folder anyway.",
    )
    .argument("<run>", "run folder, or an ensemble's folder")
    .addOption(new Option("--as <form>", "which form").choices(exportForms).makeOptionMandatory())
    .requiredOption("--to <folder>", "where it goes: a new folder")
    .option(
      "--ensemble <name>",
      "which ensemble of a run, e.g. bagging; default the first with an index, as in features, else the first of bagging, boosting, expanded, single that is trained",
    )
    .option("--json", "one JSON on standard output")
    .action(async (run: string, options: ExportOptions) => {
      const ensemble = ensembleFolder(run, options);
      const { onProgress, end } = progressLine();
      const said = await exportEnsemble(ensemble, options.as, options.to, (done, total) =>
        onProgress(`export ${options.as}`, done, total, "features"),
      ).finally(end);
      const { as, to } = options;
      console.log(options.json ? JSON.stringify({ ensemble, as, to, written: said }) : `${shortPath(to)}: ${said}`);
    });
}

function ensembleFolder(run: string, { ensemble: name }: ExportOptions): string {
  if (existsSync(join(run, "ensemble.json"))) return run;
  const paths = runPaths(run);
  const { settings } = experimentOfRun(run);
  const trained = ensembleTasks(settings).filter((task) =>
    existsSync(join(paths.ensemble(task.name), "ensemble.json")),
  );
  const names = trained.map((task) => task.name);
  const chosen =
    name ??
    indexedEnsembles(run).find((indexed) => names.includes(indexed)) ??
    INDEX_ORDER.find((method) => names.includes(method)) ??
    names[0];
  if (chosen !== undefined && names.includes(chosen)) return paths.ensemble(chosen);
  const expected = names.length > 0 ? `one of ${names.join(", ")}` : "a trained ensemble: run train first";
  throw new InputError({ file: join(run, "ensembles"), found: name ? `no "${name}"` : "no ensemble", expected });
}
