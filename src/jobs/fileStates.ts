// What a run remembers of the files that it reads, so that one which changes in place is noticed and one that is only touched or copied is not.
import { createHash } from "node:crypto";
import { closeSync, fstatSync, globSync, openSync, readFileSync, readSync, statSync } from "node:fs";
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

/** A file that is read whole takes no longer than a second or so. */
const WHOLE_BYTES = 2 ** 29;

/** The same over all of a file's bytes; of one of more than 512 MiB over its samples, and when it was changed. */
export function wholeState(path: string): string {
  const { size, mtimeMs } = statSync(path);
  if (size > WHOLE_BYTES) return `${contentState(path)}, changed ${new Date(mtimeMs).toISOString()}`;
  return `${size} bytes (SHA-256 ${createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16)})`;
}

/** Of labelled texts to train and to test on. */
export function textStates({ trainFile, testFile }: { trainFile: string; testFile?: string }): string[] {
  return [trainFile, ...(testFile === undefined ? [] : [testFile])].map(wholeState);
}

/** The contents' state of every file that a model is read from, by its path; `model` is a Hugging Face folder or one file. */
export function modelStates(model: string): Record<string, string> {
  // A changed README is the same model.
  const files = statSync(model).isDirectory()
    ? globSync("*.{json,safetensors,model,txt,onnx}", { cwd: model }).sort()
    : [""];
  return Object.fromEntries(files.map((file) => join(model, file)).map((path) => [path, contentState(path)]));
}
