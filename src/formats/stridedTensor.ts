// A tensor's elements out of its bytes, in row-major order, whatever its strides.
import { bfloat16ToFloat32 } from "./halfFloats.ts";
import type { Dtype } from "./safetensors.ts";
import { transposed } from "./transpose.ts";

export interface StridedView {
  /** Elements, all three. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/**
 * As float32. `bytes` is a whole storage from the beginning of its buffer, little-endian; the view must lie inside it.
 * A contiguous view of F32 is not copied. 64-bit integers are for counts: they lose what float32 can't hold.
 */
export function stridedFloat32(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: Dtype,
  { offset, shape, strides }: StridedView,
  refuse: (found: string, expected: string) => never,
): Float32Array {
  const data = elements(bytes.buffer, dtype) ?? refuse(`dtype ${dtype}`, "a float or integer type");
  const count = shape.reduce((product, n) => product * n, 1);
  if (isContiguous(shape, strides)) {
    if (data instanceof Float32Array) return data.subarray(offset, offset + count);
    return data.float32(offset, count);
  }
  const all = data instanceof Float32Array ? data : data.float32(0, data.length);
  // A matrix stored the other way round, as dictionary_learning's encoders are: the one case that is common and large.
  if (shape.length === 2 && strides[0] === 1 && strides[1] === shape[0])
    return transposed(all.subarray(offset, offset + count), shape[1]!, shape[0]!);
  const result = new Float32Array(count);
  // The last two axes in loops of their own: a matrix, which is what is large, costs no arithmetic but its additions.
  const rank = shape.length;
  const [rows, columns] = rank >= 2 ? [shape[rank - 2]!, shape[rank - 1]!] : [1, shape[0] ?? 1];
  const [rowStride, columnStride] = rank >= 2 ? [strides[rank - 2]!, strides[rank - 1]!] : [0, strides[0] ?? 0];
  const outer = shape.slice(0, Math.max(0, rank - 2));
  const index = outer.map(() => 0);
  for (let at = 0; at < count; ) {
    let base = offset;
    for (const [axis, i] of index.entries()) base += i * strides[axis]!;
    for (let r = 0; r < rows; r++) {
      let from = base + r * rowStride;
      for (let c = 0; c < columns; c++, from += columnStride) result[at++] = all[from]!;
    }
    for (let axis = outer.length - 1; axis >= 0 && ++index[axis]! === outer[axis]; axis--) index[axis] = 0;
  }
  return result;
}

/** Strides of a row-major tensor, in elements. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides.unshift(stride);
    stride *= shape[axis]!;
  }
  return strides;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  const plain = rowMajorStrides(shape);
  // The stride of an axis of one element says nothing.
  return shape.every((n, axis) => n === 1 || strides[axis] === plain[axis]);
}

interface Convertible {
  readonly length: number;
  float32(offset: number, count: number): Float32Array;
}

function elements(buffer: ArrayBuffer, dtype: Dtype): Float32Array | Convertible | undefined {
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return converted(new Float64Array(buffer));
    case "F16":
      return converted(new Float16Array(buffer));
    case "BF16":
      return widened(new Uint16Array(buffer));
    case "I64":
      return bigint(new BigInt64Array(buffer));
    case "U64":
      return bigint(new BigUint64Array(buffer));
    case "I32":
      return converted(new Int32Array(buffer));
    case "U32":
      return converted(new Uint32Array(buffer));
    case "I16":
      return converted(new Int16Array(buffer));
    case "U16":
      return converted(new Uint16Array(buffer));
    case "I8":
      return converted(new Int8Array(buffer));
    case "U8":
    case "BOOL":
      return converted(new Uint8Array(buffer));
    default:
      return undefined;
  }
}

type Numeric =
  | Float64Array
  | Float16Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

function converted(data: Numeric): Convertible {
  return { length: data.length, float32: (offset, count) => new Float32Array(data.subarray(offset, offset + count)) };
}

/** bfloat16 is the upper half of a float32. */
function widened(bits: Uint16Array): Convertible {
  return {
    length: bits.length,
    float32: (offset, count) => bfloat16ToFloat32(bits.subarray(offset, offset + count)),
  };
}

function bigint(data: BigInt64Array | BigUint64Array): Convertible {
  return {
    length: data.length,
    float32: (offset, count) => Float32Array.from({ length: count }, (_, i) => Number(data[offset + i]!)),
  };
}
