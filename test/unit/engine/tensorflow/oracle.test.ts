// Automatic differentiation as the oracle of the hand-written gradients, for every architecture and switch; and the TensorFlow.js engine's own contract, on the pure JavaScript backend.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { EngineError, entries } from "../../../../src/engine/engine.ts";
import { computeGradients } from "../../../../src/engine/reference/lossGradients.ts";
import { createTensorflowEngine, engineOn } from "../../../../src/engine/tensorflow/tensorflowEngine.ts";
import { tensorflowGradients } from "../../../../src/engine/tensorflow/tensorflowGradients.ts";
import { temporaryFolder } from "../../fixtures.ts";
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

test("TensorFlow.js for Node is found in the folder that a person names, the GPU's before the other", () => {
  const folder = temporaryFolder();
  // The native packages can't be had here: what stands in for them is the pure JavaScript that they share their interface with.
  const core = createRequire(import.meta.url).resolve("@tensorflow/tfjs-core");
  const put = (name: string) => {
    const to = join(folder, "node_modules", "@tensorflow", name);
    mkdirSync(to, { recursive: true });
    writeFileSync(join(to, "index.js"), `module.exports = require(${JSON.stringify(core)});`);
  };
  for (const name of ["tfjs-node", "tfjs-node-gpu"]) {
    put(name);
    const { description } = createTensorflowEngine(folder);
    assert.ok(description.startsWith(`@tensorflow/${name} (backend`), description);
  }
});

test("without TensorFlow.js for Node the engine says where it looked and what to install", () => {
  assert.throws(
    () => createTensorflowEngine("/nonexistent"),
    (error: Error) =>
      error instanceof EngineError && /\/nonexistent: install @tensorflow\/tfjs-node-gpu/.test(error.message),
  );
});
