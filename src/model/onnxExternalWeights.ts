// Weights that an .onnx file keeps in files beside it: whether they are there, within its folder and long enough, before onnxruntime asks for them.
import { stat } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { InputError } from "../formats/inputError.ts";
import type { OnnxFileTensor } from "../formats/onnxFile.ts";

/** Bytes of a value, by ONNX' number of the data type; others are onnxruntime's to know. */
const BYTES: Readonly<Record<number, number>> = {
  1: 4,
  2: 1,
  3: 1,
  4: 2,
  5: 2,
  6: 4,
  7: 8,
  9: 1,
  10: 2,
  11: 8,
  16: 2,
};

/** Throws InputError for the first that isn't there, by the name of its file. */
export async function requireExternalWeights(path: string, tensors: readonly OnnxFileTensor[]): Promise<void> {
  const sizes = new Map<string, number | null>();
  for (const { name, dataType, shape, external } of tensors) {
    if (!external) continue;
    const { location, offset } = external;
    const inner = posix.normalize(location.replaceAll("\\", "/"));
    if (location === "" || inner === "." || /^(\.\.)?(\/|$)|^[A-Za-z]:/.test(inner))
      throw new InputError({
        file: path,
        where: `tensor ${name}`,
        found: `weights in ${JSON.stringify(location)}`,
        expected: "a file in the folder of the .onnx file",
      });
    const file = join(dirname(path), inner);
    if (!sizes.has(file)) {
      const stats = await stat(file).catch(() => null);
      sizes.set(file, stats?.isFile() ? stats.size : null);
    }
    const size = sizes.get(file)!;
    const length = external.length ?? shape.reduce((product, n) => product * n, BYTES[dataType] ?? 0);
    const expected = `${length} bytes from byte ${offset} on, the weights that ${path} keeps there`;
    if (size === null) throw new InputError({ file, where: `tensor ${name}`, found: "no such file", expected });
    // Put so that what is no number is refused too.
    if (!(offset >= 0 && length >= 0 && offset + length <= size))
      throw new InputError({ file, where: `tensor ${name}`, found: `a file of ${size} bytes`, expected });
  }
}
