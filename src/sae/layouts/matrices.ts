// The two matrices of an SAE from a file, turned to rows of features whatever way round they are stored, and their shapes checked against each other.
import { InputError } from "../../formats/inputError.ts";
import { scalarOf, type TensorFile, tensorInfoOf, tensorOf } from "../../formats/tensorFile.ts";
import { transposed } from "../../formats/transpose.ts";
import { checkFinite } from "../parameters.ts";

export interface Matrices {
  readonly d_in: number;
  readonly d_sae: number;
  /** Width of what is reconstructed; d_in but for transcoders. */
  readonly d_out: number;
  /** [F, d_in] */
  readonly W_enc: Float32Array;
  /** [F, d_out] */
  readonly W_dec: Float32Array;
}

/** How a matrix lies by its layout: "rows" [F, d], "columns" [d, F]. */
export type Orientation = "rows" | "columns";

/** A name in the file and the way round that its layout promises. */
export interface MatrixName {
  readonly name: string;
  readonly orientation: Orientation;
}

/**
 * `F`: length of a vector that has one value a feature, `d`: of one that has one a dimension of the input. They decide which
 * way round each matrix lies; the layout's word decides only where both ways fit. Throws InputError where none fits.
 */
export async function readMatrices(
  file: TensorFile,
  encoder: MatrixName,
  decoder: MatrixName,
  { F, d_in, d_out = d_in }: { F: number; d_in: number; d_out?: number },
): Promise<Matrices> {
  return {
    d_in,
    d_sae: F,
    d_out,
    W_enc: await readRows(file, encoder, F, d_in),
    W_dec: await readRows(file, decoder, F, d_out),
  };
}

async function readRows(
  file: TensorFile,
  { name, orientation }: MatrixName,
  F: number,
  d: number,
): Promise<Float32Array> {
  const { shape } = tensorInfoOf(file, name);
  const fits = (rows: number, columns: number) => shape.length === 2 && shape[0] === rows && shape[1] === columns;
  const asRows = fits(F, d);
  const asColumns = fits(d, F);
  if (!asRows && !asColumns) {
    const expected = `[${F}, ${d}] or [${d}, ${F}], as the biases say`;
    throw new InputError({ file: file.path, where: `tensor ${name}`, found: `shape [${shape}]`, expected });
  }
  const values = await file.float32(name);
  checkFinite(file.path, name, values);
  const turn = asRows && asColumns ? orientation === "columns" : asColumns;
  return turn ? transposed(values, d, F) : values;
}

/** A vector of finite numbers, of the length that it must have. */
export async function readVector(file: TensorFile, name: string, length: number): Promise<Float32Array> {
  const values = await tensorOf(file, name, [length]);
  checkFinite(file.path, name, values);
  return values;
}

/** Length of a vector. */
export function lengthOf(file: TensorFile, name: string): number {
  const { shape } = tensorInfoOf(file, name);
  if (shape.length === 1 && shape[0]! > 0) return shape[0]!;
  throw new InputError({ file: file.path, where: `tensor ${name}`, found: `shape [${shape}]`, expected: "a vector" });
}

/** One number, in a tensor or beside the tensors; undefined where there is none. Throws InputError where it isn't finite. */
export async function readScalar(file: TensorFile, name: string): Promise<number | undefined> {
  const value = await scalarOf(file, name);
  if (value !== undefined) checkFinite(file.path, name, Float32Array.of(value));
  return value;
}
