// Where a tensor lies in a safetensors file and of what type it is: what a header says once it is checked (safetensors.ts). Loads no library, so that a thread that needs no more starts at once.
import { InputError } from "./inputError.ts";

/** Bytes an element, by the format's names. F8 types can be carried but not converted. */
export const BYTES_PER_ELEMENT = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const;

export type Dtype = keyof typeof BYTES_PER_ELEMENT;

/** Where a tensor lies in its file. */
export interface TensorEntry {
  readonly dtype: Dtype;
  /** Row-major; empty for a scalar. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface Safetensors {
  readonly path: string;
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** `__metadata__`; empty if the file has none. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The entry of a tensor that must be there, with the shape that it must have if one is given. */
export function tensorEntryOf(file: Safetensors, name: string, shape?: readonly number[]): TensorEntry {
  const entry = file.tensors.get(name);
  if (!entry) {
    const found = `no tensor ${name} among ${[...file.tensors.keys()].slice(0, 20).join(", ")}`;
    throw new InputError({ file: file.path, found, expected: `a tensor ${name}` });
  }
  if (shape && (shape.length !== entry.shape.length || shape.some((n, i) => n !== entry.shape[i]))) {
    const where = `tensor ${name}`;
    throw new InputError({ file: file.path, where, found: `shape [${entry.shape}]`, expected: `shape [${shape}]` });
  }
  return entry;
}
