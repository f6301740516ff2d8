// The tables of debiasRealText.ts: every number a mean over tasks and both directions, with the standard deviation over seeds of draws and sets of ensembles.
import type { ConceptsReport } from "../src/jobs/concepts.ts";
import { type DebiasReport, text } from "../src/jobs/debiasReport.ts";
import { scrAt, scrAxis } from "../src/jobs/scrCurves.ts";
import type { CellScores } from "../src/probing/cells.ts";
import type { DebiasBaselines, DebiasResult } from "../src/probing/debias.ts";
import { scrScore } from "../src/probing/scr.ts";
import { spread } from "../src/probing/spread.ts";

/** One grouping of the occupations. */
export interface DebiasTask {
  readonly group: string;
  readonly report: DebiasReport;
}

/** Where a number comes from: a task, a direction of the bias and a seed of its draw. */
interface Draw {
  readonly report: DebiasReport;
  readonly direction: number;
  readonly seed: number;
}

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

export function debiasTables(title: string, tasks: readonly DebiasTask[]): string {
  const { seeds, ensembles, shift_n, directions } = tasks[0]!.report;
  const methods = [...new Set(ensembles.map(({ method }) => method))];
  const sets = (method: string): number[] =>
    Array.from(ensembles.keys()).filter((at) => ensembles[at]!.method === method);
  /** The mean over tasks and directions, for each seed of draws. */
  const bySeed = (value: (draw: Draw) => number): number[] =>
    seeds.map((_, seed) =>
      mean(tasks.flatMap(({ report }) => [0, 1].map((direction) => value({ report, direction, seed })))),
    );
  const ofMethod = (method: string, value: (result: DebiasResult, draw: Draw) => number): number[] =>
    sets(method).flatMap((e) =>
      bySeed((draw) => value(draw.report.ensembles[e]!.runs[draw.direction]![draw.seed]!, draw)),
    );
  const ofBaseline = (value: (baselines: DebiasBaselines) => number): number[] =>
    bySeed(({ report, direction, seed }) => value(report.baselines[direction]![seed]!));
  const cell = (values: readonly number[]): string => text(spread(values));
  /** Of two methods on the same draws: the difference, and in how many of them it is above 0. */
  const paired = (one: readonly number[], other: readonly number[]): string => {
    const differences = one.map((value, at) => value - other[at]!);
    if (differences.some(Number.isNaN)) return "–";
    return `${cell(differences)} (${differences.filter((value) => value > 0).length} of ${differences.length})`;
  };

  const axis = scrAxis(ensembles);
  const head = (name: string): string[] => [
    `| ${name} | ${axis.map((n) => `n = ${n}`).join(" | ")} |`,
    `|---|${axis.map(() => "---|").join("")}`,
  ];
  const scrOf = (method: string, which: "dir1" | "dir2" | "random", n: number): number[] =>
    ofMethod(method, (result) => scrAt(result, n, which));
  const row = (name: string, at: (n: number) => string): string => `| ${name} | ${axis.map(at).join(" | ")} |`;
  const others = methods.filter((method) => method !== "single");
  const scrRows = (which: "dir1" | "dir2"): string[] => [
    ...methods.map((method) => row(method, (n) => cell(scrOf(method, which, n)))),
    ...others.map((method) =>
      row(`${method} less single, paired`, (n) => paired(scrOf(method, which, n), scrOf("single", which, n))),
    ),
  ];
  const againstRoom = (score: (baselines: DebiasBaselines) => CellScores) =>
    ofBaseline((one) =>
      scrScore({ A_ablated: score(one).accuracy, A_biased: one.base.accuracy, A_clean: one.oracle.accuracy }),
    );

  const both = (scores: (pick: (score: CellScores) => number) => string): string =>
    `${scores(({ accuracy }) => accuracy)} | ${scores(({ worst_group }) => worst_group)}`;
  const baselineRow = (name: string, score: (baselines: DebiasBaselines) => CellScores): string =>
    `| ${name} | ${both((pick) => cell(ofBaseline((one) => pick(score(one)))))} |`;
  const shiftRow = (name: string, method: string, score: (result: DebiasResult) => CellScores): string =>
    `| ${name} | ${both((pick) => cell(ofMethod(method, (result) => pick(score(result)))))} |`;

  const { per_cell } = directions[0]!;
  return [
    `### ${title}`,
    "",
    `${per_cell.train} texts a cell for training (twice as many in the biased set's two), ${per_cell.test} for testing; the biased probe took ${stepsOf(tasks)} steps. Mean ± standard deviation over ${seeds.length} seeds of draws × ${sets(methods[0]!).length} sets of ensembles, each the mean of ${tasks.length} groupings × 2 directions of the bias.`,
    "",
    ...head("SCR of the label"),
    ...scrRows("dir1"),
    ...methods.map((method) => row(`${method}, as many at random`, (n) => cell(scrOf(method, "random", n)))),
    `| mean difference projected out | ${cell(againstRoom((one) => one.mean_difference))} |${" |".repeat(axis.length - 1)}`,
    `| … and retrained | ${cell(againstRoom((one) => one.mean_difference_retrained))} |${" |".repeat(axis.length - 1)}`,
    "",
    ...head("SCR of the attribute"),
    ...scrRows("dir2"),
    "",
    `| SHIFT, ${shift_n} features | accuracy | worst group |`,
    "|---|---|---|",
    baselineRow("biased probe", ({ base }) => base),
    ...methods.flatMap((method) => [
      shiftRow(`${method}: suggested features ablated`, method, ({ shift_suggested }) => shift_suggested.ablated),
      shiftRow("… and retrained", method, ({ shift_suggested }) => shift_suggested.retrained),
    ]),
    ...methods.flatMap((method) => [
      shiftRow(`${method}: as many at random ablated`, method, ({ shift_random }) => shift_random.ablated),
      shiftRow("… and retrained", method, ({ shift_random }) => shift_random.retrained),
    ]),
    baselineRow("mean difference projected out", (one) => one.mean_difference),
    baselineRow("… and retrained", (one) => one.mean_difference_retrained),
    baselineRow("oracle", ({ oracle }) => oracle),
    "",
    `| retrained, less single (paired) | accuracy | worst group |`,
    "|---|---|---|",
    ...others.map((method) => {
      const value = (own: string, pick: (score: CellScores) => number): number[] =>
        ofMethod(own, ({ shift_suggested }) => pick(shift_suggested.retrained));
      return `| ${method} | ${both((pick) => paired(value(method, pick), value("single", pick)))} |`;
    }),
    "",
    ...tasksTable(tasks, methods, sets),
    "",
    ...(methods.includes("boosting") ? [laterMembers(tasks, sets("boosting")[0]!), ""] : []),
  ].join("\n");
}

/** Each grouping and direction by itself. */
function tasksTable(
  tasks: readonly DebiasTask[],
  methods: readonly string[],
  sets: (method: string) => number[],
): string[] {
  const n = tasks[0]!.report.shift_n;
  const columns = methods.map((method) => `SCR, ${n} of ${method}`).join(" | ");
  return [
    `| task | A_biased | worst | A_clean | ${columns} | mean difference, retrained: worst |`,
    `|---|---|---|---|${methods.map(() => "---|").join("")}---|`,
    ...tasks.flatMap(({ group, report }) =>
      [0, 1].map((d) => {
        const baseline = (value: (one: DebiasBaselines) => number): string =>
          text(spread(report.baselines[d]!.map(value)));
        const cells = [
          baseline(({ base }) => base.accuracy),
          baseline(({ base }) => base.worst_group),
          baseline(({ oracle }) => oracle.accuracy),
          ...methods.map((method) =>
            text(
              spread(sets(method).flatMap((e) => report.ensembles[e]!.runs[d]!.map((run) => scrAt(run, n, "dir1")))),
            ),
          ),
          baseline(({ mean_difference_retrained }) => mean_difference_retrained.worst_group),
        ];
        return `| six ${group}, ${d === 0 ? "male" : "female"} | ${cells.join(" | ")} |`;
      }),
    ),
  ];
}

/** How much of what is suggested of an ensemble, which counts from 0, is of other members than its first; with the first seed. */
function laterMembers(tasks: readonly DebiasTask[], ensemble: number): string {
  const { shift_n, ensembles } = tasks[0]!.report;
  const lists = tasks.flatMap(({ report: { ensembles: all } }) => {
    const { runs, nameOf } = all[ensemble]!;
    return runs.map(([run]) =>
      run!.suggested.map(({ feature, effect }) => ({ later: !nameOf(feature).startsWith("0/"), effect })),
    );
  });
  const first = lists.map((list) => list.slice(0, shift_n));
  const later = first.map((list) => list.filter((one) => one.later));
  const effect = (list: readonly { readonly effect: number }[]): number =>
    list.reduce((sum, one) => sum + one.effect, 0);
  const places = lists.map((list) => list.findIndex((one) => one.later) + 1);
  const [least, most] = [Math.min(...places), Math.max(...places)];
  const where =
    least === 0 ? `beyond the ${lists[0]!.length} that are listed, in some task` : `at place ${least} to ${most}`;
  return `Of the ${shift_n} features of ${ensembles[ensemble]!.name} of the largest effect on the attribute's probe (first seed, mean of ${lists.length} tasks), ${mean(later.map(({ length }) => length)).toFixed(1)} are of later members than its first, with ${mean(later.map(effect)).toFixed(3)} of a summed effect of ${mean(first.map(effect)).toFixed(2)}; the first such feature stands ${where}.`;
}

function stepsOf(tasks: readonly DebiasTask[]): string {
  const steps = tasks.flatMap(({ report }) => report.baselines.flat().map((one) => one.steps));
  const [least, most] = [Math.min(...steps), Math.max(...steps)];
  return least === most ? `${least}` : `${least} to ${most}`;
}

export function conceptTable(name: string, { classes, detections, texts, seeds }: ConceptsReport): string {
  const title = (k: number | null): string => (k === null ? "all features" : `k = ${k}`);
  const total = (part: "train" | "test"): number => texts.reduce((sum, own) => sum + own[part], 0);
  return [
    `### Concepts: ${name}`,
    "",
    `${classes.length} classes, ${total("train")} texts to learn from and ${total("test")} to test on; ${seeds.length} seeds of the texts to tell a class from.`,
    "",
    `| | ${detections[0]!.accuracy.map(({ k }) => title(k)).join(" | ")} |`,
    `|---|${detections[0]!.accuracy.map(() => "---|").join("")}`,
    ...detections.map((one) => `| ${one.name} | ${one.accuracy.map(({ mean: own }) => text(own)).join(" | ")} |`),
    "",
  ].join("\n");
}
