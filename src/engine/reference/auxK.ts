// AuxK: dead latents learn from what the living ones left over (arXiv 2406.04093, appendix A.2), in SAELens' and in dictionary_learning's form.
import { largest } from "../../sae/select.ts";
import { type Batch, decoded, squaredError } from "./linear.ts";

export interface AuxK {
  /** Weighted. */
  readonly loss: number;
  /** [rows, F]: activations of the chosen dead latents. */
  readonly acts: Float64Array;
  /** [rows, F]: 1 where the gradient by an act goes on to its pre-activation. */
  readonly passes: Uint8Array;
  /** [rows, d]: gradient of `loss` by the auxiliary reconstruction. */
  readonly byReconstruction: Float64Array;
}

/**
 * The residual x − x̂ is a constant here: nothing flows back through it. Null where no latent is dead.
 * SAELens: raw (scaled) pre-activations, negative ones included, times min(n_dead/(d/2), 1). dictionary_learning: relu'd, and
 * divided by the residual's variance. k_aux = min(d/2, n_dead) in both.
 */
export function auxKLoss(
  batch: Batch,
  scaled: Float64Array,
  reconstruction: Float64Array,
  norms: Float64Array | null,
): AuxK | null {
  const { config, rows, dead } = batch;
  const { d_in: d, d_sae: F } = config.sae;
  const latents: number[] = [];
  for (let i = 0; i < F; i++) if (dead[i]) latents.push(i);
  if (latents.length === 0 || config.aux_loss_coefficient === 0) return null;

  const ownForm = config.aux_loss_form === "sae_lens";
  const half = Math.floor(d / 2);
  const acts = new Float64Array(scaled.length);
  const passes = new Uint8Array(scaled.length);
  for (let t = 0; t < rows; t++) {
    const candidates = latents.map((i) => (ownForm ? scaled[t * F + i]! : Math.max(0, scaled[t * F + i]!)));
    for (const chosen of largest(candidates, Math.min(half, latents.length))) {
      const at = t * F + latents[chosen]!;
      acts[at] = candidates[chosen]!;
      passes[at] = ownForm || scaled[at]! > 0 ? 1 : 0;
    }
  }
  const residual = Float64Array.from(reconstruction, (value, at) => batch.x[at]! - value);
  const error = squaredError(decoded(acts, batch, norms), residual, rows);
  // A residual without variance gives 0/0; dictionary_learning takes the loss as 0 there.
  const variance = ownForm ? 1 : meanSquaredDeviation(residual, rows);
  if (variance === 0) return null;
  const weight = (config.aux_loss_coefficient * (ownForm ? Math.min(latents.length / half, 1) : 1)) / variance;
  return { loss: weight * error.loss, acts, passes, byReconstruction: error.grad.map((value) => value * weight) };
}

/** Mean over tokens of ‖e − ē‖². */
function meanSquaredDeviation(values: Float64Array, rows: number): number {
  const d = values.length / rows;
  const mean = new Float64Array(d);
  for (let at = 0; at < values.length; at++) mean[at % d]! += values[at]! / rows;
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += (values[at]! - mean[at % d]!) ** 2;
  return sum / rows;
}
