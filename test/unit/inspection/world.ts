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
  const member = (seed: number): Sae => {
    const random = SeededRandom.derive(seed, "weights");
    const fill = (n: number, scale: number) => Float32Array.from({ length: n }, () => scale * random.normal());
    return {
      config: {
        architecture: "standard",
        d_in: d,
        d_sae: width,
        apply_b_dec_to_input: true,
        normalize_activations: normalize,
      } as Sae["config"],
      weights: {
        W_enc: fill(width * d, 0.3),
        b_enc: fill(width, 0.1),
        W_dec: fill(width * d, 0.3),
        b_dec: fill(d, 0.1),
      },
    };
  };
  const weight = method === "bagging" ? 0.5 : 1;
  return { method, members: [member(1), member(2)], weights: [weight, weight], seeds: [1, 2], hook, provenance: {} };
}

export async function openWorld(method: EnsembleMethod = "bagging", name = "llama3_rope") {
  const model = await openLanguageModel(golden("models", name), { threads: 1 });
  const ensemble = randomEnsemble(model.info.dModel, method);
  const engine = createReferenceEngine();
  const encoder = await engine.createEncoder(ensemble);
  const prependBos = model.tokenizer.bosId !== null;
  return { model, ensemble, encoder, inspection: new Inspection({ model, ensemble, encoder, prependBos }) };
}
