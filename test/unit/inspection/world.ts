// A small real model (transformers' Llama with random weights) and made-up ensembles on its hook, for tests of inspection.
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { Inspection } from "../../../src/inspection/inspection.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import type { Ensemble, EnsembleMethod } from "../../../src/sae/ensemble.ts";
import type { NormalizeActivations, Sae } from "../../../src/sae/sae.ts";
import { golden } from "../fixtures.ts";

export const hook = "blocks.1.hook_resid_post";
export const width = 96;

/** Two ReLU SAEs with random weights, so that about half of the features fire on every token. */
export function randomEnsemble(d: number, method: EnsembleMethod, normalize: NormalizeActivations = "none"): Ensemble {
  const weights = (seed: number) => {
    const random = SeededRandom.derive(seed, "weights");
    const fill = (n: number, scale: number) => Float32Array.from({ length: n }, () => scale * random.normal());
    return {
      W_enc: fill(width * d, 0.3),
      b_enc: fill(width, 0.1),
      W_dec: fill(width * d, 0.3),
      b_dec: fill(d, 0.1),
    };
  };
  return ensembleOf([weights(1), weights(2)], d, method, normalize);
}

/** Two ReLU SAEs of the weights that scripts/crosscheck/interventions.py makes. */
export function waveEnsemble(d: number, method: EnsembleMethod): Ensemble {
  const waves = (member: number, which: number, rows: number, columns: number, scale: number) =>
    Float32Array.from({ length: rows * columns }, (_, at) => {
      const [i, j] = [Math.floor(at / columns), at % columns];
      return scale * Math.sin(1.7 * i + 0.37 * j + 0.011 * i * j + 5 * which + 11 * member);
    });
  const weights = (member: number) => ({
    // [d, F] there, as in SAELens' files.
    W_enc: transposed(waves(member, 0, d, width, 0.3), d, width),
    b_enc: waves(member, 1, 1, width, 0.1),
    W_dec: waves(member, 2, width, d, 0.3),
    b_dec: waves(member, 3, 1, d, 0.1),
  });
  return ensembleOf([weights(0), weights(1)], d, method, "none");
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  return values.map((_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!);
}

function ensembleOf(
  weights: readonly Sae["weights"][],
  d: number,
  method: EnsembleMethod,
  normalize: NormalizeActivations,
): Ensemble {
  const config = {
    architecture: "standard",
    d_in: d,
    d_sae: width,
    apply_b_dec_to_input: true,
    normalize_activations: normalize,
  } as Sae["config"];
  const share = method === "bagging" ? 1 / weights.length : 1;
  return {
    method,
    members: weights.map((own) => ({ config, weights: own })),
    weights: weights.map(() => share),
    seeds: weights.map((_, j) => j + 1),
    hook,
    provenance: {},
  };
}

export async function openWorld(method: EnsembleMethod = "bagging", name = "llama3_rope") {
  const model = await openLanguageModel(golden("models", name), { threads: 1 });
  const ensemble = randomEnsemble(model.info.dModel, method);
  const engine = createReferenceEngine();
  const encoder = await engine.createEncoder(ensemble);
  const prependBos = model.tokenizer.bosId !== null;
  return { model, ensemble, encoder, inspection: new Inspection({ model, ensemble, encoder, prependBos }) };
}
