// Reports of runs and comparisons of ensembles as the tables that views show.
import { REPORT_COLUMNS } from "../evaluation/report.ts";
import type { EnsembleComparison } from "../jobs/compareEnsembles.ts";
import { type ReportMetric, readReportFile } from "../jobs/reportFile.ts";
import type { Comparison } from "../protocol/ensembleComparison.ts";
import type { ReportTable } from "../protocol/reportTable.ts";

const columns = REPORT_COLUMNS.map(({ key, title, better, paper, about }) => ({ key, title, better, paper, about }));

/** Null where there is no report. */
export function readReportTable(runFolder: string): ReportTable | null {
  const report = readReportFile(runFolder);
  if (!report) return null;
  return {
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
    table: { columns, rows: ensembles.map(({ label, metrics }) => ({ label, cells: metrics.map(cell) })) },
    matches: [...matches],
  };
}

function cell(metric: ReportMetric | undefined): { value: number | null; reason: string } {
  return { value: metric?.value ?? null, reason: metric?.reason ?? "" };
}
