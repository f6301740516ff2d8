// Safetensors files: the header checked in full, single tensors read on demand, files written atomically in a stream.
import { z } from "zod";
import { writeAll, writeAtomically } from "./atomicWrite.ts";
import { bfloat16ToFloat32, float16ToFloat32 } from "./halfFloats.ts";
import { InputError } from "./inputError.ts";
import { duplicateKey } from "./jsonDuplicateKey.ts";
import { readAt, withFile } from "./readAt.ts";
import { schemaError } from "./schemaError.ts";
import { BYTES_PER_ELEMENT, type Dtype, type Safetensors, type TensorEntry, tensorEntryOf } from "./tensorEntry.ts";

export { BYTES_PER_ELEMENT, type Dtype, type Safetensors, type TensorEntry, tensorEntryOf } from "./tensorEntry.ts";

/** A dtype's own array; F16 and BF16 come as their bits, BOOL and F8 as bytes. */
export type TensorData =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** A tensor takes about 100 bytes of it, and parsed ten times as many; the format itself allows 100 MB. */
const LONGEST_HEADER = 1 << 25;

/** Names with a value; a tensor has four, and each costs far more in an object than in its bytes. */
const MOST_FIELDS = 1 << 20;

const tensorSchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
const metadataSchema = z.record(z.string(), z.string());

/**
 * Reads and checks the header; no tensor is read.
 * Throws InputError for a file that is missing, cut short or not consistent: offsets outside the file, overlaps, bytes that
 * belong to no tensor, shapes that don't fit their bytes, names given twice.
 */
export async function readSafetensors(path: string): Promise<Safetensors> {
  return withFile(path, async (file, size) => {
    if (size < 8) throw new InputError({ file: path, found: `${size} bytes`, expected: "a safetensors file" });
    // As a BigInt: a hostile length may pass 2^53.
    const claimed = new DataView((await readAt(file, path, 0, 8)).buffer).getBigUint64(0, true);
    const longest = Math.min(size - 8, LONGEST_HEADER);
    if (claimed > BigInt(longest)) {
      const expected = `at most ${longest} (the file has ${size} bytes)`;
      throw new InputError({ file: path, where: "header length", found: `${claimed} bytes`, expected });
    }
    const length = Number(claimed);
    return parseHeader(path, await readAt(file, path, 8, length), 8 + length, size);
  });
}

function parseHeader(path: string, bytes: Uint8Array, dataStart: number, fileSize: number): Safetensors {
  const refuse = (where: string, found: string, expected: string): never => {
    throw new InputError({ file: path, where, found, expected });
  };
  const misfit = (entry: string, value: unknown, error: z.ZodError, whole: string): never => {
    const { where, found, expected } = schemaError(path, value, error, whole);
    return refuse(where ? `${entry}, ${where}` : entry, found, expected);
  };
  checkNesting(bytes, refuse);
  let header: unknown;
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    refuse("header", (error as Error).message, "JSON in UTF-8");
  }
  if (typeof header !== "object" || header === null) return refuse("header", String(header), "a JSON object");
  const twice = duplicateKey(text);
  if (twice !== null) refuse(`tensor ${twice}`, "the name twice", "every name once");

  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      const parsed = metadataSchema.safeParse(value);
      metadata = parsed.success ? parsed.data : misfit(name, value, parsed.error, "strings only");
      continue;
    }
    const parsed = tensorSchema.safeParse(value);
    if (!parsed.success) return misfit(`tensor ${name}`, value, parsed.error, "dtype, shape and data_offsets");
    tensors.set(name, tensorEntry(path, name, parsed.data, dataStart, fileSize));
  }
  checkCoverage(path, tensors, dataStart, fileSize);
  return { path, tensors, metadata };
}

/** Lets through an object of objects of plain values and lists, not too many. Before it is parsed: `[{},{},…]` becomes fifty times its bytes. */
function checkNesting(bytes: Uint8Array, refuse: (where: string, found: string, expected: string) => never): void {
  const [quote, backslash, colon, openList, closeList, openObject, closeObject] = Buffer.from('"\\:[]{}');
  let depth = 0;
  let fields = 0;
  let string = -1;
  let name = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (string >= 0) {
      if (byte === backslash) i++;
      else if (byte === quote) {
        if (depth === 1) name = Buffer.from(bytes.subarray(string + 1, i)).toString();
        string = -1;
      }
    } else if (byte === quote) string = i;
    else if (byte === colon && ++fields > MOST_FIELDS) {
      refuse("header", `more than ${MOST_FIELDS} fields`, "fewer: a tensor has four");
    } else if (byte === closeList || byte === closeObject) depth--;
    else if (byte === openList || byte === openObject) {
      const isList = byte === openList;
      if (isList ? depth !== 2 : depth >= 2) {
        const found = isList ? "an array" : "an object";
        if (depth === 0) refuse("header", found, "a JSON object");
        if (name === "__metadata__") refuse(name, found, "strings only");
        refuse(`tensor ${name}`, `${found} at byte ${i} of the header`, "dtype, shape and data_offsets");
      }
      depth++;
    }
  }
}

function tensorEntry(
  path: string,
  name: string,
  header: z.infer<typeof tensorSchema>,
  dataStart: number,
  fileSize: number,
): TensorEntry {
  const where = `tensor ${name}`;
  const [begin, end] = header.data_offsets;
  if (!Object.hasOwn(BYTES_PER_ELEMENT, header.dtype)) {
    const expected = Object.keys(BYTES_PER_ELEMENT).join(", ");
    throw new InputError({ file: path, where, found: `dtype ${header.dtype}`, expected });
  }
  const dtype = header.dtype as Dtype;
  if (begin > end)
    throw new InputError({ file: path, where, found: `data_offsets [${begin}, ${end}]`, expected: "begin ≤ end" });
  if (dataStart + end > fileSize) {
    const expected = `at most ${fileSize - dataStart}, the bytes of data in the file`;
    throw new InputError({ file: path, where, found: `an end at byte ${end} of the data`, expected });
  }
  let needed: number = BYTES_PER_ELEMENT[dtype];
  for (const n of header.shape) needed *= n;
  if (needed !== end - begin) {
    const found = `shape [${header.shape}] of ${dtype}, which needs ${needed} bytes`;
    throw new InputError({ file: path, where, found, expected: `${end - begin} bytes, as its data_offsets say` });
  }
  return { dtype, shape: header.shape, offset: dataStart + begin, length: end - begin };
}

/** The format wants the tensors side by side: no overlap, no hole, nothing behind the last. */
function checkCoverage(path: string, tensors: Map<string, TensorEntry>, dataStart: number, fileSize: number): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.length - b.length);
  let at = dataStart;
  let previous = "";
  for (const [name, { offset, length }] of inOrder) {
    if (offset < at) {
      const found = `bytes that also belong to tensor ${previous}`;
      throw new InputError({ file: path, where: `tensor ${name}`, found, expected: "no overlap" });
    }
    if (offset > at) {
      const found = `bytes ${at - dataStart} to ${offset - dataStart} of the data that belong to no tensor`;
      throw new InputError({ file: path, where: `before tensor ${name}`, found, expected: "no holes" });
    }
    at = offset + length;
    previous = name;
  }
  if (at !== fileSize) {
    const found = `${fileSize - at} bytes after the last tensor`;
    throw new InputError({ file: path, found, expected: `a file of ${at} bytes, as its header says` });
  }
}

/** One tensor's bytes, read alone. */
export async function tensorBytes(file: Safetensors, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const { offset, length } = tensorEntryOf(file, name);
  return withFile(file.path, (handle) => readAt(handle, file.path, offset, length));
}

/** One tensor in its dtype's own array (F16 and BF16 as bits). */
export async function tensorData(file: Safetensors, name: string): Promise<TensorData> {
  const { dtype } = tensorEntryOf(file, name);
  const { buffer } = await tensorBytes(file, name);
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "I64":
      return new BigInt64Array(buffer);
    case "U64":
      return new BigUint64Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "U32":
      return new Uint32Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "F16":
    case "BF16":
    case "U16":
      return new Uint16Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** The entry of a tensor that must hold floats: F64, F32, F16 or BF16; with the shape that it must have, if one is given. */
export function floatEntryOf(file: Safetensors, name: string, shape?: readonly number[]): TensorEntry {
  const entry = tensorEntryOf(file, name, shape);
  const { dtype } = entry;
  if (dtype !== "F64" && dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    const where = `tensor ${name}`;
    throw new InputError({ file: file.path, where, found: `dtype ${dtype}`, expected: "F64, F32, F16 or BF16" });
  }
  return entry;
}

/** One tensor of floats as float32; with the shape that it must have, if one is given. */
export async function tensorFloat32(file: Safetensors, name: string, shape?: readonly number[]): Promise<Float32Array> {
  const { dtype } = floatEntryOf(file, name, shape);
  const data = await tensorData(file, name);
  if (dtype === "F64") return new Float32Array(data as Float64Array);
  if (dtype === "F16") return float16ToFloat32(data as Uint16Array);
  if (dtype === "BF16") return bfloat16ToFloat32(data as Uint16Array);
  return data as Float32Array;
}

/** A tensor to be written: an array of exactly its elements, or chunks of bytes produced when its turn comes. */
export interface TensorSource {
  readonly shape: readonly number[];
  /** Needed where the array doesn't tell: BF16, BOOL, F8 and chunks. */
  readonly dtype?: Dtype;
  readonly data: TensorData | Float16Array | (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>);
}

/**
 * Writes tensors in the order given, atomically and without holding more than one chunk beside the caller's arrays.
 * The data begins at a multiple of 64 bytes, so that others can map it.
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, TensorSource>> | ReadonlyMap<string, TensorSource>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const entries: [string, TensorSource][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  const fields: [string, unknown][] = metadata ? [["__metadata__", metadata]] : [];
  const ends: number[] = [];
  let end = 0;
  for (const [name, source] of entries) {
    const dtype = source.dtype ?? dtypeOf(name, source.data);
    let length: number = BYTES_PER_ELEMENT[dtype];
    for (const n of source.shape) length *= n;
    if (typeof source.data !== "function" && source.data.byteLength !== length) {
      throw new RangeError(`tensor ${name}: ${source.data.byteLength} bytes for shape [${source.shape}] of ${dtype}`);
    }
    fields.push([name, { dtype, shape: source.shape, data_offsets: [end, end + length] }]);
    end += length;
    ends.push(end);
  }
  // fromEntries, not assignment: a tensor may be called __proto__.
  const json = Buffer.from(JSON.stringify(Object.fromEntries(fields)));
  const headerLength = Math.ceil((8 + json.length) / 64) * 64 - 8;
  const head = Buffer.alloc(8 + headerLength, " ");
  head.writeBigUInt64LE(BigInt(headerLength), 0);
  json.copy(head, 8);

  await writeAtomically(path, async (file) => {
    await writeAll(file, head);
    let written = 0;
    for (const [i, [name, { data }]] of entries.entries()) {
      if (typeof data !== "function") {
        await writeAll(file, data);
        written += data.byteLength;
      } else {
        for await (const chunk of data()) {
          await writeAll(file, chunk);
          written += chunk.byteLength;
        }
      }
      if (written !== ends[i])
        throw new RangeError(`tensor ${name}: chunks end at ${written}, its shape at ${ends[i]}`);
    }
  });
}

function dtypeOf(name: string, data: TensorSource["data"]): Dtype {
  if (data instanceof Float32Array) return "F32";
  if (data instanceof Float64Array) return "F64";
  if (data instanceof Float16Array) return "F16";
  if (data instanceof BigInt64Array) return "I64";
  if (data instanceof BigUint64Array) return "U64";
  if (data instanceof Int32Array) return "I32";
  if (data instanceof Uint32Array) return "U32";
  if (data instanceof Int16Array) return "I16";
  if (data instanceof Uint16Array) return "U16";
  if (data instanceof Int8Array) return "I8";
  if (data instanceof Uint8Array) return "U8";
  throw new TypeError(`tensor ${name}: chunks need a dtype`);
}
