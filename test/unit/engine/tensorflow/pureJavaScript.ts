// TensorFlow.js on its pure JavaScript backend, bundled for Node: its packages' modules are made for bundlers, and gradients are registered in a file of their own.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { TensorFlow } from "../../../../src/engine/tensorflow/tensorflowGradients.ts";

const root = join(import.meta.dirname, "..", "..", "..", "..");

export async function pureJavaScriptTensorFlow(): Promise<TensorFlow> {
  const folder = join(root, ".cache", "tensorflow");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `oracle-${process.pid}.mjs`);
  await build({
    stdin: {
      contents: `
        export * from "@tensorflow/tfjs-core";
        import "@tensorflow/tfjs-core/dist/register_all_gradients";
        import "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops";
        import "@tensorflow/tfjs-backend-cpu";`,
      resolveDir: root,
    },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    mainFields: ["module", "main"],
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
    },
    logLevel: "error",
  });
  const tf = (await import(pathToFileURL(outfile).href)) as TensorFlow;
  await tf.setBackend("cpu");
  return tf;
}
