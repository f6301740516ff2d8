// The evaluation report as CSV (RFC 4180): a row for each run of a method and one for its mean, full precision, empty where there is no number.
import type { Metric } from "./metric.ts";
import { type EvaluationReport, entryMetric, REPORT_COLUMNS, runMetric } from "./report.ts";

/** Columns: method, label, run ("mean" or its number from 0), seeds, members, width, d_in, tokens, ce_tokens, kl_tokens and every metric. */
export function reportCsv(report: EvaluationReport): string {
  const lines = [
    [
      ...["method", "label", "run", "seeds", "members", "width", "d_in", "tokens", "ce_tokens", "kl_tokens"],
      ...REPORT_COLUMNS.map((column) => column.key),
    ],
  ];
  for (const entry of report.entries) {
    const { method } = entry;
    const label = entry.label ?? method;
    const { members, width, d_in } = entry.runs[0]!.evaluation;
    entry.runs.forEach((run, index) => {
      const { tokens } = run.evaluation;
      const counts = [tokens, run.model?.ce_tokens ?? "", run.model?.kl_tokens ?? ""];
      lines.push([
        ...[method, label, index, run.seeds.join(" "), members, width, d_in, ...counts].map(String),
        ...REPORT_COLUMNS.map(({ key }) => (key.startsWith("stability") ? "" : text(runMetric(run, key)))),
      ]);
    });
    lines.push([
      ...[method, label, "mean", "", members, width, d_in, "", "", ""].map(String),
      ...REPORT_COLUMNS.map(({ key }) => text(entryMetric(entry, key))),
    ]);
  }
  return lines.map((fields) => `${fields.map(quoted).join(",")}\r\n`).join("");
}

function text(metric: Metric): string {
  return metric.value === null ? "" : String(metric.value);
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
