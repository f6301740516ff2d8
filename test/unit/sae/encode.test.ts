// Encoding by definition where the golden files don't look: ties, whole batches, rows of zeros, features that a row leaves out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../../../src/sae/encode.ts";
import type { Sae, SaeConfig } from "../../../src/sae/sae.ts";
import { largest } from "../../../src/sae/select.ts";

/** An SAE whose pre-activations are its input. */
function identity(config: Partial<SaeConfig>, d = 4): Sae {
  const W = Float32Array.from({ length: d * d }, (_, at) => (at % (d + 1) === 0 ? 1 : 0));
  return {
    config: {
      architecture: "topk",
      d_in: d,
      d_sae: d,
      k: 2,
      apply_b_dec_to_input: false,
      normalize_activations: "none",
      dtype: "float32",
      metadata: {},
      ...config,
    },
    weights: { W_enc: W, W_dec: W.slice(), b_dec: new Float32Array(d), b_enc: new Float32Array(d) },
  };
}

test("the k largest, ties to the lowest index, −0 like 0", () => {
  assert.deepEqual(largest([1, 3, 3, 2], 2), [1, 2]);
  assert.deepEqual(largest([2, 2, 2, 2], 2), [0, 1]);
  assert.deepEqual(largest([-0, 0, -1, 0], 2), [0, 1]);
  assert.deepEqual(largest([1, 2], 5), [0, 1]);
  assert.deepEqual(largest([1, 2], 0), []);
  assert.deepEqual(largest([-1, Number.POSITIVE_INFINITY, 5], 2), [1, 2]);
});

test("topk keeps k a row and never a negative one; batchtopk shares k·rows over the batch", () => {
  const x = Float32Array.of(5, 4, 3, -1, -1, -2, 0.5, -3);
  assert.deepEqual([...encode(identity({}), x, 2)], [5, 4, 0, 0, 0, 0, 0.5, 0]);
  assert.deepEqual([...encode(identity({ architecture: "batchtopk" }), x, 2)], [5, 4, 3, 0, 0, 0, 0.5, 0]);
  assert.deepEqual([...encode(identity({ architecture: "batchtopk", k: 1.5 }), x, 2)], [5, 4, 3, 0, 0, 0, 0, 0]);
});

test("a row of zeros gives numbers under every normalisation", () => {
  for (const normalize_activations of ["none", "constant_norm_rescale", "layer_norm"] as const) {
    const sae = identity({ architecture: "standard", normalize_activations });
    sae.weights.b_dec.fill(1);
    const x = new Float32Array(4);
    const codes = encode(sae, x, 1);
    assert.ok([...codes, ...decode(sae, codes, 1, x)].every(Number.isFinite), normalize_activations);
  }
});

test("layer_norm is undone without its eps, constant_norm_rescale exactly", () => {
  const x = Float32Array.of(1, 2, 4, 9);
  for (const [normalize_activations, tolerance] of [
    ["constant_norm_rescale", 2e-6],
    ["layer_norm", 5e-5],
  ] as const) {
    const sae = identity({ architecture: "standard", normalize_activations });
    // A bias that is taken off again lets negative values through the relu.
    sae.weights.b_enc!.fill(3);
    sae.weights.b_dec.fill(-3);
    const out = decode(sae, encode(sae, x, 1), 1, x);
    for (let j = 0; j < 4; j++)
      assert.ok(Math.abs(out[j]! - x[j]!) <= tolerance, `${normalize_activations}: ${out[j]} for ${x[j]}`);
  }
});

test("a gated feature needs its gate open and its magnitude positive", () => {
  const sae = identity({ architecture: "gated" });
  const { b_enc: _, ...weights } = sae.weights;
  const gated = {
    ...sae,
    weights: {
      ...weights,
      b_gate: Float32Array.of(0, -2, 0, 0),
      b_mag: Float32Array.of(0, 0, -9, 0),
      r_mag: Float32Array.of(0, 0, 0, Math.log(3)),
    },
  };
  const codes = encode(gated, Float32Array.of(1, 1, 1, 1), 1);
  assert.deepEqual(
    [...codes].map((code) => Math.round(code * 1e5) / 1e5),
    [1, 0, 0, 3],
  );
});
