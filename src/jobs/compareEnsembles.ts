// Ensembles side by side, of one run or of several: the metrics that their runs' reports have, and how many features of one are found in another.
import { basename, dirname } from "node:path";
import { DIVERSITY_THRESHOLD, largestCosines, normalisedDecoderRows } from "../evaluation/decoderCosines.ts";
import { REPORT_COLUMNS } from "../evaluation/report.ts";
import { seedSetOf } from "../protocol/seedSet.ts";
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";
import { loadEnsemble, movedAside } from "../sae/ensembleFolder.ts";
import { ensembleMetric, type ReportMetric, readReportFile } from "./reportFile.ts";

/** Most multiplications of one match; at the rate of two cores a minute or so. */
const MOST_PRODUCTS = 4e12;

export interface ComparedEnsemble {
  /** "run · ensemble". */
  readonly label: string;
  readonly folder: string;
  readonly method: string;
  /** Counted from 1; null where it was not trained here. */
  readonly seedSet: number | null;
  readonly members: number;
  readonly features: number;
  readonly d_in: number;
  readonly hook: string;
  /** One a column of REPORT_COLUMNS. */
  readonly metrics: readonly ReportMetric[];
}

/** How `of`'s features are found in `in`; positions in the list of ensembles. */
export interface EnsembleMatch {
  readonly of: number;
  readonly in: number;
  /** Mean over the features of `of` of the largest decoder cosine with any feature of `in`; null with the reason. */
  readonly meanCosine: number | null;
  /** Share of them with a cosine of at least 0.7. */
  readonly found: number | null;
  readonly reason: string;
}

export interface EnsembleComparison {
  readonly ensembles: readonly ComparedEnsemble[];
  /** For each ordered pair. */
  readonly matches: readonly EnsembleMatch[];
}

/** Compares ensembles by their folders (RUN/ensembles/NAME). Throws InputError where one can't be read. */
export async function compareEnsembles(folders: readonly string[], signal?: AbortSignal): Promise<EnsembleComparison> {
  const loaded: Ensemble[] = [];
  for (const folder of folders) loaded.push(await loadEnsemble(folder));
  const matches: EnsembleMatch[] = [];
  for (let a = 0; a < loaded.length; a++)
    for (let b = a + 1; b < loaded.length; b++) matches.push(...(await match(loaded, a, b, signal)));
  return { ensembles: loaded.map((ensemble, i) => described(folders[i]!, ensemble)), matches };
}

function described(folder: string, ensemble: Ensemble): ComparedEnsemble {
  const run = dirname(dirname(folder));
  const aside = movedAside(basename(folder));
  const report = readReportFile(run);
  // What "expanded" trains is a single SAE; the report knows it by its task.
  const method = seedSetOf(basename(folder)).method;
  const { method: trained, seed_set } = ensemble.provenance;
  const metricOf = (key: string): ReportMetric => {
    if (aside) return { value: null, reason: "another training has taken its place in the report" };
    if (!report) return { value: null, reason: "its run has no report: evaluate it" };
    return ensembleMetric(report, method, ensemble.seeds, key);
  };
  return {
    label: `${basename(run)} · ${basename(folder)}`,
    folder,
    method: typeof trained === "string" ? trained : ensemble.method,
    seedSet: typeof seed_set === "number" ? seed_set + 1 : null,
    members: ensemble.members.length,
    features: ensembleWidth(ensemble),
    d_in: ensemble.members[0]!.config.d_in,
    hook: ensemble.hook,
    metrics: REPORT_COLUMNS.map(({ key }) => metricOf(key)),
  };
}

async function match(
  ensembles: readonly Ensemble[],
  a: number,
  b: number,
  signal: AbortSignal | undefined,
): Promise<EnsembleMatch[]> {
  const [one, other] = [ensembles[a]!, ensembles[b]!];
  const d = one.members[0]!.config.d_in;
  const none = (reason: string): EnsembleMatch[] =>
    [
      [a, b],
      [b, a],
    ].map(([of, inside]) => ({ of: of!, in: inside!, meanCosine: null, found: null, reason }));
  if (one.hook !== other.hook) return none(`${one.hook} and ${other.hook} are other spaces`);
  if (d !== other.members[0]!.config.d_in) return none("activations of other widths");
  if (ensembleWidth(one) * ensembleWidth(other) * d > MOST_PRODUCTS) return none("too many features to match here");
  const options = signal ? { signal } : {};
  const { ofA, ofB } = await largestCosines(normalisedDecoderRows(one), normalisedDecoderRows(other), options);
  return [
    { of: a, in: b, ...summary(ofA.cosine), reason: "" },
    { of: b, in: a, ...summary(ofB.cosine), reason: "" },
  ];
}

function summary(cosines: Float64Array): { meanCosine: number; found: number } {
  const sum = cosines.reduce((total, value) => total + value, 0);
  const found = cosines.reduce((count, value) => count + (value >= DIVERSITY_THRESHOLD ? 1 : 0), 0);
  return { meanCosine: sum / cosines.length, found: found / cosines.length };
}
