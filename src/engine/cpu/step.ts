// The step of one member as every phase and every worker sees it, and where phases leave numbers for each other.
import type { StepInput, TrainerConfig } from "../engine.ts";
import { SECTION } from "./crew.ts";
import type { Job, Place } from "./job.ts";
import { type SaePlan, TILE } from "./layout.ts";
import type { Selection } from "./selection.ts";

/** Sections of the crew's results, after those of codes.ts. */
export const ERROR = 4;
export const AUX_ERROR = 5;
export const GRADIENT = 6;
/** Single numbers: what one worker works out for all. */
export const SHARED = 7;
export const AUX_FACTOR = SHARED * SECTION;
export const CLIP = SHARED * SECTION + 1;

/** The step of one member as all workers see it. */
export interface Step {
  readonly job: Job;
  readonly config: TrainerConfig;
  readonly sae: SaePlan;
  readonly places: readonly Place[];
  readonly selection: Selection;
  /** Steps taken once this one is done. */
  readonly count: number;
  readonly input: StepInput;
  readonly nDead: number;
}

/** Whether the second list is in use: AuxK or gates. */
export function usesSecond({ selection, sae }: Step): boolean {
  return selection.auxK > 0 || sae.config.architecture === "gated";
}

/** Pointer of tile j0/32 in [d/32][rows][32]. */
export function tileOf(base: number, tile: number, rows: number): number {
  return base + tile * rows * TILE * 4;
}
