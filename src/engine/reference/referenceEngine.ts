// The reference engine: slow, obvious and right, and meant to stay so. Other engines are checked against it.
import { encodeEnsemble } from "../../sae/encodeEnsemble.ts";
import { type Ensemble, ensembleWidth } from "../../sae/ensemble.ts";
import { withCurrentMoments } from "../currentMoments.ts";
import { checkEncodable, type Encoded, type Encoder, type Engine, type SparseCodes } from "../engine.ts";
import type { Batch } from "./linear.ts";
import { computeGradients, type LossGradients } from "./lossGradients.ts";
import { ReferenceTrainer } from "./referenceTrainer.ts";

/** Plain loops on one thread, sums in float64. `gradients`: another way to losses and gradients, the rest of a step being the same. */
export function createReferenceEngine(gradients: (batch: Batch) => LossGradients = computeGradients): Engine {
  return {
    name: "reference",
    description: "plain loops in float64 on one thread, for checking other engines",
    createTrainer: async (config, members, frozen) =>
      new ReferenceTrainer(
        config,
        members.map((state) => withCurrentMoments(state, config)),
        frozen,
        gradients,
      ),
    createEncoder: async (ensemble) => {
      checkEncodable(ensemble);
      return new ReferenceEncoder(ensemble);
    },
    close: async () => {},
  };
}

class ReferenceEncoder implements Encoder {
  readonly #ensemble: Ensemble;

  constructor(ensemble: Ensemble) {
    this.#ensemble = ensemble;
  }

  async encode(x: Float32Array, rows: number): Promise<Encoded> {
    const { codes, reconstruction } = encodeEnsemble(this.#ensemble, x, rows);
    const width = ensembleWidth(this.#ensemble);
    const offsets = new Uint32Array(rows + 1);
    const indices: number[] = [];
    const values: number[] = [];
    for (let t = 0; t < rows; t++) {
      for (let i = 0; i < width; i++) {
        if (codes[t * width + i]! <= 0) continue;
        indices.push(i);
        values.push(codes[t * width + i]!);
      }
      offsets[t + 1] = indices.length;
    }
    return {
      codes: { rows, width, offsets, indices: Uint32Array.from(indices), values: Float32Array.from(values) },
      reconstruction,
    };
  }

  async codes(x: Float32Array, rows: number): Promise<SparseCodes> {
    return (await this.encode(x, rows)).codes;
  }

  async close(): Promise<void> {}
}
