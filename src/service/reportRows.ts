// report.json of a run as the table that the dashboard shows.
import { readFileSync } from "node:fs";
import * as z from "zod";
import { REPORT_COLUMNS } from "../evaluation/report.ts";
import { runPaths } from "../jobs/runFolder.ts";
import type { ReportTable } from "../protocol/reportTable.ts";

const reportFile = z.object({
  methods: z.array(
    z.object({
      label: z.string(),
      metrics: z.record(z.string(), z.object({ value: z.number().nullable(), reason: z.string().optional() })),
    }),
  ),
});

/** Null where there is no report that can be read. */
export function readReportTable(runFolder: string): ReportTable | null {
  let text: string;
  try {
    text = readFileSync(runPaths(runFolder).report("json"), "utf8");
  } catch {
    return null;
  }
  const { methods } = reportFile.parse(JSON.parse(text));
  return {
    columns: REPORT_COLUMNS.map(({ key, title, better, paper }) => ({ key, title, better, paper })),
    rows: methods.map(({ label, metrics }) => ({
      label,
      cells: REPORT_COLUMNS.map(({ key }) => ({
        value: metrics[key]?.value ?? null,
        reason: metrics[key]?.reason ?? "",
      })),
    })),
  };
}
