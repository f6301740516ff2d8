// Automatic differentiation as the oracle of the hand-written gradients, for every architecture and switch; and the TensorFlow.js engine's own contract, on the pure JavaScript backend.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineError, entries } from "../../../../src/engine/engine.ts";
import { computeGradients } from "../../../../src/engine/reference/lossGradients.ts";
import { createTensorflowEngine, engineOn } from "../../../../src/engine/tensorflow/tensorflowEngine.ts";
import { tensorflowGradients } from "../../../../src/engine/tensorflow/tensorflowGradients.ts";
import { assertRelative, assertWithin, largestMagnitude } from "../closeness.ts";
import { engineContract } from "../contract.ts";
import { randomShapes, setUp } from "../randomCases.ts";
import { pureJavaScriptTensorFlow } from "./pureJavaScript.ts";

const tf = await pureJavaScriptTensorFlow();
const byAutograd = tensorflowGradients(tf);

describe("hand-written gradients equal automatic differentiation's", () => {
  for (const shape of randomShapes.filter(({ F }) => F <= 100)) {
    test(shape.what, () => {
      const { config, states, batch } = setUp(shape);
      const { weights } = states[0]!;
      // A third of the latents count as dead, so that AuxK has some to choose from.
      const dead = Uint8Array.from({ length: shape.F }, (_, i) => Number(i % 3 === 0));
      const input = { config, weights, x: batch(0), rows: shape.rows, sparsity_coefficient: 0.1, dead };
      const ours = computeGradients(input);
      const theirs = byAutograd(input);
      for (const [name, loss] of Object.entries(ours.losses)) assertRelative(theirs.losses[name]!, loss, 1e-5, name);
      for (const [name] of entries(weights)) {
        const wanted = theirs.gradients[name]!;
        // Where all of it is rounding (nothing in a kernel's band), there is nothing to compare.
        const scale = Math.max(largestMagnitude(wanted), 1e-3);
        assertWithin(ours.gradients[name]!, wanted, 3e-5 * scale, `gradient of ${name}`);
      }
    });
  }
});

engineContract("TensorFlow.js (pure JavaScript)", () => engineOn(tf, "@tensorflow/tfjs-core"));

test("the TensorFlow.js engine says that it is slow, what it doesn't do, and what it was tested on", () => {
  const { description } = engineOn(tf, "@tensorflow/tfjs-core");
  assert.match(
    description,
    /encoding by the reference engine's loops, slow; tested on the pure JavaScript backend alone/,
  );
});

test("without TensorFlow.js for Node the engine says where it looked and what to install", () => {
  assert.throws(
    () => createTensorflowEngine("/nonexistent"),
    (error: Error) =>
      error instanceof EngineError && /\/nonexistent: install @tensorflow\/tfjs-node-gpu/.test(error.message),
  );
});
