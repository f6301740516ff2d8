// An ensemble as one SAE with the features of all its members, where that is exact; and the reason where it is not.
import { type Ensemble, ensembleWidth } from "./ensemble.ts";
import { inferenceSae } from "./fold.ts";
import { normalisesTokens } from "./normalise.ts";
import type { Sae, SaeConfig, SaeWeights } from "./sae.ts";

/** Why an ensemble has no flat form, or null where it has one. */
export function whyNotFlat({ method, members, weights }: Ensemble): string | null {
  const normalising = members.find(({ config }) => normalisesTokens(config.normalize_activations))?.config;
  const how = normalising?.normalize_activations;
  if (members.length === 1) {
    if (weights[0] === 1 || how === undefined) return null;
    return `its member normalises each token (${how}), and its weight of ${weights[0]} is of what comes after that is undone`;
  }
  if (method === "boosting")
    return "each member of a boosting ensemble encodes what the members before it leave, which no one encoder does";
  if (members.some(({ config }) => config.architecture === "topk"))
    return "topk selects within each member, and one SAE would select among all features";
  if (how !== undefined) return `its members normalise each token (${how}), which undoes itself member by member`;
  for (const [name, has] of [
    ["gated", ({ config }: Sae) => config.architecture === "gated"],
    ["of hook_z by their configurations", ({ config }: Sae) => config.reshape_activations !== undefined],
  ] as const) {
    const some = members.filter(has).length;
    if (some > 0 && some < members.length) return `some of its members are ${name} and some are not`;
  }
  return null;
}

/**
 * Features side by side, as in the ensemble; its codes are the members' own, since decoder rows carry α_j. Each b_dec,j goes
 * into the encoder's bias. Members of one architecture keep it; standard beside jumprelu becomes jumprelu, with thresholds 0.
 * One member of weight 1 is returned as it is.
 * Throws RangeError where there is no flat form (whyNotFlat).
 */
export function flatSae(ensemble: Ensemble): Sae {
  const reason = whyNotFlat(ensemble);
  if (reason) throw new RangeError(`no flat form: ${reason}`);
  const members = ensemble.members.map(inferenceSae);
  const first = members[0]!;
  if (members.length === 1 && ensemble.weights[0] === 1) return first;
  const d = first.config.d_in;
  const F = ensembleWidth(ensemble);
  const architecture = members.some(({ config }) => config.architecture === "jumprelu")
    ? "jumprelu"
    : first.config.architecture;
  const b_dec = new Float64Array(d);
  const weights: SaeWeights = {
    W_enc: new Float32Array(F * d),
    W_dec: new Float32Array(F * d),
    b_dec: new Float32Array(d),
  };
  for (const name of architecture === "gated" ? (["b_gate", "b_mag", "r_mag"] as const) : (["b_enc"] as const)) {
    weights[name] = new Float32Array(F);
  }
  if (architecture === "jumprelu") weights.threshold = new Float32Array(F);
  let start = 0;
  for (const [j, member] of members.entries()) {
    put(weights, start, member, ensemble.weights[j]!, d);
    for (let i = 0; i < d; i++) b_dec[i]! += ensemble.weights[j]! * member.weights.b_dec[i]!;
    start += member.config.d_sae;
  }
  weights.b_dec.set(b_dec);
  const { reshape_activations, k } = first.config;
  const config: SaeConfig = {
    architecture,
    d_in: d,
    d_sae: F,
    ...(reshape_activations && { reshape_activations }),
    // Decoder norms are in the encoder by now, and rows that carry a weight must not be taken for them.
    ...(architecture === "topk" && { k: k!, rescale_acts_by_decoder_norm: false }),
    apply_b_dec_to_input: false,
    normalize_activations: "none",
    dtype: "float32",
    metadata: {
      ...first.config.metadata,
      sae_ensembles: { method: ensemble.method, members: members.map((member) => member.config.d_sae) },
    },
  };
  return { config, weights };
}

/** A member's features from `start` on. */
function put(whole: SaeWeights, start: number, { config, weights }: Sae, alpha: number, d: number): void {
  whole.W_enc.set(weights.W_enc, start * d);
  for (let i = 0; i < config.d_sae; i++) {
    // x − b_dec in front of the encoder is −b_dec·W_enc behind it.
    let shift = 0;
    for (let k = 0; k < d; k++) {
      if (config.apply_b_dec_to_input) shift += weights.b_dec[k]! * weights.W_enc[i * d + k]!;
      whole.W_dec[(start + i) * d + k] = alpha * weights.W_dec[i * d + k]!;
    }
    const at = start + i;
    if (config.architecture === "gated") {
      whole.b_gate![at] = weights.b_gate![i]! - shift;
      whole.r_mag![at] = weights.r_mag![i]!;
      whole.b_mag![at] = weights.b_mag![i]! - shift * Math.exp(weights.r_mag![i]!);
    } else {
      whole.b_enc![at] = weights.b_enc![i]! - shift;
      if (whole.threshold) whole.threshold[at] = weights.threshold?.[i] ?? 0;
    }
  }
}
