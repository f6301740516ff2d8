// Files of torch.save, zip and the older form: tensors under names and the plain values beside them. Their pickles are read, never run: what is not a tensor's rebuild, a dict, a list, a number or a string is refused by its name.
import { brief } from "./brief.ts";
import { InputError } from "./inputError.ts";
import { type PickleHooks, unpickle } from "./pickle.ts";
import { readAt, withFile } from "./readAt.ts";
import type { Dtype } from "./safetensors.ts";
import { BYTES_PER_ELEMENT } from "./safetensors.ts";
import { stridedFloat32 } from "./stridedTensor.ts";
import { openZip, readZipEntry, type ZipArchive } from "./zip.ts";

/** A tensor where it lies: its view of a storage. Offsets and strides count elements. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: TorchStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

interface TorchStorage {
  readonly key: string;
  readonly dtype: Dtype;
  readonly elements: number;
}

export interface TorchFile {
  readonly path: string;
  /** What was saved: Map for a dict, arrays for lists and tuples, TorchTensor, numbers, strings, booleans, null. May hold itself. */
  readonly root: unknown;
  float32(tensor: TorchTensor): Promise<Float32Array>;
}

/** A pickle holds names and numbers only; the weights lie beside it. */
const LONGEST_PICKLE = 4 << 20;
const STORAGES: Readonly<Record<string, Dtype>> = {
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};
/** dtypes stand in configurations beside the weights. */
const DTYPES =
  /^(float64|double|float32|float|float16|half|bfloat16|int64|long|int32|int|int16|short|int8|uint8|bool)$/;
/** The first number of the older form, as a pickled LONG1. */
const LEGACY_MAGIC = "8002 8a0a 6cfc9c46f9206aa85019 2e".replaceAll(" ", "");

/**
 * Reads the pickle and finds the storages; no weight is read.
 * Throws InputError for everything that is not a plain state dict, naming what it found.
 */
export async function readTorch(path: string): Promise<TorchFile> {
  const head = await withFile(path, (file, size) => readAt(file, path, 0, Math.min(size, LEGACY_MAGIC.length / 2)));
  const hex = Buffer.from(head).toString("hex");
  if (hex.startsWith("504b")) return readArchive(path);
  if (hex === LEGACY_MAGIC) return readLegacy(path);
  const pickled = hex.startsWith("80") || /^[(c\]}]/.test(String.fromCharCode(head[0] ?? 0));
  const found = pickled ? "a bare pickle" : head.length === 0 ? "an empty file" : "something else";
  throw new InputError({ file: path, found, expected: "a file of torch.save (a zip archive with data.pkl)" });
}

async function readArchive(path: string): Promise<TorchFile> {
  const archive = await openZip(path);
  const names = [...archive.entries.keys()];
  const pickles = names.filter((name) => name === "data.pkl" || name.endsWith("/data.pkl"));
  if (names.some((name) => /(^|\/)(constants\.pkl|code\/.*)$/.test(name))) {
    throw new InputError({ file: path, found: "a TorchScript module", expected: "a state dict of torch.save" });
  }
  if (pickles.length !== 1) {
    const found = pickles.length === 0 ? "no data.pkl" : `more than one data.pkl: ${pickles.join(", ")}`;
    throw new InputError({ file: path, found, expected: "one data.pkl" });
  }
  const prefix = pickles[0]!.slice(0, -"data.pkl".length);
  const order = archive.entries.get(`${prefix}byteorder`);
  if (order) {
    const text = new TextDecoder().decode(await readStored(archive, order.name, 16)).trim();
    if (text !== "little") {
      throw new InputError({ file: path, where: "byteorder", found: `a ${text}-endian archive`, expected: "little" });
    }
  }
  const pickle = await readStored(archive, pickles[0]!, LONGEST_PICKLE);
  const storages = new Map<string, TorchStorage>();
  const { value, end } = unpickle(pickle, { file: path, name: "data.pkl" }, torchHooks(path, storages));
  if (end !== pickle.length) {
    const found = `${pickle.length - end} bytes after the pickle`;
    throw new InputError({ file: path, where: "data.pkl", found, expected: "nothing after it" });
  }
  for (const { key, dtype, elements } of storages.values()) {
    const entry = archive.entries.get(`${prefix}data/${key}`);
    const where = `storage data/${key}`;
    if (!entry) throw new InputError({ file: path, where, found: "no such entry in the archive", expected: "one" });
    const bytes = elements * BYTES_PER_ELEMENT[dtype];
    if (entry.size !== bytes) {
      const expected = `${bytes}, for ${elements} values of ${dtype}`;
      throw new InputError({ file: path, where, found: `${entry.size} bytes`, expected });
    }
  }
  return {
    path,
    root: value,
    float32: async (tensor) => {
      const { key } = tensor.storage;
      const bytes = await readStored(archive, `${prefix}data/${key}`, Number.POSITIVE_INFINITY);
      return tensorFloat32(path, tensor, bytes);
    },
  };
}

/** torch stores and never deflates: a deflated entry was made by someone else, to be small outside and large inside. */
async function readStored(archive: ZipArchive, name: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const entry = archive.entries.get(name)!;
  const where = `zip entry ${name}`;
  if (entry.deflated) {
    const found = `a compressed entry (${entry.stored} bytes that become ${entry.size})`;
    throw new InputError({ file: archive.path, where, found, expected: "stored entries, as torch writes them" });
  }
  if (entry.size > most) {
    throw new InputError({ file: archive.path, where, found: `${entry.size} bytes`, expected: `at most ${most}` });
  }
  return readZipEntry(archive, entry);
}

/**
 * The form before torch 1.6: four pickles (a magic number, a version, facts of the machine, the object), the keys of its
 * storages, then each storage as its length and its bytes.
 */
async function readLegacy(path: string): Promise<TorchFile> {
  return withFile(path, async (file, size) => {
    const bytes = await readAt(file, path, 0, Math.min(size, LONGEST_PICKLE));
    const storages = new Map<string, TorchStorage>();
    const hooks = torchHooks(path, storages);
    let at = 0;
    const next = (name: string): unknown => {
      const { value, end } = unpickle(bytes, { file: path, name }, hooks, at);
      at = end;
      return value;
    };
    const refuse = (where: string, found: string, expected: string): never => {
      throw new InputError({ file: path, where, found, expected });
    };
    next("the magic number");
    const version = next("the version");
    if (version !== 1001) refuse("version", brief(version), "1001");
    const machine = next("the machine's facts");
    if (machine instanceof Map && machine.get("little_endian") === false) {
      refuse("byteorder", "a big-endian file", "little");
    }
    const root = next("the object");
    const keys = next("the keys of the storages");
    if (!Array.isArray(keys)) return refuse("storages", "no list of keys", "one");
    const places = new Map<string, number>();
    for (const key of keys) {
      const storage = storages.get(key as string);
      if (!storage) return refuse("storages", `the key ${brief(key)}`, "the key of a tensor's storage");
      const where = `storage ${storage.key}`;
      if (at + 8 > size) refuse(where, "the end of the file", "its length");
      const claimed = new DataView((await readAt(file, path, at, 8)).buffer).getBigInt64(0, true);
      if (claimed !== BigInt(storage.elements)) refuse(where, `${claimed} values`, `${storage.elements}`);
      const length = storage.elements * BYTES_PER_ELEMENT[storage.dtype];
      if (at + 8 + length > size) refuse(where, `an end at byte ${at + 8 + length}`, `at most ${size}`);
      places.set(storage.key, at + 8);
      at += 8 + length;
    }
    const missing = [...storages.keys()].find((key) => !places.has(key));
    if (missing !== undefined) refuse(`storage ${missing}`, "no bytes", "its bytes");
    if (at !== size) refuse("the end", `${size - at} bytes after the last storage`, "nothing");
    return {
      path,
      root,
      float32: async (tensor: TorchTensor) => {
        const { key, elements, dtype } = tensor.storage;
        const length = elements * BYTES_PER_ELEMENT[dtype];
        const data = await withFile(path, (again) => readAt(again, path, places.get(key)!, length));
        return tensorFloat32(path, tensor, data);
      },
    };
  });
}

function tensorFloat32(path: string, tensor: TorchTensor, bytes: Uint8Array<ArrayBuffer>): Float32Array {
  const { storage, offset, shape, strides } = tensor;
  return stridedFloat32(bytes, storage.dtype, { offset, shape, strides }, (found, expected) => {
    throw new InputError({ file: path, where: `storage ${storage.key}`, found, expected });
  });
}

/** A name of a storage's type, e.g. torch.FloatStorage. */
class StorageType {
  readonly dtype: Dtype;
  constructor(dtype: Dtype) {
    this.dtype = dtype;
  }
}

/** What a pickle of torch may call, each an exact name: a prefix would let in torch.storage._load_from_bytes. */
const CALLABLES = {
  "collections.OrderedDict": "OrderedDict",
  "torch._utils._rebuild_tensor": "tensor",
  "torch._utils._rebuild_tensor_v2": "tensor",
  "torch._utils._rebuild_parameter": "parameter",
  "torch.Size": "size",
  "torch.device": "device",
} as const;

class Callable {
  readonly name: keyof typeof CALLABLES;
  constructor(name: keyof typeof CALLABLES) {
    this.name = name;
  }
}

function torchHooks(file: string, storages: Map<string, TorchStorage>): PickleHooks {
  const copied = new WeakSet<object>();
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file, where: "data.pkl", found, expected });
  };
  return {
    global(module, name) {
      const full = `${module}.${name}`;
      if (Object.hasOwn(CALLABLES, full)) return new Callable(full as keyof typeof CALLABLES);
      if (module === "torch" && name.endsWith("Storage")) {
        if (Object.hasOwn(STORAGES, name)) return new StorageType(STORAGES[name]!);
        return refuse(`the unknown storage type ${full}`, Object.keys(STORAGES).join(", "));
      }
      if (module === "torch" && DTYPES.test(name)) return full;
      return refuse(
        `the global ${full}, which is not allowed`,
        "a plain state dict: tensors, dicts, lists, numbers and strings (nothing was run)",
      );
    },
    reduce(callable, args, key) {
      if (!(callable instanceof Callable)) return refuse("a call of what is no function", "the rebuild of a tensor");
      switch (CALLABLES[callable.name]) {
        case "OrderedDict":
          return orderedDict(args, copied, refuse);
        case "tensor":
          return rebuildTensor(args, (found, expected) => {
            throw new InputError({ file, where: `tensor ${key ?? "in data.pkl"}`, found, expected });
          });
        case "parameter":
          return args[0] instanceof TorchTensor ? args[0] : refuse("a parameter without its tensor", "a tensor");
        case "size":
          return Array.isArray(args[0]) ? args[0] : refuse("a torch.Size without numbers", "a tuple");
        case "device":
          return device(args, refuse);
      }
    },
    build(object, state) {
      // The state of a state dict holds its modules' versions (_metadata), which say nothing of the weights.
      const harmless =
        object instanceof Map && state instanceof Map && [...state.keys()].every((key) => key === "_metadata");
      if (harmless) return;
      const keys = state instanceof Map ? [...state.keys()].slice(0, 8).map(brief).join(", ") : "a state";
      refuse(`BUILD with ${keys}`, "an OrderedDict's _metadata at most");
    },
    persistent(id) {
      const known = Array.isArray(id) && id[0] === "storage" && id[1] instanceof StorageType;
      if (!known) return refuse("an unknown persistent id", "('storage', type, key, location, length)");
      const [, type, key, , elements] = id as [string, StorageType, unknown, unknown, unknown];
      if (typeof key !== "string" || !isCount(elements)) {
        return refuse(`a storage of ${brief(elements)} values under the key ${brief(key)}`, "a key and a length");
      }
      const before = storages.get(key);
      if (before) {
        const same = before.dtype === type.dtype && before.elements === elements;
        return same ? before : refuse(`storage ${key} as two things`, "one type and length");
      }
      const storage = { key, dtype: type.dtype, elements };
      storages.set(key, storage);
      return storage;
    },
  };
}

type Refuse = (found: string, expected: string) => never;

/** torch.device("cuda", 0). */
function device(args: readonly unknown[], refuse: Refuse): string {
  const plain = args.length <= 2 && args.every((arg) => typeof arg === "string" || typeof arg === "number");
  return plain ? args.map(brief).join(":") : refuse("a torch.device of what is no name", "a name and a number");
}

/** `copied`: the lists of pairs that others were made of. One list in many dicts would make a large thing of a small file. */
function orderedDict(args: readonly unknown[], copied: WeakSet<object>, refuse: Refuse): Map<unknown, unknown> {
  const [pairs] = args;
  if (pairs === undefined) return new Map();
  if (!Array.isArray(pairs) || !pairs.every((pair) => Array.isArray(pair) && pair.length === 2)) {
    return refuse("an OrderedDict of what are no pairs", "pairs");
  }
  if (copied.has(pairs)) return refuse("two OrderedDicts of one list of pairs", "a list for each");
  copied.add(pairs);
  return new Map(pairs as [unknown, unknown][]);
}

/** _rebuild_tensor_v2(storage, storage_offset, size, stride, …): every element must lie in the storage. */
function rebuildTensor(args: readonly unknown[], refuse: Refuse): TorchTensor {
  const [storage, offset, shape, strides] = args;
  const isStorage = typeof storage === "object" && storage !== null && "elements" in storage && "key" in storage;
  if (!isStorage) return refuse("a tensor without a storage", "a storage");
  const { elements } = storage as TorchStorage;
  if (!isCount(offset)) return refuse(`storage offset ${brief(offset)}`, "a whole number, 0 or more");
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    return refuse(`size ${shown(shape)}`, "whole numbers, 0 or more");
  }
  if (!Array.isArray(strides) || !strides.every(isCount)) {
    return refuse(`stride ${shown(strides)}`, "whole numbers, 0 or more (torch has no negative strides)");
  }
  if (shape.length !== strides.length) {
    return refuse(`${shape.length} sizes and ${strides.length} strides`, "as many strides as sizes");
  }
  let count = 1;
  let last: number = offset;
  for (const [axis, n] of (shape as number[]).entries()) {
    count *= n;
    last += (n - 1) * strides[axis]!;
  }
  if (count > elements)
    return refuse(`size ${shown(shape)}: ${count} values from a storage of ${elements}`, `at most ${elements}`);
  if (count > 0 && last >= elements) {
    return refuse(`a reach to value ${last} of a storage of ${elements}`, `at most ${elements - 1}`);
  }
  return new TorchTensor(storage as TorchStorage, offset, shape as number[], strides as number[]);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function shown(value: unknown): string {
  return Array.isArray(value) ? `[${value.slice(0, 8).map(brief).join(", ")}]` : brief(value);
}
