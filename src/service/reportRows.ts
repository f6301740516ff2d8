// Reports of runs and comparisons of ensembles as the tables that views show.
import { REPORT_COLUMNS } from "../evaluation/report.ts";
import type { EnsembleComparison } from "../jobs/compareEnsembles.ts";
import { type ReportFile, type ReportMetric, readReportFile } from "../jobs/reportFile.ts";
import type { Comparison } from "../protocol/ensembleComparison.ts";
import type { ReportTable } from "../protocol/reportTable.ts";

const columns = REPORT_COLUMNS.map(({ key, title, better, paper, about }) => ({ key, title, better, paper, about }));

/** Null where there is no report. */
export function readReportTable(runFolder: string): ReportTable | null {
  const report = readReportFile(runFolder);
  if (!report) return null;
  return {
    over: meansWords(report),
    columns,
    rows: report.methods.map(({ label, metrics }) => ({
      label,
      cells: REPORT_COLUMNS.map(({ key }) => cell(metrics[key])),
    })),
  };
}

export function comparisonTables({ ensembles, matches }: EnsembleComparison): Comparison {
  return {
    ensembles: ensembles.map(({ metrics: _, ...ensemble }) => ensemble),
    table: {
      over: "Of each ensemble alone; stability is over all seed sets of its method.",
      columns,
      rows: ensembles.map(({ label, metrics }) => ({ label, cells: metrics.map(cell) })),
    },
    matches: [...matches],
  };
}

/** A method's numbers are means over its seed sets; stability is what these have in common. */
function meansWords({ methods }: ReportFile): string {
  const sets = Math.max(...methods.map(({ runs }) => runs.length));
  return sets > 1 ? `Means over ${sets} seed sets; stability is between them.` : "";
}

function cell(metric: ReportMetric | undefined): { value: number | null; reason: string } {
  return { value: metric?.value ?? null, reason: metric?.reason ?? "" };
}
