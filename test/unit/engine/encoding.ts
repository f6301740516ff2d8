// The part of the engines' contract that is encoding: codes and reconstructions of SAEs and ensembles against their definition.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { type Encoded, type Engine, EngineError } from "../../../src/engine/engine.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import type { NormalizeActivations } from "../../../src/sae/sae.ts";
import { assertWithin } from "./closeness.ts";
import { ensembleOf, randomSae } from "./randomCases.ts";

/** Declares these tests for an engine that `engine()` gives. `encodeTolerance`: absolute, at activations of scale 1. */
export function encodingContract(engine: () => Engine, encodeTolerance: number): void {
  describe("encoding equals the definition", () => {
    const normalisations: NormalizeActivations[] = ["none", "constant_norm_rescale", "layer_norm"];
    for (const architecture of ["standard", "topk", "jumprelu", "gated"] as const) {
      for (const normalize_activations of normalisations) {
        test(`${architecture}, ${normalize_activations}`, async () => {
          const sae = randomSae({ architecture, normalize_activations }, 5);
          await compareEncoding(engine(), ensembleOf("single", [sae]), encodeTolerance);
        });
      }
    }
    test("topk that rescales by its decoder norms, and one that leaves b_dec out of its input", async () => {
      const rescaling = randomSae({ architecture: "topk", rescale_acts_by_decoder_norm: true }, 6);
      await compareEncoding(engine(), ensembleOf("single", [rescaling]), encodeTolerance);
      const noBias = randomSae({ architecture: "topk", apply_b_dec_to_input: false }, 7);
      await compareEncoding(engine(), ensembleOf("single", [noBias]), encodeTolerance);
    });
    test("negative and zero thresholds of jumprelu give no negative codes", async () => {
      const sae = randomSae({ architecture: "jumprelu" }, 8);
      sae.weights.threshold!.fill(0, 0, 10);
      sae.weights.threshold!.fill(-0.5, 10, 20);
      await compareEncoding(engine(), ensembleOf("single", [sae]), encodeTolerance);
    });
    test("bagging carries α_j in its codes, members of different widths side by side", async () => {
      const members = [
        randomSae({ architecture: "topk", d_sae: 41 }, 9),
        randomSae({ architecture: "standard", d_sae: 16 }, 10),
        randomSae({ architecture: "gated", d_sae: 23 }, 11),
      ];
      await compareEncoding(engine(), ensembleOf("bagging", members), encodeTolerance);
    });
    test("boosting encodes along the residual chain", async () => {
      const members = [12, 13, 14].map((seed) => randomSae({ architecture: "topk" }, seed));
      await compareEncoding(engine(), ensembleOf("boosting", members), encodeTolerance);
    });
    test("any number of rows, one after the other: 1, 3, 0, 64", async () => {
      const ensemble = ensembleOf("boosting", [
        randomSae({ architecture: "topk" }, 15),
        randomSae({ architecture: "jumprelu" }, 16),
      ]);
      await compareEncoding(engine(), ensemble, encodeTolerance, [1, 3, 0, 64]);
    });
    test("a batchtopk member that has no inference form yet is refused", async () => {
      const sae = randomSae({ architecture: "batchtopk" }, 17);
      await assert.rejects(engine().createEncoder(ensembleOf("single", [sae])), EngineError);
    });
  });
}

/** Codes and reconstructions of batches of these sizes against their definition. */
export async function compareEncoding(
  engine: Engine,
  ensemble: Ensemble,
  tolerance: number,
  sizes = [29],
): Promise<void> {
  const encoder = await engine.createEncoder(ensemble);
  const d = ensemble.members[0]!.config.d_in;
  for (const rows of sizes) {
    const random = SeededRandom.derive(rows, "activations");
    const x = Float32Array.from({ length: rows * d }, () => 1.5 * random.normal() + 0.3);
    const before = x.slice();
    const wanted = encodeEnsemble(ensemble, x, rows);
    const got = await encoder.encode(x, rows);
    assert.deepEqual(await encoder.codes(x, rows), got.codes, "codes alone are the same to the bit");
    assert.deepEqual(x, before, "the caller's activations are left as they were");
    assertWithin(got.reconstruction, wanted.reconstruction, tolerance, `reconstruction of ${rows} rows`);
    assertWithin(denseCodes(got), wanted.codes, tolerance, `codes of ${rows} rows`);
  }
  await encoder.close();
}

/** Dense codes, after checking that the sparse ones are well formed. */
function denseCodes({ codes }: Encoded): Float32Array {
  const { rows, width, offsets, indices, values } = codes;
  assert.equal(offsets.length, rows + 1);
  assert.equal(offsets[rows], indices.length);
  assert.equal(indices.length, values.length);
  const dense = new Float32Array(rows * width);
  for (let t = 0; t < rows; t++) {
    for (let at = offsets[t]!; at < offsets[t + 1]!; at++) {
      assert.ok(at === offsets[t] || indices[at]! > indices[at - 1]!, "indices ascend within a row");
      assert.ok(values[at]! > 0, "only positive values are stored");
      dense[t * width + indices[at]!] = values[at]!;
    }
  }
  return dense;
}
