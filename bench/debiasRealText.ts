// Debiasing and concept detection on real text: SmolLM2-135M, layer 15, biographies of twelve occupations and three labelled sets, for all four methods. Goes on where it was stopped. Usage: node bench/debiasRealText.ts
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ConceptsReport, concepts } from "../src/jobs/concepts.ts";
import { debias } from "../src/jobs/debias.ts";
import { type DebiasReport, text } from "../src/jobs/debiasReport.ts";
import { readReportTable } from "../src/jobs/evaluate.ts";
import { readExperiment } from "../src/jobs/experiment.ts";
import { runJobs } from "../src/jobs/runJobs.ts";
import type { CellScores } from "../src/probing/cells.ts";
import type { DebiasBaselines } from "../src/probing/debias.ts";
import { scrScore } from "../src/probing/scr.ts";
import { spread } from "../src/probing/spread.ts";
import { GROUPS, OCCUPATIONS, realTextData } from "./realTextData.ts";
import { reviews, smolLm2 } from "./sharedData.ts";

const folder = join(import.meta.dirname, "..", ".bench", "real-text");
mkdirSync(folder, { recursive: true });

/** Sizes that two cores finish in half an hour. */
const settings = {
  model_name: smolLm2(),
  hook_name: "blocks.15.hook_resid_post",
  dataset_path: reviews(),
  context_size: 64,
  exclude_special_tokens: true,
  activations: { tokens: 150_000 },
  training_tokens: 450_000,
  train_batch_size_tokens: 1024,
  lr: 1e-3,
  lr_warm_up_steps: 30,
  lr_decay_steps: 90,
  dead_feature_window: 100,
  sae: { architecture: "topk", d_sae: 1152, k: 32, normalize_activations: "expected_average_only_in" },
  ensembles: { methods: ["single", "bagging", "boosting", "expanded"], n_members: 3 },
  evaluation: { test_share: 0.05, test_tokens: 10_000, model_metrics_tokens: 0 },
};
const file = join(folder, "smollm2.sae.jsonc");
writeFileSync(file, `${JSON.stringify(settings, null, 2)}\n`);
const experiment = readExperiment(file);
let last = "";
const say = (stage: string): void => {
  if (stage !== last) console.error(`${new Date().toISOString().slice(11, 19)} ${stage}`);
  last = stage;
};
await runJobs(experiment, ["harvest", "train", "evaluate"], {
  onEvent: (event) => {
    if (event.type === "progress") say(event.stage);
  },
});

const SEEDS = [0, 1, 2, 3, 4];
const SHIFT_N = 20;
const { runFolder } = experiment.paths;
const data = realTextData(folder);
const command = "node bench/debiasRealText.ts";
const onProgress = (stage: string): void => say(stage);

/** Every task: a kind of text, a grouping, a direction of the bias. */
const reports: { readonly kind: "full" | "nofirst"; readonly group: string; readonly report: DebiasReport }[] = [];
for (const kind of ["nofirst", "full"] as const)
  for (const [group, positive] of Object.entries(GROUPS)) {
    say(`debias ${kind}, six ${group}`);
    const negative = OCCUPATIONS.filter((occupation) => !positive.includes(occupation));
    const report = await debias(runFolder, join(folder, `debias-${kind}-${group}`), {
      trainFile: data[kind],
      columns: { text: "text", label: "occupation", attribute: "gender" },
      label: { positive, negative },
      attribute: { positive: ["male"], negative: ["female"] },
      seeds: SEEDS,
      shift_n: SHIFT_N,
      flags: [],
      command,
      onProgress,
    });
    reports.push({ kind, group, report });
  }
const sections = [`${readReportTable(runFolder)}\n`];
for (const kind of ["full", "nofirst"] as const)
  sections.push(
    debiasTables(
      kind,
      reports.filter((one) => one.kind === kind),
    ),
  );
writeFileSync(join(folder, "RESULTS.md"), sections.join("\n"));

for (const { name, train, test, perClass } of data.concepts) {
  say(`concepts ${name}`);
  const report = await concepts(runFolder, join(folder, `concepts-${name}`), {
    trainFile: train,
    testFile: test,
    columns: { text: "text", label: "label" },
    perClass,
    seeds: SEEDS.slice(0, 3),
    command,
    onProgress,
  });
  sections.push(conceptTable(name, report));
}
writeFileSync(join(folder, "RESULTS.md"), sections.join("\n"));
console.log(sections.join("\n"));

/** Means over a kind's tasks and both directions, with the standard deviation over seeds of that mean. */
function debiasTables(kind: string, own: readonly (typeof reports)[number][]): string {
  const over = (value: (report: DebiasReport, direction: number, seed: number) => number): string =>
    text(
      spread(
        SEEDS.map((_, seed) => {
          const tasks = own.flatMap(({ report }) => [0, 1].map((direction) => value(report, direction, seed)));
          return tasks.reduce((sum, one) => sum + one, 0) / tasks.length;
        }),
      ),
    );
  const names = own[0]!.report.ensembles.map(({ name }) => name);
  const points = own[0]!.report.ensembles[0]!.runs[0]![0]!.scr.points.map(({ n }) => n);
  const scrRow = (
    title: string,
    at: (report: DebiasReport, direction: number, seed: number, point: number) => number,
  ) =>
    `| ${title} | ${points.map((_, point) => over((report, direction, seed) => at(report, direction, seed, point))).join(" | ")} |`;
  const baseline = (score: (baselines: DebiasBaselines) => CellScores) => (r: DebiasReport, d: number, s: number) => {
    const one = r.baselines[d]![s]!;
    return scrScore({ A_ablated: score(one).accuracy, A_biased: one.base.accuracy, A_clean: one.oracle.accuracy });
  };
  const shiftRow = (title: string, score: (report: DebiasReport, direction: number, seed: number) => CellScores) =>
    `| ${title} | ${over((...at) => score(...at).accuracy)} | ${over((...at) => score(...at).worst_group)} |`;
  return [
    `### ${kind === "full" ? "Full text" : "Without the first sentence"}`,
    "",
    `| SCR of the label | ${points.map((n) => `n = ${n}`).join(" | ")} |`,
    `|---|${points.map(() => "---|").join("")}`,
    ...names.flatMap((name, e) => [
      scrRow(name, (report, d, s, point) => report.ensembles[e]!.runs[d]![s]!.scr.points[point]!.dir1),
      scrRow("… as many at random", (report, d, s, point) => report.ensembles[e]!.runs[d]![s]!.scr_random[point]!),
    ]),
    `| mean difference projected out | ${over(baseline((one) => one.mean_difference))} | | | | | | |`,
    `| … and retrained | ${over(baseline((one) => one.mean_difference_retrained))} | | | | | | |`,
    "",
    "| SHIFT | accuracy | worst group |",
    "|---|---|---|",
    shiftRow("biased probe", (r, d, s) => r.baselines[d]![s]!.base),
    ...names.flatMap((name, e) => [
      shiftRow(
        `${name}: ${SHIFT_N} suggested features ablated`,
        (r, d, s) => r.ensembles[e]!.runs[d]![s]!.shift_suggested.ablated,
      ),
      shiftRow("… and retrained", (r, d, s) => r.ensembles[e]!.runs[d]![s]!.shift_suggested.retrained),
      shiftRow(`… ${SHIFT_N} random features ablated`, (r, d, s) => r.ensembles[e]!.runs[d]![s]!.shift_random.ablated),
      shiftRow("… and retrained", (r, d, s) => r.ensembles[e]!.runs[d]![s]!.shift_random.retrained),
    ]),
    shiftRow("mean difference projected out", (r, d, s) => r.baselines[d]![s]!.mean_difference),
    shiftRow("… and retrained", (r, d, s) => r.baselines[d]![s]!.mean_difference_retrained),
    shiftRow("oracle", (r, d, s) => r.baselines[d]![s]!.oracle),
    "",
    `| task | A_biased | worst | A_clean | ${names.map((name) => `SCR, ${SHIFT_N} of ${name}`).join(" | ")} | mean difference, retrained: worst |`,
    `|---|---|---|---|${names.map(() => "---|").join("")}---|`,
    ...own.flatMap(({ group, report }) =>
      [0, 1].map((d) => {
        const at = report.ensembles[0]!.runs[d]![0]!.scr.points.findIndex(({ n }) => n === SHIFT_N);
        const seeds = (value: (seed: number) => number): string => text(spread(SEEDS.map((_, seed) => value(seed))));
        const cells = [
          seeds((s) => report.baselines[d]![s]!.base.accuracy),
          seeds((s) => report.baselines[d]![s]!.base.worst_group),
          seeds((s) => report.baselines[d]![s]!.oracle.accuracy),
          ...names.map((_, e) => seeds((s) => report.ensembles[e]!.runs[d]![s]!.scr.points[at]!.dir1)),
          seeds((s) => report.baselines[d]![s]!.mean_difference_retrained.worst_group),
        ];
        return `| six ${group}, ${d === 0 ? "male" : "female"} | ${cells.join(" | ")} |`;
      }),
    ),
    "",
  ].join("\n");
}

function conceptTable(name: string, { classes, detections }: ConceptsReport): string {
  return [
    `### Concepts: ${name}, ${classes.length} classes`,
    "",
    `| | ${detections[0]!.accuracy.map(({ k }) => (k === null ? "all features" : `k = ${k}`)).join(" | ")} |`,
    `|---|${detections[0]!.accuracy.map(() => "---|").join("")}`,
    ...detections.map((one) => `| ${one.name} | ${one.accuracy.map(({ mean }) => text(mean)).join(" | ")} |`),
    "",
  ].join("\n");
}
