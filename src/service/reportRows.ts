// report.json of a run: read, and as the table that the dashboard shows.
import { readFileSync, statSync } from "node:fs";
import * as z from "zod";
import { REPORT_COLUMNS } from "../evaluation/report.ts";
import { runPaths } from "../jobs/runFolder.ts";
import type { ReportTable } from "../protocol/reportTable.ts";

const reportFile = z.object({
  methods: z.array(
    z.object({
      method: z.string(),
      label: z.string(),
      metrics: z.record(z.string(), z.object({ value: z.number().nullable(), reason: z.string().optional() })),
    }),
  ),
});

type Report = z.infer<typeof reportFile>;

/** Reports by file, as they were at a time of modification: a watcher looks often, and they seldom change. */
const read = new Map<string, { readonly time: number; readonly report: Report }>();

/** Null where there is no report; throws where it can't be read. */
export function readReport(runFolder: string): Report | null {
  const file = runPaths(runFolder).report("json");
  const time = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (time === undefined) return null;
  const known = read.get(file);
  if (known?.time === time) return known.report;
  const report = reportFile.parse(JSON.parse(readFileSync(file, "utf8")));
  read.set(file, { time, report });
  return report;
}

/** Null where there is no report. */
export function readReportTable(runFolder: string): ReportTable | null {
  const report = readReport(runFolder);
  if (!report) return null;
  return {
    columns: REPORT_COLUMNS.map(({ key, title, better, paper }) => ({ key, title, better, paper })),
    rows: report.methods.map(({ label, metrics }) => ({
      label,
      cells: REPORT_COLUMNS.map(({ key }) => ({
        value: metrics[key]?.value ?? null,
        reason: metrics[key]?.reason ?? "",
      })),
    })),
  };
}
