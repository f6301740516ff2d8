// What an ensemble is: several SAEs that act as one dictionary of J·F features (arXiv 2505.16077, section 3). No arithmetic, no files.
import type { Sae } from "./sae.ts";

/** "single" is an ensemble of one; the expanded baseline is a single SAE of J·F features. */
export type EnsembleMethod = "single" | "bagging" | "boosting";

/**
 * bagging: x̂ = Σ_j α_j x̂_j with α_j = 1/J, every member encodes x.
 * boosting: x̂ = Σ_j x̂_j (α_j = 1), member j encodes r_j = x − Σ_{l<j} x̂_l.
 * Feature i of member j has the global index j·F + i; codes of an ensemble carry α_j.
 */
export interface Ensemble {
  readonly method: EnsembleMethod;
  /** At least one; all of the same d_in and hook. */
  readonly members: readonly Sae[];
  /** α_j, one a member. */
  readonly weights: readonly number[];
  /** Seed of each member's initial weights. */
  readonly seeds: readonly number[];
  /** Hook point by TransformerLens' name, e.g. "blocks.15.hook_resid_post". */
  readonly hook: string;
  /** How it came to be: experiment, data, versions, command. JSON. */
  readonly provenance: Readonly<Record<string, unknown>>;
}

/** Features of the whole ensemble: Σ_j F_j. */
export function ensembleWidth(ensemble: Ensemble): number {
  return ensemble.members.reduce((sum, member) => sum + member.config.d_sae, 0);
}

/** First global index of each member's features, and the ensemble's width at the end: [J + 1]. */
export function memberOffsets(ensemble: Ensemble): number[] {
  const offsets = [0];
  for (const member of ensemble.members) offsets.push(offsets.at(-1)! + member.config.d_sae);
  return offsets;
}
