// Files of torch's form before 1.6, made from pickle opcodes: state dicts in wraps, and what no package would write.

/** A text's characters are bytes. */
export type Opcode = string | Buffer;

/** A tensor of float32, row-major. */
interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type Pickled = string | number | boolean | null | Tensor | { readonly [key: string]: Pickled };

/** A pickle of protocol 2 by its opcodes. */
function pickle(opcodes: readonly Opcode[]): Buffer {
  const bytes = opcodes.map((part) => (typeof part === "object" ? part : Buffer.from(part, "latin1")));
  return Buffer.concat([Buffer.from([0x80, 2]), ...bytes]);
}

function u32(opcode: string, n: number): Buffer {
  const bytes = Buffer.from(`${opcode}0000`);
  bytes.writeUInt32LE(n, 1);
  return bytes;
}

/** Into the memo, and from it. */
export const put = (n: number) => u32("r", n);
export const get = (n: number) => u32("j", n);
export const word = (text: string) => Buffer.concat([u32("X", text.length), Buffer.from(text)]);
export const rebuildTensor = "ctorch._utils\n_rebuild_tensor_v2\n";

/** The persistent id of a storage of float32; `key` and `elements` by their opcodes. */
export function storage(key: Opcode, elements: Opcode): Opcode[] {
  return ["(", word("storage"), "ctorch\nFloatStorage\n", key, word("cpu"), elements, "tQ"];
}

/** A file whose object is what `object` leaves on the stack, with its storages of float32 under the keys 0, 1, … */
export function torchFile(object: readonly Opcode[], storages: readonly Float32Array[] = []): Buffer {
  const magic = Buffer.from("80028a0a6cfc9c46f9206aa850192e", "hex");
  const keys = ["](", ...storages.map((_, key) => word(String(key))), "e."];
  // A magic number, the version 1001, facts of the machine, the object, the keys of the storages, each storage.
  const pickles = [["M\xe9\x03."], ["}."], [...object, "."], keys].map(pickle);
  const data = storages.flatMap((values) => {
    const length = Buffer.alloc(8);
    length.writeBigInt64LE(BigInt(values.length));
    return [length, Buffer.from(values.buffer, values.byteOffset, values.byteLength)];
  });
  return Buffer.concat([magic, ...pickles, ...data]);
}

/** torch.save of a dict, in its old form. */
export function savedByTorch(root: Pickled): Buffer {
  const storages: Float32Array[] = [];
  return torchFile(opcodesOf(root, storages), storages);
}

function opcodesOf(value: Pickled, storages: Float32Array[]): Opcode[] {
  if (value === null) return ["N"];
  if (typeof value === "boolean") return [value ? "\x88" : "\x89"];
  if (typeof value === "string") return [word(value)];
  if (typeof value === "number") {
    if (Number.isInteger(value)) return [u32("J", value)];
    const bytes = Buffer.from("G00000000");
    bytes.writeDoubleBE(value, 1);
    return [bytes];
  }
  if (value["data"] instanceof Float32Array) {
    const { shape, data } = value as Tensor;
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
    const key = word(String(storages.push(data) - 1));
    const [sizes, steps] = [shape, strides].map((list) => ["(", ...list.map((n) => u32("J", n)), "t"]);
    return [rebuildTensor, "(", ...storage(key, u32("J", data.length)), u32("J", 0), ...sizes!, ...steps!, "tR"];
  }
  const items = Object.entries(value as Record<string, Pickled>).flatMap(([key, one]) => [
    word(key),
    ...opcodesOf(one, storages),
  ]);
  return ["}(", ...items, "u"];
}
