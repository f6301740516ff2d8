// NumPy's .npz: a zip archive of .npy arrays. Plain numbers only; a header is parsed, never evaluated.
import { constants, inflateRawSync } from "node:zlib";
import { InputError } from "./inputError.ts";
import { readAt, withFile } from "./readAt.ts";
import { BYTES_PER_ELEMENT, type Dtype } from "./safetensors.ts";
import { rowMajorStrides, stridedFloat32 } from "./stridedTensor.ts";
import type { TensorFile, TensorInfo } from "./tensorFile.ts";
import { openZip, readZipEntry, type ZipArchive, type ZipEntry } from "./zip.ts";

/** Magic, version and the length of the header. */
const LONGEST_PREAMBLE = 12;
/** numpy's own limit on what it parses. */
const LONGEST_HEADER = 10_000;

const DTYPES: Readonly<Record<string, Dtype>> = {
  f8: "F64",
  f4: "F32",
  f2: "F16",
  i8: "I64",
  i4: "I32",
  i2: "I16",
  i1: "I8",
  u8: "U64",
  u4: "U32",
  u2: "U16",
  u1: "U8",
  b1: "BOOL",
};

interface NpyArray extends TensorInfo {
  readonly dtype: Dtype;
  readonly fortran: boolean;
  /** Byte of the first element inside the entry. */
  readonly start: number;
}

/** Reads every array's header; elements are read on demand. Throws InputError. */
export async function readNpz(path: string): Promise<TensorFile> {
  const archive = await openZip(path);
  const arrays = new Map<string, NpyArray>();
  for (const entry of archive.entries.values()) {
    if (!entry.name.endsWith(".npy")) continue;
    arrays.set(entry.name.slice(0, -4), parseHeader(path, entry, await entryHead(archive, entry)));
  }
  return {
    path,
    tensors: arrays,
    values: new Map(),
    float32: async (name) => {
      const { dtype, shape, fortran, start } = arrays.get(name)!;
      const whole = await readZipEntry(archive, archive.entries.get(`${name}.npy`)!);
      const strides = fortran ? rowMajorStrides([...shape].reverse()).reverse() : rowMajorStrides(shape);
      const bytes = start % BYTES_PER_ELEMENT[dtype] === 0 ? whole : whole.slice(start);
      const offset = bytes === whole ? start / BYTES_PER_ELEMENT[dtype] : 0;
      return stridedFloat32(aligned(bytes, dtype), dtype, { offset, shape, strides }, (found, expected) => {
        throw new InputError({ file: path, where: name, found, expected });
      });
    },
  };
}

/** Bytes that a typed array can lie over: whole elements of a buffer of its own. */
function aligned(bytes: Uint8Array<ArrayBuffer>, dtype: Dtype): Uint8Array<ArrayBuffer> {
  return bytes.length % BYTES_PER_ELEMENT[dtype] === 0
    ? bytes
    : bytes.slice(0, bytes.length - (bytes.length % BYTES_PER_ELEMENT[dtype]));
}

/** The first bytes of an entry, as many as a header can have. */
async function entryHead({ path }: ZipArchive, entry: ZipEntry): Promise<Uint8Array> {
  const wanted = LONGEST_PREAMBLE + LONGEST_HEADER;
  const stored = await withFile(path, (file) => readAt(file, path, entry.offset, Math.min(entry.stored, wanted + 64)));
  if (!entry.deflated) return stored;
  // Cut off on purpose: a sync flush gives what came out before the cut. Deflate makes at most 1032 bytes of one.
  try {
    return inflateRawSync(stored, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, wanted);
  } catch (error) {
    const expected = "deflated data";
    throw new InputError({ file: path, where: entry.name, found: (error as Error).message, expected });
  }
}

function parseHeader(path: string, entry: ZipEntry, head: Uint8Array): NpyArray {
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file: path, where: entry.name, found, expected });
  };
  const isNpy = head.length >= 10 && Buffer.from(head.subarray(0, 6)).toString("latin1") === "\x93NUMPY";
  if (!isNpy) refuse("no .npy file", "an array that numpy wrote");
  const version = head[6]!;
  if (version < 1 || version > 3) refuse(`.npy version ${version}`, "1 to 3");
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const preamble = version === 1 ? 10 : 12;
  if (head.length < preamble) refuse("the end inside the header", "a whole header");
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (preamble + length > Math.min(entry.size, LONGEST_PREAMBLE + LONGEST_HEADER)) {
    refuse(`a header of ${length} bytes in an entry of ${entry.size}`, `at most ${LONGEST_HEADER}, inside the entry`);
  }
  if (preamble + length > head.length) refuse("the end inside the header", "a whole header");
  const text = new TextDecoder("latin1").decode(head.subarray(preamble, preamble + length)).trim();
  const literal =
    /^\{\s*'descr':\s*(?:'([^']*)'|(\[.*\])),\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([-\d,\sL]*)\),?\s*\}$/.exec(
      text,
    );
  if (!literal)
    return refuse(`the header ${text.slice(0, 120)}, which is no plain literal`, "descr, fortran_order and shape");
  const [, descr, structured, fortran, sizes] = literal;
  if (structured !== undefined) refuse("a structured dtype", "a dtype of plain numbers");
  if (/^\|?O/.test(descr!)) refuse("dtype object: pickled Python objects", "a dtype of plain numbers");
  if (descr!.startsWith(">")) refuse(`big-endian numbers (${descr})`, "little-endian numbers");
  const dtype = DTYPES[descr!.replace(/^[<|=]/, "")] ?? refuse(`dtype ${descr}`, "a dtype of plain numbers");
  const shape = sizes!
    .split(",")
    .map((size) => size.trim().replace(/L$/, ""))
    .filter((size) => size !== "")
    .map(Number);
  const negative = shape.find((n) => !Number.isSafeInteger(n) || n < 0);
  if (negative !== undefined) refuse(`shape (${shape}) with the size ${negative}`, "sizes of 0 or more");
  const needed = shape.reduce((product, n) => product * n, BYTES_PER_ELEMENT[dtype]);
  const start = preamble + length;
  if (needed !== entry.size - start) {
    refuse(`shape (${shape}) of ${descr}, which needs ${needed} bytes`, `${entry.size - start} bytes, as there are`);
  }
  return { dtype, shape, fortran: fortran === "True", start };
}
