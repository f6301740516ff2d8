// GGUF files, versions 1 to 3: metadata and tensors, quantised ones converted to float32. Knows no model family.
import { CONVERTIBLE, GGUF_TYPES, type GgufType } from "./ggufBlocks.ts";
import { InputError } from "./inputError.ts";
import { readAt, withFile } from "./readAt.ts";

/** Integers beyond 2^53 come as bigint. */
export type GgufScalar = number | bigint | boolean | string;
export type GgufValue = GgufScalar | GgufScalar[];

export interface GgufTensor {
  readonly type: GgufType;
  /** Row-major: the file's dimensions reversed. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

export interface Gguf {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Metadata and tensor list together; a vocabulary of 256,000 tokens takes about 10 MB. */
const LONGEST_HEADER = 1 << 26;

/** Metadata entries, and tensors: each is an object here, many times its bytes. */
const MOST_ENTRIES = 1 << 16;

/** Values of all metadata arrays together; a vocabulary of 256,000 tokens has about a million. */
const MOST_VALUES = 1 << 22;

/** The number of the type that is an array. */
const ARRAY = 9;

/** Bytes a value of a metadata type has at least, by the type's number. */
const SMALLEST = [1, 1, 2, 2, 4, 4, 4, 1, 4, 8, 8, 8, 8];

/** Thrown inside when the bytes read so far end too early; more are then read. */
class NeedsMore extends Error {}

/** Reads and checks the header; no tensor is read. Throws InputError where the file is damaged or not GGUF. */
export async function readGguf(path: string): Promise<Gguf> {
  return withFile(path, async (file, size) => {
    for (let length = 1 << 22; ; length *= 4) {
      const whole = Math.min(length, size, LONGEST_HEADER);
      try {
        return new HeaderReader(path, await readAt(file, path, 0, whole), size).read();
      } catch (error) {
        if (!(error instanceof NeedsMore)) throw error;
        if (whole === size)
          throw new InputError({ file: path, found: `an end at byte ${size}, inside the header`, expected: "more" });
        if (whole === LONGEST_HEADER) {
          throw new InputError({
            file: path,
            found: `a header over ${LONGEST_HEADER} bytes`,
            expected: "a shorter one",
          });
        }
      }
    }
  });
}

class HeaderReader {
  private at = 0;
  /** Of all arrays so far. */
  private values = 0;
  private version = 0;
  private where = "";
  private readonly path: string;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  /** The same bytes, read as text. */
  private readonly text: Buffer;
  private readonly fileSize: number;

  constructor(path: string, bytes: Uint8Array, fileSize: number) {
    this.path = path;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.fileSize = fileSize;
  }

  read(): Gguf {
    if (this.fileSize < 16 || this.view.getUint32(0, true) !== 0x46554747) {
      this.refuse("other bytes", "the letters GGUF at the start");
    }
    this.version = this.view.getUint32(4, true);
    if (this.version < 1 || this.version > 3) {
      const bigEndian = this.view.getUint32(4, false) <= 3 ? " (a big-endian file)" : "";
      this.refuse(`GGUF version ${this.version}${bigEndian}`, "version 1, 2 or 3, little-endian");
    }
    this.at = 8;
    // A tensor's entry takes 20 bytes and a metadata entry 9 at the very least.
    const tensorCount = this.count("tensor count", this.version === 1 ? 20 : 24);
    const metadataCount = this.count("metadata count", 9);
    for (const [what, count] of Object.entries({ "tensor count": tensorCount, "metadata count": metadataCount })) {
      this.where = what;
      if (count > MOST_ENTRIES) this.refuse(String(count), `at most ${MOST_ENTRIES}`);
    }
    const metadata = this.readMetadata(metadataCount);
    return { path: this.path, version: this.version, metadata, tensors: this.readTensors(tensorCount, metadata) };
  }

  private readMetadata(count: number): Map<string, GgufValue> {
    const metadata = new Map<string, GgufValue>();
    for (let i = 0; i < count; i++) {
      this.where = `metadata entry ${i}`;
      const key = this.string();
      this.where = `metadata ${key}`;
      if (metadata.has(key)) this.refuse("the key twice", "every key once");
      const type = this.uint32();
      metadata.set(key, type === ARRAY ? this.array() : this.scalar(type));
    }
    return metadata;
  }

  private readTensors(count: number, metadata: ReadonlyMap<string, GgufValue>): Map<string, GgufTensor> {
    const listed: { name: string; type: GgufType; shape: number[]; offset: number; length: number }[] = [];
    for (let i = 0; i < count; i++) {
      this.where = `tensor entry ${i}`;
      const name = this.string();
      this.where = `tensor ${name}`;
      const rank = this.uint32();
      if (rank > 4) this.refuse(`${rank} dimensions`, "at most 4");
      const dimensions = Array.from({ length: rank }, () => this.size());
      const typeNumber = this.uint32();
      const type = GGUF_TYPES.get(typeNumber) ?? this.refuse(`type number ${typeNumber}`, "a type that ggml has");
      const row = dimensions[0] ?? 1;
      if (row % type.values !== 0) this.refuse(`rows of ${row} values of ${type.name}`, `a multiple of ${type.values}`);
      const length = dimensions.reduce((product, n) => product * n, 1) * (type.bytes / type.values);
      listed.push({ name, type, shape: dimensions.reverse(), offset: this.uint64(), length });
    }
    const alignment = metadata.get("general.alignment") ?? 32;
    this.where = "metadata general.alignment";
    if (
      typeof alignment !== "number" ||
      !(alignment >= 1 && alignment <= 1 << 20) ||
      (alignment & (alignment - 1)) !== 0
    ) {
      return this.refuse(String(alignment), "a power of two");
    }
    const dataStart = Math.ceil(this.at / alignment) * alignment;
    const tensors = new Map<string, GgufTensor>();
    let end = dataStart;
    let previous = "";
    for (const { name, type, shape, offset, length } of listed.sort((a, b) => a.offset - b.offset)) {
      this.where = `tensor ${name}`;
      if (tensors.has(name)) this.refuse("the name twice", "every name once");
      if (offset % alignment !== 0) this.refuse(`offset ${offset}`, `a multiple of ${alignment}`);
      if (dataStart + offset < end) this.refuse(`bytes that also belong to tensor ${previous}`, "no overlap");
      end = dataStart + offset + length;
      if (!(end <= this.fileSize)) this.refuse(`an end at byte ${end}`, `at most ${this.fileSize}, the file's size`);
      tensors.set(name, { type, shape, offset: dataStart + offset, length });
      previous = name;
    }
    return tensors;
  }

  private scalar(type: number): GgufScalar {
    switch (type) {
      case 0:
        return this.view.getUint8(this.take(1));
      case 1:
        return this.view.getInt8(this.take(1));
      case 2:
        return this.view.getUint16(this.take(2), true);
      case 3:
        return this.view.getInt16(this.take(2), true);
      case 4:
        return this.uint32();
      case 5:
        return this.view.getInt32(this.take(4), true);
      case 6:
        return this.view.getFloat32(this.take(4), true);
      case 7:
        return this.view.getUint8(this.take(1)) !== 0;
      case 8:
        return this.string();
      case 10:
        return whole(this.view.getBigUint64(this.take(8), true));
      case 11:
        return whole(this.view.getBigInt64(this.take(8), true));
      case 12:
        return this.view.getFloat64(this.take(8), true);
      default:
        return this.refuse(`value type ${type}`, "0 to 12");
    }
  }

  private array(): GgufScalar[] {
    const type = this.uint32();
    // llama.cpp refuses these as well.
    if (type === ARRAY) this.refuse("an array of arrays", "an array of plain values");
    const smallest = SMALLEST[type] ?? this.refuse(`array of value type ${type}`, "0 to 12");
    const length = this.count("array length", smallest);
    this.values += length;
    if (this.values > MOST_VALUES) {
      this.refuse(`${this.values} values in arrays up to here`, `at most ${MOST_VALUES} in the whole file`);
    }
    return Array.from({ length }, () => this.scalar(type));
  }

  private string(): string {
    const length = this.count("string length", 1);
    const at = this.take(length);
    // A vocabulary is a hundred thousand of them: a decoder or a view for each takes most of the header's time.
    return this.text.toString("utf8", at, at + length);
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  private uint64(): number {
    const at = this.take(8);
    const high = this.view.getUint32(at + 4, true);
    if (high >= 2 ** 21) this.refuse(`the number ${this.view.getBigUint64(at, true)}`, "one below 2^53");
    return high * 2 ** 32 + this.view.getUint32(at, true);
  }

  /** Version 1 has 32-bit sizes. */
  private size(): number {
    return this.version === 1 ? this.uint32() : this.uint64();
  }

  /** A number of things that take at least `smallest` bytes each: more than the file can hold is refused before it is believed. */
  private count(what: string, smallest: number): number {
    const count = this.size();
    if (count * smallest > this.fileSize - this.at) {
      const whereabouts = this.where ? `${this.where}, ` : "";
      this.where = `${whereabouts}${what}`;
      this.refuse(String(count), `at most what fits into the remaining ${this.fileSize - this.at} bytes`);
    }
    return count;
  }

  private take(bytes: number): number {
    if (this.at + bytes > this.bytes.length) throw new NeedsMore();
    this.at += bytes;
    return this.at - bytes;
  }

  private refuse(found: string, expected: string): never {
    throw new InputError({ file: this.path, where: this.where, found, expected });
  }
}

function whole(value: bigint): number | bigint {
  return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** What a list says once for every layer, where it says the same of all of `layers`; any other value as it is. */
export function ofAllLayers(value: GgufValue | undefined, layers: GgufValue | undefined): GgufValue | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length !== layers) return value;
  return value.every((each) => each === value[0]) ? value[0] : value;
}

/** The entry of a tensor that must be there, with the shape that it must have if one is given. */
export function ggufTensor(file: Gguf, name: string, shape?: readonly number[]): GgufTensor {
  const tensor = file.tensors.get(name);
  if (!tensor) throw new InputError({ file: file.path, found: `no tensor ${name}`, expected: `a tensor ${name}` });
  if (shape && (shape.length !== tensor.shape.length || shape.some((n, i) => n !== tensor.shape[i]))) {
    const where = `tensor ${name}`;
    throw new InputError({ file: file.path, where, found: `shape [${tensor.shape}]`, expected: `shape [${shape}]` });
  }
  return tensor;
}

/** A tensor's values in order, in chunks of whole rows of about a million values. */
export async function* ggufChunks(file: Gguf, name: string): AsyncGenerator<Float32Array> {
  const { type, shape, offset, length } = ggufTensor(file, name);
  const decode = decoderOf(file, name, type);
  const rowValues = shape.at(-1) ?? 1;
  const step = Math.max(1, Math.floor((1 << 20) / rowValues)) * (rowValues / type.values) * type.bytes;
  for (let done = 0; done < length; done += step) {
    const wanted = Math.min(step, length - done);
    const bytes = await withFile(file.path, (handle) => readAt(handle, file.path, offset + done, wanted));
    const values = new Float32Array((wanted / type.bytes) * type.values);
    decode(bytes, values);
    yield values;
  }
}

/** A whole tensor as float32; with the shape that it must have, if one is given. */
export async function ggufFloat32(file: Gguf, name: string, shape?: readonly number[]): Promise<Float32Array> {
  const { type, offset, length } = ggufTensor(file, name, shape);
  const decode = decoderOf(file, name, type);
  const values = new Float32Array((length / type.bytes) * type.values);
  decode(await withFile(file.path, (handle) => readAt(handle, file.path, offset, length)), values);
  return values;
}

function decoderOf(file: Gguf, name: string, type: GgufType): NonNullable<GgufType["decode"]> {
  if (type.decode) return type.decode;
  const where = `tensor ${name}`;
  throw new InputError({ file: file.path, where, found: `type ${type.name}`, expected: CONVERTIBLE.join(", ") });
}
