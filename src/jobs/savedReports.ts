// Where a view's reports and probes are saved: in the run folder, in reports/ENSEMBLE, under a name that is still free.
import { existsSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { shownPath } from "./experiment.ts";
import type { JobContext } from "./job.ts";
import { runPaths } from "./runFolder.ts";

/** A path without ending, in the run folder of an ensemble's folder: `name`, or `name-2` and on where that is taken. Nothing that was saved before is replaced. */
export function freeReport(ensembleFolder: string, name: string): string {
  const folder = join(reportsOf(dirname(dirname(ensembleFolder))), basename(ensembleFolder));
  for (let n = 1; ; n++) {
    const path = join(folder, n === 1 ? name : `${name}-${n}`);
    if (!["", ".md", ".json"].some((ending) => existsSync(path + ending))) return path;
  }
}

/** A path that somebody names for a report or a probe: the same, but below a free name where it lies in a run's reports/ENSEMBLE. */
export function sparingReports(runFolder: string, path: string): string {
  const inside = relative(reportsOf(runFolder), path);
  const [ensemble, name, ...inner] = inside.split(sep);
  if (isAbsolute(inside) || ensemble === ".." || name === undefined) return path;
  return join(freeReport(runPaths(runFolder).ensemble(ensemble!), name), ...inner);
}

/** A job's report takes the place of the one that it made before, of other settings, texts or flags: whoever wants both names another place. */
export function sayReplaced(report: string, log: JobContext["log"]): void {
  if (existsSync(`${report}.json`))
    log(
      "warning",
      `${shownPath(report)}.md is of other settings, texts or flags, and is replaced (report, on the command line --report, names another place)`,
    );
}

function reportsOf(runFolder: string): string {
  return join(runFolder, "reports");
}
