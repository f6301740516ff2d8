// The evaluation report for people: methods side by side in tables of at most a terminal's width, and why a number is missing.
import Table from "cli-table3";
import type { MemberMetrics } from "./evaluateEnsemble.ts";
import {
  bestEntries,
  type EvaluationReport,
  entryMetric,
  modelMetricsNote,
  REPORT_COLUMNS,
  type ReportColumn,
  type ReportEntry,
} from "./report.ts";

const BEST = "*";
const MISSING = "–";
/** With the number of its reason, which must not look like a number below zero. */
const missing = (reason: number) => `${MISSING} [${reason}]`;

/** The paper's columns, then the others with methods as columns, then member by member; best of a column marked with *. */
export function reportTable(report: EvaluationReport): string {
  const reasons = new Map<string, number>();
  const paper = methodTable(report, reasons);
  const further = furtherTable(report, reasons);
  const members = report.entries.filter((entry) => entry.runs[0]!.evaluation.members > 1).map(memberTable);
  const notes = [`${BEST} best of the column. Means over seed sets where there are several.`, ...memberNotes(report)];
  const throughModel = modelMetricsNote(report);
  if (throughModel !== null) notes.push(throughModel);
  notes.push("What each number is: docs/glossary.md.");
  for (const [reason, number] of reasons) notes.push(`${missing(number)}  ${reason}`);
  return [paper, further, ...members, notes.map(wrapped).join("\n")].join("\n\n");
}

function methodTable(report: EvaluationReport, reasons: Map<string, number>): string {
  const columns = REPORT_COLUMNS.filter((column) => column.paper);
  const table = new Table({
    head: ["method", "features", "L0", ...columns.map((column) => stacked(column.title))],
    style: PLAIN,
    colAligns: ["left", ...new Array<"right">(columns.length + 2).fill("right")],
  });
  for (const entry of report.entries) {
    const { evaluation } = entry.runs[0]!;
    table.push([
      entry.label ?? entry.method,
      `${evaluation.members} × ${number(evaluation.width / evaluation.members)}`,
      cell(report.entries, entry, columnOf("l0"), reasons),
      ...columns.map((column) => cell(report.entries, entry, column, reasons)),
    ]);
  }
  return table.toString();
}

function furtherTable(report: EvaluationReport, reasons: Map<string, number>): string {
  const table = new Table({
    head: ["", ...report.entries.map((entry) => entry.label ?? entry.method)],
    style: PLAIN,
    colAligns: ["left", ...report.entries.map(() => "right" as const)],
  });
  for (const column of REPORT_COLUMNS) {
    if (column.paper || column.key === "l0") continue;
    table.push([column.title, ...report.entries.map((entry) => cell(report.entries, entry, column, reasons))]);
  }
  const counts = (of: (run: ReportEntry["runs"][number]) => number | undefined) =>
    report.entries.map((entry) => {
      const each = entry.runs.map((run) => of(run)?.toLocaleString("en") ?? MISSING);
      return [...new Set(each)].join(", ");
    });
  table.push(["tokens", ...counts((run) => run.evaluation.tokens)]);
  table.push(["tokens of CE", ...counts((run) => run.model?.ce_tokens)]);
  return table.toString();
}

/** By member, over the first seed set. What is of a boosting member alone is called its own, since the rest of its row isn't. */
function memberTable(entry: ReportEntry): string {
  const { evaluation, seeds } = entry.runs[0]!;
  const boosting = evaluation.method === "boosting";
  const stability = entry.stability?.byMember ?? [];
  const alone = boosting ? " (own)" : "";
  const titles = MEMBER_SHOWN.map((key) => `${columnOf(key).title}${MEMBERS_OWN.includes(key) ? alone : ""}`);
  const table = new Table({
    head: [boosting ? "boosting up to" : `${entry.label ?? entry.method} alone`, ...titles, `stability${alone}`].map(
      stacked,
    ),
    style: PLAIN,
    colAligns: ["left", ...new Array<"right">(titles.length + 1).fill("right")],
  });
  evaluation.byMember.forEach((member, j) => {
    table.push([
      `member ${j} (seed ${seeds[j] ?? MISSING})`,
      ...MEMBER_SHOWN.map((key) => number(member[key].value)),
      number(stability[j] ?? null),
    ]);
  });
  return table.toString();
}

const MEMBER_SHOWN = [
  "explained_variance",
  "explained_variance_global",
  "mse",
  "l0",
  "dead_share",
] as const satisfies readonly (keyof MemberMetrics)[];
/** What is of the member alone in boosting as well, where a reconstruction is of all members up to it. */
const MEMBERS_OWN: readonly string[] = ["l0", "dead_share"];

/** What the tables by member are over. */
function memberNotes({ entries }: EvaluationReport): string[] {
  const several = entries.filter(({ runs }) => runs[0]!.evaluation.members > 1);
  const notes: string[] = [];
  const sets = Math.max(...several.map(({ runs }) => runs.length));
  if (sets > 1)
    notes.push(`By member: of seed set 1 of ${sets} alone; stability is the mean over seed sets, as it compares them.`);
  if (several.some(({ runs }) => runs[0]!.evaluation.method === "boosting"))
    notes.push(
      "Boosting by member: explained variance and MSE are of all members up to this one together; what is called own is of this one alone.",
    );
  return notes;
}

/** A note in lines of at most 98 characters. */
function wrapped(note: string): string {
  const lines = [""];
  for (const word of note.split(" ")) {
    const longer = lines.at(-1) === "" ? word : `${lines.at(-1)} ${word}`;
    if (longer.length <= 98) lines[lines.length - 1] = longer;
    else lines.push(`  ${word}`);
  }
  return lines.join("\n");
}

/** A word a line, so that columns are as narrow as their numbers. */
function stacked(title: string): string {
  return title.replaceAll(" ", "\n");
}

/** No colours: the table also goes into files and logs. */
const PLAIN = { head: [], border: [], compact: true };

function columnOf(key: string): ReportColumn {
  return REPORT_COLUMNS.find((column) => column.key === key)!;
}

function cell(
  entries: readonly ReportEntry[],
  entry: ReportEntry,
  column: ReportColumn,
  reasons: Map<string, number>,
): string {
  const metric = entryMetric(entry, column.key);
  if (metric.value === null) {
    if (!reasons.has(metric.reason)) reasons.set(metric.reason, reasons.size + 1);
    return missing(reasons.get(metric.reason)!);
  }
  return `${number(metric.value)}${bestEntries(entries, column).has(entry) ? BEST : " "}`;
}

/** Four significant digits at least, thousands apart; whole numbers as they are. */
function number(value: number | null): string {
  if (value === null) return MISSING;
  const size = Math.abs(value);
  if (size >= 1e9 || (size < 1e-4 && size > 0)) return value.toExponential(3);
  if (size >= 1000 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toPrecision(4);
}
