// A file's named tensors, whatever format it has: safetensors, npz, or a state dict of torch inside what people wrap around it.
import { extname } from "node:path";
import { brief } from "../../formats/brief.ts";
import { InputError } from "../../formats/inputError.ts";
import { readNpz } from "../../formats/npz.ts";
import { readSafetensors, tensorBytes } from "../../formats/safetensors.ts";
import { rowMajorStrides, stridedFloat32 } from "../../formats/stridedTensor.ts";
import type { TensorFile, TensorInfo } from "../../formats/tensorFile.ts";
import { readTorch, type TorchFile, TorchTensor } from "../../formats/torch.ts";
import type { SaeMetadata } from "../sae.ts";

export interface StateDict extends TensorFile {
  /** Tensors and numbers that stood beside the state dict in a wrap, by name. They are not part of the SAE. */
  readonly beside: ReadonlyMap<string, unknown>;
  /** The configuration in a wrap (`cfg` or `config`), or SAELens' beside the file; empty without one. */
  readonly config: ReadonlyMap<string, unknown>;
}

const NONE: ReadonlyMap<string, unknown> = new Map();
/** Where wraps keep the state dict: a backup of dictionary_learning, and what people write. */
const WRAPS = ["ae", "state_dict", "model_state_dict", "sae", "model"];
const CONFIGS = ["cfg", "config"];

/** By the file's name: .safetensors, .npz, otherwise torch. Throws InputError. */
export async function readStateDict(path: string): Promise<StateDict> {
  switch (extname(path)) {
    case ".safetensors":
      return safetensorsDict(path);
    case ".npz":
      return { ...(await readNpz(path)), beside: NONE, config: NONE };
    default:
      return torchDict(await readTorch(path));
  }
}

async function safetensorsDict(path: string): Promise<StateDict> {
  const file = await readSafetensors(path);
  return {
    path,
    tensors: file.tensors,
    values: NONE,
    beside: NONE,
    config: NONE,
    float32: async (name) => {
      const { dtype, shape } = file.tensors.get(name)!;
      const bytes = await tensorBytes(file, name);
      return stridedFloat32(bytes, dtype, { offset: 0, shape, strides: rowMajorStrides(shape) }, (found, expected) => {
        throw new InputError({ file: path, where: `tensor ${name}`, found, expected });
      });
    },
  };
}

function torchDict(file: TorchFile): StateDict {
  const { root, path } = file;
  const refuse = (found: string): never => {
    throw new InputError({ file: path, found, expected: "a state dict: tensors under names" });
  };
  if (!(root instanceof Map)) return refuse(root instanceof TorchTensor ? "a single tensor" : "no dict");
  let inner = root;
  if (tensorsOf(root).size === 0 || WRAPS.some((key) => root.get(key) instanceof Map)) {
    inner = WRAPS.map((key) => root.get(key)).find((value) => value instanceof Map && tensorsOf(value).size > 0);
    if (!inner) return refuse(`no tensors, among ${[...root.keys()].slice(0, 20).map(brief).join(", ") || "nothing"}`);
  }
  const tensors = tensorsOf(inner);
  const info = new Map<string, TensorInfo>();
  for (const [name, { storage, shape }] of tensors) info.set(name, { dtype: storage.dtype, shape });
  const config = CONFIGS.map((key) => root.get(key)).find((value) => value instanceof Map) ?? NONE;
  return {
    path,
    tensors: info,
    values: named(inner, (value) => !(value instanceof TorchTensor)),
    beside:
      inner === root
        ? NONE
        : named(root, (value, key) => value !== inner && !CONFIGS.includes(key) && key !== "optimizer"),
    config: named(config, () => true),
    float32: (name) => file.float32(tensors.get(name)!),
  };
}

/** What stands beside the state dict and changes what the SAE must be given, but is no part of it. */
export function besideWarnings(file: StateDict): string[] {
  const warnings: string[] = [];
  for (const [name, value] of file.beside) {
    if (typeof value === "object" && value !== null) {
      warnings.push(
        `${name} stands beside the SAE and is not used: if activations were shifted or scaled by it, this SAE expects that`,
      );
    } else if (name === "norm_factor" && value !== 1) {
      warnings.push(
        `norm_factor ${brief(value)} stands beside the SAE: it was trained on activations divided by it, and reads them so`,
      );
    }
  }
  return warnings;
}

/** The model and the hook that a wrap's configuration names, in the words of SAELens or dictionary_learning. */
export function wrapMetadata({ config }: StateDict): SaeMetadata {
  const word = (...keys: readonly string[]) =>
    keys.map((key) => config.get(key)).find((value) => typeof value === "string");
  const [hook_name, model_name] = [word("hook_name", "hook_point"), word("model_name", "lm_name")];
  return {
    ...(hook_name !== undefined && { hook_name }),
    ...(model_name !== undefined && { model_name }),
  } as SaeMetadata;
}

function tensorsOf(map: Map<unknown, unknown>): Map<string, TorchTensor> {
  return named(map, (value) => value instanceof TorchTensor) as Map<string, TorchTensor>;
}

/** The entries under strings that `keep` keeps. */
function named(
  map: ReadonlyMap<unknown, unknown>,
  keep: (value: unknown, key: string) => boolean,
): Map<string, unknown> {
  return new Map(
    [...map].filter((entry): entry is [string, unknown] => typeof entry[0] === "string" && keep(entry[1], entry[0])),
  );
}
