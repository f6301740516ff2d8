// What made a run: versions of the product, of Node and of the libraries whose arithmetic is in the numbers.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { productFolder } from "./demoData.ts";

export function productVersion(): string {
  return (JSON.parse(readFileSync(join(productFolder(), "package.json"), "utf8")) as { version: string }).version;
}

/** By package name. */
export function versions(): Record<string, string> {
  return {
    "sae-ensembles": productVersion(),
    node: process.versions.node,
    "onnxruntime-node": onnxRuntimeVersion(),
    platform: `${process.platform}-${process.arch}`,
  };
}

/** Training and much of the evaluation do without it. */
function onnxRuntimeVersion(): string {
  try {
    return (createRequire(import.meta.url)("onnxruntime-node/package.json") as { version: string }).version;
  } catch {
    return "not installed";
  }
}
