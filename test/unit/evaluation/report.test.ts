// The report's three forms: what is marked as best, what is missing and why, and that no digit is lost on the way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "csv-parse/sync";
import { evaluateEnsemble } from "../../../src/evaluation/evaluateEnsemble.ts";
import type { ModelMetrics } from "../../../src/evaluation/modelMetrics.ts";
import { bestEntries, type EvaluationReport, REPORT_COLUMNS, reportJson } from "../../../src/evaluation/report.ts";
import { reportCsv } from "../../../src/evaluation/reportCsv.ts";
import { reportTable } from "../../../src/evaluation/reportTable.ts";
import { stability } from "../../../src/evaluation/stability.ts";
import { alone, D_IN, definitionEngine, goldenEnsemble, goldenX, sourceOf } from "./goldenEnsembles.ts";

const x = await goldenX();
const evaluate = async (ensemble: Awaited<ReturnType<typeof goldenEnsemble>>) => ({
  seeds: ensemble.seeds,
  evaluation: await evaluateEnsemble(definitionEngine, ensemble, sourceOf(x, D_IN)),
});
const [bagA, bagB, boostA, boostB] = await Promise.all(
  ["bagging_a", "bagging_b", "boosting_a", "boosting_b"].map(goldenEnsemble),
);
const model: ModelMetrics = {
  counted: "input_and_target",
  ce_tokens: 118,
  kl_tokens: 118,
  ce_loss_without_sae: { value: 1 },
  ce_loss_with_sae: { value: 1.5 },
  ce_loss_with_ablation: { value: 3 },
  kl_div_with_sae: { value: 0.25 },
  kl_div_with_ablation: { value: 2 },
  ce_loss_score: { value: 0.75 },
  kl_div_score: { value: 0.875 },
};
const report: EvaluationReport = {
  command: "sae-ensembles evaluate",
  versions: { "sae-ensembles": "0.1.0" },
  data: { tokens_file: 'reviews, "the first"' },
  entries: [
    { method: "single", label: "single, first", runs: [await evaluate(alone(bagA!.members[0]!))] },
    {
      method: "bagging",
      runs: [await evaluate(bagA!), await evaluate(bagB!)],
      stability: await stability([bagA!, bagB!]),
    },
    {
      method: "boosting",
      runs: [{ ...(await evaluate(boostA!)), model }, await evaluate(boostB!)],
      stability: await stability([boostA!, boostB!]),
    },
  ],
};

test("JSON holds means over seed sets, every run with its seeds and tokens, and reasons where a number is missing", () => {
  const json = JSON.parse(JSON.stringify(reportJson(report)));
  const [single, bagging, boosting] = json.methods;
  const values = bagging.runs.map((run: { metrics: { mse: { value: number } } }) => run.metrics.mse.value);
  assert.equal(bagging.metrics.mse.value, (values[0] + values[1]) / 2);
  assert.deepEqual(bagging.runs[1].seeds, bagB!.seeds);
  assert.equal(bagging.runs[0].tokens, 500);
  assert.equal(bagging.runs[0].by_member.length, 3);
  assert.equal(
    bagging.runs[0].log10_density_histogram.counts.reduce((sum: number, count: number) => sum + count, 0),
    192,
  );
  assert.equal(single.metrics.stability.value, null);
  assert.match(single.metrics.stability.reason, /two or more/);
  // One of two runs went through the model: its mean would be over other runs than the rest of the row.
  assert.equal(boosting.metrics.ce_loss_score.value, null);
  assert.equal(boosting.runs[0].model.ce_loss_score.value, 0.75);
  assert.equal(json.command, "sae-ensembles evaluate");
});

test("best of a column: by its direction, none for a column without one", () => {
  const column = (key: string) => REPORT_COLUMNS.find((one) => one.key === key)!;
  const [single, bagging, boosting] = report.entries;
  assert.deepEqual([...bestEntries(report.entries, column("mse"))], [boosting]);
  assert.deepEqual([...bestEntries(report.entries, column("stability"))], [bagging]);
  assert.deepEqual([...bestEntries(report.entries, column("l0"))], []);
  assert.deepEqual([...bestEntries([single!], column("mse"))], []);
});

test("the table marks the best, dashes what is missing and lists each reason once", () => {
  const table = reportTable(report);
  const boosting = table.split("\n").find((line) => line.includes("boosting"))!;
  assert.match(boosting, /0\.9321\*/);
  assert.match(table, /– \[\d\]/);
  assert.equal(table.match(/trained from one seed set; stability needs two or more/g)!.length, 1);
  assert.equal(table.match(/not evaluated through the model/g)!.length, 1);
  assert.match(table, /member 2 \(seed \d+\)/);
  for (const line of table.split("\n").filter((one) => one.includes("│"))) assert.ok(line.length <= 130, line);
});

test("the table says what its rows by member are over, and writes thousands in one way", () => {
  const table = reportTable(report);
  const said = table.replaceAll(/\s+/g, " ");
  assert.match(said, /By member: of seed set 1 of 2 alone/);
  assert.match(said, /Boosting by member: explained variance and MSE are of all members up to this one together/);
  assert.equal(table.match(/\(own\)/g)!.length, 3);
  const [single] = report.entries;
  const run = single!.runs[0]!;
  const metrics = { ...run.evaluation.metrics, diversity: { value: 2558.5 }, mse: { value: 130_420.4 } };
  const large = { ...run, evaluation: { ...run.evaluation, metrics, width: 2560 } };
  const wide = reportTable({ ...report, entries: [{ ...single!, runs: [large] }] });
  for (const number of ["1 × 2,560", "2,559", "130,420"]) assert.ok(wide.includes(number), number);
  assert.doesNotMatch(wide, /By member|(?<![.\d])\d{4}|e\+/);
});

test("table and JSON say what CE and KL are over, if anything went through the model", () => {
  const note = /CE and KL: tokens count whose own and next token are both real and not special\. With the SAE, special/;
  assert.match(reportTable(report).replaceAll(/\s+/g, " "), note);
  assert.match(reportJson(report)["model_metrics_note"] as string, note);
  const without = { ...report, entries: report.entries.slice(0, 2) };
  assert.doesNotMatch(reportTable(without), /CE and KL:/);
  assert.ok(!("model_metrics_note" in reportJson(without)));
});

type Row = Record<"method" | "label" | "run" | "mse" | "stability" | "ce_loss_score", string>;

test("CSV: parsed back, every number is the same float64", () => {
  const rows = parse(reportCsv(report), { columns: true }) as Row[];
  assert.equal(rows.length, 2 + 3 + 3);
  const boosting = rows.filter((row) => row.method === "boosting");
  assert.equal(Number(boosting[0]!.mse), report.entries[2]!.runs[0]!.evaluation.metrics.mse.value);
  assert.equal(boosting[0]!.ce_loss_score, "0.75");
  assert.equal(boosting[1]!.ce_loss_score, "");
  assert.equal(boosting[2]!.run, "mean");
  assert.equal(Number(boosting[2]!.stability), report.entries[2]!.stability!.stability.value);
  assert.equal(rows[0]!.label, "single, first");
});
