// How an SAE that came from elsewhere does on activations at hand: explained variance and L0, and what is absurd about them. A lost threshold or a matrix read the wrong way round shows here and nowhere else.
import type { Engine } from "../engine/engine.ts";
import type { Ensemble } from "../sae/ensemble.ts";

export interface SanityNumbers {
  /** 1 − Σ‖x−x̂‖² / Σ‖x−x̄‖², against what the member reconstructs (for boosting the residual that it gets). */
  readonly explained_variance: number;
  /** Mean active features a token. */
  readonly l0: number;
  /** Why these numbers can't be an SAE's that works here; null where they can. */
  readonly warning: string | null;
}

/** A share of features that no trained SAE has firing at once. */
const MOST_ACTIVE = 0.2;

/** Each member alone, on x [rows, d] (boosting: on what the members before it leave). */
export async function sanityOfMembers(
  engine: Engine,
  ensemble: Ensemble,
  x: Float32Array,
  rows: number,
): Promise<SanityNumbers[]> {
  const result: SanityNumbers[] = [];
  let input = x;
  for (const member of ensemble.members) {
    const { hook, provenance } = ensemble;
    const encoder = await engine.createEncoder({
      method: "single",
      members: [member],
      weights: [1],
      seeds: [0],
      hook,
      provenance,
    });
    try {
      const { codes, reconstruction } = await encoder.encode(input, rows);
      const l0 = codes.indices.length / rows;
      const explained_variance = explainedVariance(input, reconstruction, rows, member.config.d_in);
      result.push({ explained_variance, l0, warning: absurd(explained_variance, l0, member.config) });
      if (ensemble.method === "boosting") input = input.map((value, at) => value - reconstruction[at]!);
    } finally {
      await encoder.close();
    }
  }
  return result;
}

function absurd(
  explained_variance: number,
  l0: number,
  { d_sae, architecture }: Ensemble["members"][number]["config"],
): string | null {
  const found = `explains ${(100 * explained_variance).toFixed(1)}% of the variance with ${l0.toFixed(1)} of ${d_sae} features a token`;
  if (l0 > MOST_ACTIVE * d_sae && architecture !== "topk") {
    // Only of a plain ReLU can the threshold have been lost; a jumprelu has one, and a gated SAE its gate.
    const why =
      architecture === "standard"
        ? "its threshold was probably lost on the way (a jumprelu or batchtopk saved as a plain ReLU), or the activations are of another scale"
        : "the activations are probably of another scale, hook or model";
    return `${found}: ${why}`;
  }
  if (l0 === 0) return `${found}: nothing fires; the activations are of another hook, model or scale`;
  if (!(explained_variance > 0)) {
    return `${found}, worse than the mean alone: another hook, model or scale of activations, or a matrix read the wrong way round`;
  }
  return null;
}

function explainedVariance(x: Float32Array, reconstruction: Float32Array, rows: number, d: number): number {
  const mean = new Float64Array(d);
  for (let at = 0; at < rows * d; at++) mean[at % d]! += x[at]! / rows;
  let [residual, total] = [0, 0];
  for (let at = 0; at < rows * d; at++) {
    residual += (x[at]! - reconstruction[at]!) ** 2;
    total += (x[at]! - mean[at % d]!) ** 2;
  }
  return total > 0 ? 1 - residual / total : 0;
}
