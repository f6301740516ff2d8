// The TensorFlow.js engine: gradients by its automatic differentiation, everything else (selection, Adam, encoding) by the reference engine's loops. The slow path, for comparison, on the user's own TensorFlow.
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Engine, EngineError } from "../engine.ts";
import { createReferenceEngine } from "../reference/referenceEngine.ts";
import { type TensorFlow, tensorflowGradients } from "./tensorflowGradients.ts";

/** Names the folder in whose node_modules the user has @tensorflow/tfjs-node or tfjs-node-gpu. Set by the user's setting. */
export const TENSORFLOW_VARIABLE = "SAE_ENSEMBLES_TENSORFLOW";

const PACKAGES = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"];

/** `folder`: where the user installed TensorFlow.js for Node; it is never part of this product. Throws EngineError where none is found. */
export function createTensorflowEngine(folder: string | undefined): Engine {
  const require = createRequire(join(folder || process.cwd(), "package.json"));
  const reasons: string[] = [];
  for (const name of PACKAGES) {
    try {
      return engineOn(require(name) as TensorFlow, name);
    } catch (error) {
      reasons.push(`${name}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  throw new EngineError(
    `TensorFlow.js for Node was not found in ${folder || process.cwd()}: install ${PACKAGES.join(" or ")} somewhere and name that folder in the setting saeEnsembles.runs.tensorflowFolder or ${TENSORFLOW_VARIABLE} (${reasons.join("; ")})`,
  );
}

/** An engine on a TensorFlow.js that is loaded already. `name`: for people. */
export function engineOn(tf: TensorFlow, name: string): Engine {
  const { createTrainer, createEncoder, close } = createReferenceEngine(tensorflowGradients(tf));
  return {
    name: "tensorflow",
    description: `${name} (backend ${tf.getBackend()}): dense products and automatic differentiation in training, encoding by the reference engine's loops, slow; tested on the pure JavaScript backend alone`,
    createTrainer,
    createEncoder,
    close,
  };
}
