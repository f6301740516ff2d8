// The figures of a debiasing report: what each way of repairing gives, and SCR over the number of features, for each direction of the bias.
import type { CellScores } from "../probing/cells.ts";
import { spread } from "../probing/spread.ts";
import type { DebiasReport } from "./debiasReport.ts";
import { type ScrLevels, scrAt, scrAxis, scrLevels } from "./scrCurves.ts";
import { barsSvg, linesSvg, type Value } from "./svgCharts.ts";

export interface Figure {
  /** For a file's name: "groups-1". */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

/** Two figures for the direction at `at`, from 0. */
export function directionFigures(report: DebiasReport, at: number): Figure[] {
  const { cell_names } = report.directions[at]!;
  const bias = `biased: ${cell_names[0]} against ${cell_names[3]}`;
  const groups = `Accuracy and worst group, ${bias}`;
  const curve = `SCR over the number of features, ${bias}`;
  return [
    { name: `groups-${at + 1}`, title: groups, svg: groupsSvg(report, at, groups) },
    { name: `scr-${at + 1}`, title: curve, svg: curvesSvg(report, at, curve) },
  ];
}

function groupsSvg({ baselines, ensembles, shift_n }: DebiasReport, at: number, title: string): string {
  const own = baselines[at]!;
  const row = (label: string, scores: readonly CellScores[]): { label: string; values: Value[] } => ({
    label,
    values: [spread(scores.map(({ accuracy }) => accuracy)), spread(scores.map(({ worst_group }) => worst_group))],
  });
  const rows = [
    row(
      "biased probe",
      own.map(({ base }) => base),
    ),
    ...ensembles.flatMap(({ name, runs }) => {
      const of = runs[at]!;
      const people = of.flatMap(({ shift_flagged }) => (shift_flagged ? [shift_flagged] : []));
      const shifts = people.length > 0 ? people : of.map(({ shift_suggested }) => shift_suggested);
      const what = people.length > 0 ? `${people[0]!.flags.length} flagged` : `${shift_n} suggested`;
      return [
        row(
          `${name}: ${what} features ablated`,
          shifts.map(({ ablated }) => ablated),
        ),
        row(
          "… and retrained",
          shifts.map(({ retrained }) => retrained),
        ),
      ];
    }),
    row(
      "mean difference projected out",
      own.map(({ mean_difference }) => mean_difference),
    ),
    row(
      "… and retrained",
      own.map((one) => one.mean_difference_retrained),
    ),
    row(
      "oracle: probe of balanced data",
      own.map(({ oracle }) => oracle),
    ),
  ];
  return barsSvg({ title, series: ["all test texts", "worst group"], rows });
}

function curvesSvg({ baselines, ensembles }: DebiasReport, at: number, title: string): string {
  const own = baselines[at]!;
  const axis = scrAxis(ensembles);
  const values = ({ runs }: (typeof ensembles)[number], which: "dir1" | "random"): Value[] =>
    axis.map((n) => spread(runs[at]!.map((run) => scrAt(run, n, which))));
  const known = own.map(scrLevels);
  const level = (label: string, which: keyof ScrLevels) => ({
    label,
    value: spread(known.map((one) => one[which])).mean,
  });
  const random = ensembles.at(-1)!;
  return linesSvg({
    title,
    xTitle: "features ablated",
    x: axis.map((n) => `${n}`),
    lines: [
      ...ensembles.map((ensemble) => ({ label: ensemble.name, values: values(ensemble, "dir1") })),
      { label: `random features (${random.name})`, values: values(random, "random") },
    ],
    levels: [level("mean difference", "mean_difference"), level("… retrained", "mean_difference_retrained")],
  });
}
