// What a run remembers of the files that it reads, so that one which changes in place is noticed. Reads no contents.
import { globSync, statSync } from "node:fs";
import { join } from "node:path";

/** Size and time of a text: what is made of it is made anew when they change. JSON. */
export function textState(path: string): { bytes: number; modified: number } {
  const { size, mtimeMs } = statSync(path);
  return { bytes: size, modified: Math.round(mtimeMs) };
}

/** Bytes of every file that a model is read from, by its path; `model` is a Hugging Face folder or one file. */
export function modelSizes(model: string): Record<string, number> {
  // A changed README is the same model.
  const files = statSync(model).isDirectory()
    ? globSync("*.{json,safetensors,model,txt,onnx}", { cwd: model }).sort()
    : [""];
  return Object.fromEntries(files.map((file) => join(model, file)).map((path) => [path, statSync(path).size]));
}
