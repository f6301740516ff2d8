// Where a view's reports and probes are saved: in the run folder, in reports/ENSEMBLE, under a name that is still free.
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** A path without ending, in the run folder of an ensemble's folder: `name`, or `name-2` and on where that is taken. Nothing that was saved before is replaced. */
export function freeReport(ensembleFolder: string, name: string): string {
  const folder = join(dirname(dirname(ensembleFolder)), "reports", basename(ensembleFolder));
  for (let n = 1; ; n++) {
    const path = join(folder, n === 1 ? name : `${name}-${n}`);
    if (!["", ".md", ".json"].some((ending) => existsSync(path + ending))) return path;
  }
}
