// SCR's curves of several ensembles side by side: which numbers of features they share an axis for, and which of them an ensemble is too narrow for.
import type { CellScores } from "../probing/cells.ts";
import type { DebiasBaselines, DebiasResult } from "../probing/debias.ts";
import { scrScore } from "../probing/scr.ts";

/** The numbers of features that any of the ensembles has a point for, ascending. `runs`: [direction][seed] of each. */
export function scrAxis(ensembles: readonly { readonly runs: readonly (readonly DebiasResult[])[] }[]): number[] {
  return ascending(ensembles.flatMap(({ runs }) => runs[0]![0]!.scr.points.map(({ n }) => n)));
}

/** A run's SCR of a direction, or its random control's, at a number of features; NaN where it has no point for that. */
export function scrAt({ scr, scr_random }: DebiasResult, n: number, which: "dir1" | "dir2" | "random"): number {
  const at = scr.points.findIndex((point) => point.n === n);
  if (at < 0) return Number.NaN;
  return which === "random" ? scr_random[at]! : scr.points[at]![which];
}

/** SCR of the label where the attribute's mean difference is projected out: a level to hold the curves against. */
export interface ScrLevels {
  readonly mean_difference: number;
  readonly mean_difference_retrained: number;
}

export function scrLevels({ base, oracle, mean_difference, mean_difference_retrained }: DebiasBaselines): ScrLevels {
  const score = ({ accuracy }: CellScores): number =>
    scrScore({ A_ablated: accuracy, A_biased: base.accuracy, A_clean: oracle.accuracy });
  return {
    mean_difference: score(mean_difference),
    mean_difference_retrained: score(mean_difference_retrained),
  };
}

/** What was asked for and is more than an ensemble of so many features has. */
export function tooMany(n_values: readonly number[], features: number): number[] {
  return ascending(n_values.filter((n) => n > features));
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}
