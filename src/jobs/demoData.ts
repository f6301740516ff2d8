// Where the demo model and its texts lie: media/demo beside the sources and beside dist/, wherever the product was put.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The product's folder: the one above that holds media/. */
export function productFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "media", "demo"))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error(`no media/demo above ${import.meta.dirname}: the installation is not complete`);
    folder = parent;
  }
  return folder;
}

/** Absolute path of a part of the demo. */
export function demoPath(part: "model" | "text" | "testText" | "experiment" | "bios" | "testBios"): string {
  const file = {
    model: "model",
    text: "text/train.jsonl.gz",
    testText: "text/test.jsonl.gz",
    experiment: "demo.sae.jsonc",
    bios: "bios-train.jsonl.gz",
    testBios: "bios-test.jsonl.gz",
  }[part];
  return join(productFolder(), "media", "demo", file);
}

/** The demo's biographies as debiasing takes them: two jobs of different worlds, so that a probe can learn either the job or the gender. */
export function demoBias() {
  return {
    trainFile: demoPath("bios"),
    testFile: demoPath("testBios"),
    columns: { text: "text", label: "profession", attribute: "gender" },
    label: { positive: ["nurse"], negative: ["professor"] },
    // Enough for every effect to show, and pooled in half a minute.
    perCell: { train: 100, test: 50 },
  };
}
