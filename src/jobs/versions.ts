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
  const { version } = createRequire(import.meta.url)("onnxruntime-node/package.json") as { version: string };
  return {
    "sae-ensembles": productVersion(),
    node: process.versions.node,
    "onnxruntime-node": version,
    platform: `${process.platform}-${process.arch}`,
  };
}
