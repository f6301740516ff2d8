// The user's own onnxruntime for the language model's device: with CUDA, say, whose libraries the extension doesn't bring.
import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Names the folder in whose node_modules the user has onnxruntime-node. Set by the user's setting. */
export const ONNXRUNTIME_VARIABLE = "SAE_ENSEMBLES_ONNXRUNTIME";

/** From here on this process loads onnxruntime-node from there; nothing of it may have been loaded before. Throws where it isn't there. */
export function useOwnOnnxRuntime(folder: string): void {
  const name = "onnxruntime-node";
  if (!existsSync(join(folder, "node_modules", name, "package.json")))
    throw new Error(
      `there is no node_modules/${name} in ${folder}: install it there, or empty the setting saeEnsembles.runs.onnxruntimeFolder or ${ONNXRUNTIME_VARIABLE}`,
    );
  const parentURL = pathToFileURL(join(folder, "package.json")).href;
  registerHooks({
    resolve: (specifier, context, next) => next(specifier, specifier === name ? { ...context, parentURL } : context),
  });
}
