// Weights that an .onnx file keeps in files beside it: which files those are, whether they are there and long enough, and where onnxruntime finds them.
import { readFileSync, statSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { dirname, join, posix, relative, sep } from "node:path";
import { InputError } from "../formats/inputError.ts";
import { decodeOnnx, type OnnxFileTensor, relocated } from "../formats/onnxFile.ts";
import { commonFolder } from "./checkpoint.ts";
import { plainGraph } from "./onnxRewrites.ts";

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

export interface ExternalWeights {
  /** Holds every file, links resolved: onnxruntime reads weights below it and nowhere else. */
  readonly folder: string;
  /** All tensors; those that lie elsewhere say where, seen from the folder. */
  readonly tensors: readonly OnnxFileTensor[];
}

/** A file that has its weights elsewhere is a graph and little more. */
const LARGEST_GRAPH = 2 ** 28;

/**
 * The files beside an .onnx file that its weights lie in, seen from its folder, each once, whether or not they are there.
 * None for a file so large that it has its weights itself. Throws InputError for a file that is no graph or leads elsewhere.
 */
export function externalFiles(path: string): string[] {
  if (statSync(path).size > LARGEST_GRAPH) return [];
  const { tensors } = plainGraph(path, decodeOnnx(path, readFileSync(path)).graph);
  return [...new Set(tensors.filter(({ external }) => external).map((tensor) => innerPath(path, tensor)))];
}

/** Throws InputError for the first that isn't there or is too short, by the name of its file. */
export async function externalWeights(path: string, tensors: readonly OnnxFileTensor[]): Promise<ExternalWeights> {
  const files = new Map<string, { readonly path: string; readonly size: number } | null>();
  for (const tensor of tensors) {
    const { name, dataType, shape, external } = tensor;
    if (!external) continue;
    const inner = innerPath(path, tensor);
    const file = join(dirname(path), inner);
    if (!files.has(inner)) {
      const stats = await stat(file).catch(() => null);
      // Resolved, since the files of a Hugging Face cache are links to blobs of other names in another folder.
      files.set(inner, stats?.isFile() ? { path: await realpath(file), size: stats.size } : null);
    }
    const found = files.get(inner)!;
    const { offset } = external;
    const length = external.length ?? shape.reduce((product, n) => product * n, BYTES[dataType] ?? 0);
    const expected = `${length} bytes from byte ${offset} on, the weights that ${path} keeps there`;
    if (!found) throw new InputError({ file, where: `tensor ${name}`, found: "no such file", expected });
    // Put so that what is no number is refused too.
    if (!(offset >= 0 && length >= 0 && offset + length <= found.size))
      throw new InputError({ file, where: `tensor ${name}`, found: `a file of ${found.size} bytes`, expected });
  }
  if (files.size === 0) return { folder: dirname(path), tensors };
  const folder = commonFolder([...files.values()].map((file) => dirname(file!.path)));
  const fromFolder = (tensor: OnnxFileTensor) => {
    const file = files.get(innerPath(path, tensor))!;
    return relocated(tensor, relative(folder, file.path).split(sep).join("/"));
  };
  return { folder, tensors: tensors.map((tensor) => (tensor.external ? fromFolder(tensor) : tensor)) };
}

/** Where a tensor says that its bytes are, seen from the .onnx file's folder. Throws InputError where that leads elsewhere. */
function innerPath(path: string, { name, external }: OnnxFileTensor): string {
  const { location } = external!;
  const inner = posix.normalize(location.replaceAll("\\", "/"));
  if (location !== "" && inner !== "." && !/^(\.\.)?(\/|$)|^[A-Za-z]:/.test(inner)) return inner;
  throw new InputError({
    file: path,
    where: `tensor ${name}`,
    found: `weights in ${JSON.stringify(location)}`,
    expected: "a file in the folder of the .onnx file",
  });
}
