// The report of a debiasing: every number as mean and spread over seeds, as JSON and as Markdown with tables and figures. Numbers come from probing/debias.ts.
import { basename } from "node:path";
import { type CellPairs, TEST_SHARE } from "../data/fourCells.ts";
import { type LeftOut, leftOut } from "../data/labelledTexts.ts";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import type { CellScores } from "../probing/cells.ts";
import { CELLS } from "../probing/cells.ts";
import type { DebiasBaselines, DebiasResult, Shift } from "../probing/debias.ts";
import { type Spread, spread } from "../probing/spread.ts";
import type { TextCounts } from "./debiasData.ts";
import { directionFigures, type Figure } from "./debiasFigures.ts";
import { type Provenance, provenanceLines } from "./provenance.ts";
import { type SaeBenchWords, saebenchLines } from "./saebench.ts";
import { scrAt, scrAxis, scrLevels, tooMany } from "./scrCurves.ts";

export interface DebiasReport extends Provenance {
  readonly run: string;
  readonly model_name: string;
  readonly hook_name: string;
  readonly context_size: number;
  readonly data: Readonly<Record<string, unknown>> &
    LeftOut & {
      readonly train: string;
      readonly test: string | null;
      readonly texts: number;
      /** Those that fill the context: what is longer was cut to it. */
      readonly texts_at_context: number;
    };
  readonly seeds: readonly number[];
  /** Numbers of features for SCR, as asked for; an ensemble has points for those that it has features for. */
  readonly n_values: readonly number[];
  readonly shift_n: number;
  /** What of it is SAEBench's and what is not; false by default. */
  readonly saebench_compatible: SaeBenchWords | false;
  readonly directions: readonly {
    readonly pair: CellPairs;
    readonly cell_names: readonly string[];
    readonly counts: TextCounts;
    readonly per_cell: { readonly train: number; readonly test: number };
    readonly warnings: readonly string[];
  }[];
  /** [direction][seed] */
  readonly baselines: readonly (readonly DebiasBaselines[])[];
  readonly ensembles: readonly {
    readonly name: string;
    readonly method: string;
    readonly features: number;
    /** A person's, "member/index". */
    readonly flags: readonly string[];
    /** The file in which they are flagged; null where the command named others. */
    readonly flags_file: string | null;
    /** [direction][seed] */
    readonly runs: readonly (readonly DebiasResult[])[];
    /** "member/index" of a global feature. */
    readonly nameOf: (feature: number) => string;
  }[];
  /** Debiased probes that were saved: each is one seed's, with that seed's own scores. */
  readonly saved_probes: readonly {
    readonly ensemble: string;
    readonly folder: string;
    readonly seed: number;
    readonly accuracy: number;
    readonly worst_group: number;
  }[];
}

/** Suggested features that the Markdown names; the JSON has more, with their effects. */
const LISTED = 10;

type Scores = Readonly<Record<"accuracy" | "worst_group", Spread>> & {
  readonly cells: Readonly<Record<string, Spread>>;
};

function over(scores: readonly CellScores[]): Scores {
  return {
    accuracy: spread(scores.map(({ accuracy }) => accuracy)),
    worst_group: spread(scores.map(({ worst_group }) => worst_group)),
    cells: Object.fromEntries(CELLS.map((cell, at) => [cell, spread(scores.map(({ cells }) => cells[at]!))])),
  };
}

function shiftOver(shifts: readonly Shift[]): { ablated: Scores; retrained: Scores } {
  return {
    ablated: over(shifts.map(({ ablated }) => ablated)),
    retrained: over(shifts.map(({ retrained }) => retrained)),
  };
}

function flagged(runs: readonly DebiasResult[]): Shift[] {
  return runs.flatMap(({ shift_flagged }) => (shift_flagged ? [shift_flagged] : []));
}

function flaggedRandom(runs: readonly DebiasResult[]): Shift[] {
  return runs.flatMap(({ shift_flagged_random }) => (shift_flagged_random ? [shift_flagged_random] : []));
}

/** Keys in snake_case; spreads carry every seed's value. */
export function debiasJson(report: DebiasReport): Record<string, unknown> {
  const { directions, baselines, ensembles, ...head } = report;
  return {
    format_version: 1,
    ...head,
    directions: directions.map((direction, at) => {
      const own = baselines[at]!;
      return {
        ...direction,
        baselines: {
          base: over(own.map(({ base }) => base)),
          oracle: over(own.map(({ oracle }) => oracle)),
          mean_difference: over(own.map(({ mean_difference }) => mean_difference)),
          mean_difference_retrained: over(own.map((one) => one.mean_difference_retrained)),
          scr_mean_difference: spread(own.map((one) => scrLevels(one).mean_difference)),
          scr_mean_difference_retrained: spread(own.map((one) => scrLevels(one).mean_difference_retrained)),
          attribute_accuracy: spread(own.map(({ attribute_accuracy }) => attribute_accuracy)),
          steps: own[0]!.steps,
        },
        ensembles: ensembles.map(({ name, method, features, flags, flags_file, runs, nameOf }) => {
          const of = runs[at]!;
          const curve = (point: number) => of.map(({ scr }) => scr.points[point]!);
          const first = of[0]!;
          return {
            name,
            method,
            features,
            flags,
            flags_file,
            scr: {
              dir1: {
                A_clean: spread(of.map(({ scr }) => scr.dir1.A_clean)),
                A_biased: spread(of.map(({ scr }) => scr.dir1.A_biased)),
              },
              dir2: {
                A_clean: spread(of.map(({ scr }) => scr.dir2.A_clean)),
                A_biased: spread(of.map(({ scr }) => scr.dir2.A_biased)),
              },
              headline: of.map(({ scr }) => scr.headline),
              has_room: of.map(({ scr }) => ({ dir1: scr.dir1.hasRoom, dir2: scr.dir2.hasRoom })),
              left_out: tooMany(head.n_values, features),
              points: first.scr.points.map(({ n }, point) => ({
                n,
                random: spread(of.map(({ scr_random }) => scr_random[point]!)),
                dir1: spread(curve(point).map(({ dir1 }) => dir1)),
                dir2: spread(curve(point).map(({ dir2 }) => dir2)),
                A_ablated_dir1: spread(curve(point).map(({ A_ablated_dir1 }) => A_ablated_dir1)),
                A_ablated_dir2: spread(curve(point).map(({ A_ablated_dir2 }) => A_ablated_dir2)),
                worst_group: spread(curve(point).map(({ scores }) => scores.worst_group)),
              })),
            },
            shift_suggested: shiftOver(of.map(({ shift_suggested }) => shift_suggested)),
            shift_random: shiftOver(of.map(({ shift_random }) => shift_random)),
            shift_flagged: flagged(of).length > 0 ? shiftOver(flagged(of)) : null,
            shift_flagged_random: flagged(of).length > 0 ? shiftOver(flaggedRandom(of)) : null,
            suggested: first.suggested.map(({ feature, ...effects }) => ({ feature: nameOf(feature), ...effects })),
          };
        }),
      };
    }),
  };
}

/** Writes `<path>.json`, `<path>.md` and its figures, `<path>-<figure>.svg`. */
export async function writeDebiasReport(report: DebiasReport, path: string): Promise<void> {
  const figures = report.directions.map((_, at) => directionFigures(report, at));
  for (const { name, svg } of figures.flat()) await writeFileAtomic(`${path}-${name}.svg`, svg);
  await writeFileAtomic(`${path}.json`, `${JSON.stringify(debiasJson(report), null, 2)}\n`);
  await writeFileAtomic(`${path}.md`, debiasMarkdown(report, basename(path), figures));
}

/** "texts of at most 64 tokens (512 of 2,400 fill them; what is longer is cut)" */
export function contextWords(
  context_size: number,
  { texts, texts_at_context }: { readonly texts: number; readonly texts_at_context: number },
): string {
  const count = (value: number): string => value.toLocaleString("en-US");
  const cut =
    texts_at_context > 0 ? ` (${count(texts_at_context)} of ${count(texts)} fill them; what is longer is cut)` : "";
  return `texts of at most ${context_size} tokens${cut}`;
}

/** `base`: the report's file name without its ending, which the figures' names begin with. */
function debiasMarkdown(report: DebiasReport, base: string, figures: readonly (readonly Figure[])[]): string {
  const { run, model_name, hook_name, context_size, data, seeds, saebench_compatible } = report;
  const lines = [
    `# Debiasing: ${run}`,
    "",
    `${model_name}, ${hook_name}, ${contextWords(context_size, data)}. Data: ${data.train}${data.test ? ` and ${data.test}` : ""}. ${seedWords(seeds)}${leftOut(data) && ` Left out: ${leftOut(data)}.`}`,
    ...(saebench_compatible ? saebenchLines(saebench_compatible) : []),
  ];
  for (const { name, flags, flags_file } of report.ensembles)
    if (flags.length > 0)
      lines.push("", `Flagged features of ${name}${flags_file ? ` (${flags_file})` : ""}: ${flags.join(", ")}.`);
  for (const { ensemble, folder, seed, accuracy, worst_group } of report.saved_probes)
    lines.push(
      "",
      `Debiased probe of ${ensemble}, saved in ${folder}: that of seed ${seed}, with ${accuracy.toFixed(3)} right and ${worst_group.toFixed(3)} in its worst group by itself; the tables have means over the seeds.`,
    );
  for (let at = 0; at < report.directions.length; at++) {
    lines.push(...directionSection(report, at));
    for (const { name, title } of figures[at]!) lines.push("", `![${title}](${base}-${name}.svg)`);
  }
  lines.push(
    "",
    "SCR is 0 where A_clean − A_biased is below 0.001; it is not clipped, and it is noisy where that difference is small. Suggested flags are the features of the largest effect on the attribute's probe; nobody has looked at them. They may carry the label as well: the cells show what that costs. Worst group is the worst cell of each seed, so its mean may lie below every cell's.",
    ...provenanceLines(report),
  );
  return lines.join("\n");
}

function directionSection(report: DebiasReport, at: number): string[] {
  const { cell_names, counts, per_cell, warnings } = report.directions[at]!;
  const own = report.baselines[at]!;
  const first = report.ensembles[0]!.runs[at]!;
  const lines = [
    "",
    `## Biased: ${cell_names[0]} against ${cell_names[3]}`,
    "",
    `${countWords(cell_names, counts)} Balanced sets of ${per_cell.train} a cell for training and ${per_cell.test} for testing; the biased set has ${2 * per_cell.train} of each of its two cells (${own[0]!.steps} steps of training).`,
    ...warnings.map((warning) => `\n**Note:** ${warning}.`),
    "",
    `| | accuracy | worst group | ${cell_names.join(" | ")} |`,
    "|---|---|---|---|---|---|---|",
    row(
      "biased probe",
      own.map(({ base }) => base),
    ),
    row(
      "oracle: probe of balanced data",
      own.map(({ oracle }) => oracle),
    ),
    row(
      "attribute's mean difference projected out",
      own.map(({ mean_difference }) => mean_difference),
    ),
    row(
      "… and retrained",
      own.map((one) => one.mean_difference_retrained),
    ),
  ];
  for (const { name, flags, runs } of report.ensembles) {
    const of = runs[at]!;
    const add = (title: string, shifts: readonly Shift[]): void => {
      lines.push(
        row(
          `${name}: ${title} ablated`,
          shifts.map(({ ablated }) => ablated),
        ),
      );
      lines.push(
        row(
          "… and retrained",
          shifts.map(({ retrained }) => retrained),
        ),
      );
    };
    add(
      `${report.shift_n} suggested features`,
      of.map(({ shift_suggested }) => shift_suggested),
    );
    add(
      `${report.shift_n} random features`,
      of.map(({ shift_random }) => shift_random),
    );
    if (flagged(of).length > 0) {
      add(`${flags.length} flagged features`, flagged(of));
      add(`${flags.length} random features`, flaggedRandom(of));
    }
  }
  const [A_clean, A_biased] = [
    spread(first.map(({ scr }) => scr.dir1.A_clean)),
    spread(first.map(({ scr }) => scr.dir1.A_biased)),
  ];
  const ofAttribute = [
    spread(first.map(({ scr }) => scr.dir2.A_clean)),
    spread(first.map(({ scr }) => scr.dir2.A_biased)),
  ] as const;
  const axis = scrAxis(report.ensembles);
  const points = axis.map((n) => ` n = ${n} |`).join("");
  const rule = `|---|${axis.map(() => "---|").join("")}`;
  const curve = (name: string, of: readonly DebiasResult[], which: Parameters<typeof scrAt>[2]): string =>
    `| ${name} |${axis.map((n) => ` ${text(spread(of.map((one) => scrAt(one, n, which))))} |`).join("")}`;
  const levels = own.map(scrLevels);
  const level = (name: string, of: readonly number[]): string =>
    `| ${name} |${axis.map(() => ` ${text(spread(of))} |`).join("")}`;
  lines.push(
    "",
    `The attribute's probe is right in ${text(spread(own.map((one) => one.attribute_accuracy)))}. SCR of the label: A_clean ${text(A_clean)}, A_biased ${text(A_biased)}, so a difference of ${difference(A_clean, A_biased)} to win back. SCR of the attribute: A_clean ${text(ofAttribute[0])}, A_biased ${text(ofAttribute[1])}, so ${difference(...ofAttribute)}; where that is small, direction 2 is noise. ${headlineWords(report.seeds, first)}`,
  );
  if (first.some(({ scr }) => !scr.dir1.hasRoom))
    lines.push(
      "",
      "**Note:** there is no room (A_clean − A_biased < 0.001) with at least one seed: this data carries no bias that hurts.",
    );
  const left = report.ensembles.flatMap(({ name, features }) => {
    const more = tooMany(report.n_values, features);
    return more.length > 0 ? [`n = ${more.join(", ")} for ${name} (${features})`] : [];
  });
  if (left.length > 0) lines.push("", `**Note:** left out, being more than there are features: ${left.join("; ")}.`);
  lines.push(
    "",
    `| SCR, direction 1 (label) |${points}`,
    rule,
    ...report.ensembles.flatMap(({ name, runs }) => [
      curve(name, runs[at]!, "dir1"),
      curve("… as many at random", runs[at]!, "random"),
    ]),
    level(
      "mean difference projected out",
      levels.map(({ mean_difference }) => mean_difference),
    ),
    level(
      "… and retrained",
      levels.map((one) => one.mean_difference_retrained),
    ),
    "",
    `| SCR, direction 2 (attribute) |${points}`,
    rule,
    ...report.ensembles.map(({ name, runs }) => curve(name, runs[at]!, "dir2")),
    "",
    "Features of the largest effect on the attribute's probe, with the first seed:",
    "",
    ...report.ensembles.map(({ name, runs, nameOf }) => {
      const listed = runs[at]![0]!.suggested.slice(0, LISTED).map(({ feature }) => nameOf(feature));
      return `- ${name}: ${listed.join(", ")}`;
    }),
  );
  return lines;
}

/** "Texts a cell: nurse · female 400 + 120, … (to train on + to test on)." */
function countWords(cell_names: readonly string[], { train, test }: TextCounts): string {
  const listed = cell_names.map((name, cell) => `${name} ${train[cell]}${test ? ` + ${test[cell]}` : ""}`);
  const how = test ? "to train on + to test on" : `${100 * TEST_SHARE}% of them held out with each seed to test on`;
  return `Texts a cell: ${listed.join(", ")} (${how}).`;
}

/** What the report says of its seeds and of the numbers over them. */
export function seedWords(seeds: readonly number[], of = ""): string {
  if (seeds.length === 1) return `Seed ${seeds[0]}${of}.`;
  return `Seeds ${seeds.join(", ")}${of}; values are mean ± standard deviation over them.`;
}

/** One mean less another, with three digits and no sign of nothing. */
function difference(one: Spread, other: Spread): string {
  return (one.mean - other.mean).toFixed(3).replace(/^-(?=0\.000$)/, "");
}

function row(title: string, scores: readonly CellScores[]): string {
  const { accuracy, worst_group, cells } = over(scores);
  return `| ${title} | ${text(accuracy)} | ${text(worst_group)} | ${CELLS.map((cell) => text(cells[cell]!)).join(" | ")} |`;
}

/** "Headline: direction 1 with seeds 0, 2; tie with seed 1." `runs`: one a seed; any ensemble's, since probes alone decide it. */
function headlineWords(seeds: readonly number[], runs: readonly DebiasResult[]): string {
  const parts = (["dir1", "dir2", null] as const).flatMap((which) => {
    const own = seeds.filter((_, at) => runs[at]!.scr.headline === which);
    if (own.length === 0) return [];
    const what = which === null ? "tie" : `direction ${which === "dir1" ? 1 : 2}`;
    return [`${what} with seed${own.length > 1 ? "s" : ""} ${own.join(", ")}`];
  });
  return `Headline, the direction of the lower A_biased: ${parts.join("; ")}.`;
}

/** "0.812 ± 0.010"; without a spread where there is one run. */
export function text({ mean, sd }: Spread): string {
  if (Number.isNaN(mean)) return "–";
  return Number.isNaN(sd) ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${sd.toFixed(3)}`;
}
