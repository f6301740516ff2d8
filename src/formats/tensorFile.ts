// Named tensors in a file, whatever its format: safetensors, torch or npz. What the layouts of SAEs are read from.
import { InputError } from "./inputError.ts";

export interface TensorInfo {
  /** By safetensors' names: F32, BF16, I64, … */
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface TensorFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What stands beside the tensors under names: numbers, strings, dicts (as Map) and lists. Empty where the format has none. */
  readonly values: ReadonlyMap<string, unknown>;
  /** A tensor's elements, row-major whatever their order in the file, as float32. Throws InputError where they are no numbers. */
  float32(name: string): Promise<Float32Array>;
}

/** One tensor, with the shape that it must have. Throws InputError where it is missing or has another. */
export async function tensorOf(file: TensorFile, name: string, shape: readonly number[]): Promise<Float32Array> {
  const info = tensorInfoOf(file, name);
  if (info.shape.length !== shape.length || info.shape.some((n, i) => n !== shape[i])) {
    const where = `tensor ${name}`;
    throw new InputError({ file: file.path, where, found: `shape [${info.shape}]`, expected: `shape [${shape}]` });
  }
  return file.float32(name);
}

export function tensorInfoOf(file: TensorFile, name: string): TensorInfo {
  const info = file.tensors.get(name);
  if (info) return info;
  const names = [...file.tensors.keys()].slice(0, 20).join(", ");
  throw new InputError({ file: file.path, found: `no tensor ${name} among ${names}`, expected: `a tensor ${name}` });
}

/** A tensor of one element, or a plain number under that name; undefined where there is neither. */
export async function scalarOf(file: TensorFile, name: string): Promise<number | undefined> {
  const plain = file.values.get(name);
  if (typeof plain === "number") return plain;
  const info = file.tensors.get(name);
  if (!info) return undefined;
  if (info.shape.reduce((product, n) => product * n, 1) !== 1) {
    const where = `tensor ${name}`;
    throw new InputError({ file: file.path, where, found: `shape [${info.shape}]`, expected: "one number" });
  }
  return (await file.float32(name))[0];
}
