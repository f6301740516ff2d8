// What a run remembers of the files that it reads, so that one which changes in place is noticed. Reads samples of their contents at most.
import { createHash } from "node:crypto";
import { closeSync, fstatSync, globSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

const SAMPLES = 32;
const SAMPLE_BYTES = 2 ** 16;

/**
 * Size of a file and a hash over samples spread evenly over it, its beginning and end among them (2 MiB at most): what a copy
 * of it shares, and another text of the same length does not.
 */
export function contentState(path: string): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const hash = createHash("sha256");
    const sample = Buffer.alloc(SAMPLE_BYTES);
    const last = Math.max(0, size - SAMPLE_BYTES);
    for (const start of new Set(Array.from({ length: SAMPLES }, (_, i) => Math.floor((last * i) / (SAMPLES - 1))))) {
      hash.update(sample.subarray(0, readSync(file, sample, 0, SAMPLE_BYTES, start)));
    }
    return `${size} bytes (sample ${hash.digest("hex").slice(0, 12)})`;
  } finally {
    closeSync(file);
  }
}

/** The contents' state of every file that a model is read from, by its path; `model` is a Hugging Face folder or one file. */
export function modelStates(model: string): Record<string, string> {
  // A changed README is the same model.
  const files = statSync(model).isDirectory()
    ? globSync("*.{json,safetensors,model,txt,onnx}", { cwd: model }).sort()
    : [""];
  return Object.fromEntries(files.map((file) => join(model, file)).map((path) => [path, contentState(path)]));
}
