// What a selection of codes is asked for, and the places where workers leave its results for each other.
import type { Job, Place } from "./job.ts";
import type { SaePlan } from "./layout.ts";

/** Sections of the crew's float64 results. */
export const ACTIVE = 0;
export const PENALTY = 1;
export const SQUARES = 2;
/** Dead latents of each slab. */
export const DEAD = 3;

/** Counters of the crew: whether a list was too short, and how full each slab's lists are. */
export const OVERFLOW = 0;
export const FILLED = 1;

/** How the codes of one SAE are to be found at this call. */
export interface Selection {
  readonly sae: SaePlan;
  /** Index of the SAE among the job's. */
  readonly number: number;
  /** Dead latents take part in a second list: at most this many a row (AuxK); 0 for none. */
  readonly auxK: number;
  /** dictionary_learning's AuxK: positive values only. */
  readonly auxPositive: boolean;
  readonly training: boolean;
  /** Whether column sums of x are wanted, for the explained variance. */
  readonly moments: boolean;
}

/** Empties the lists before batchtopk tries another limit. */
export function startOver(job: Job, places: readonly Place[]): void {
  job.crew.set(OVERFLOW, 0);
  for (const place of places) job.crew.set(FILLED + place.slab.bank, 0);
}
