// A language model's weights as tensors by name, whatever number of files they lie in. Nothing is read here but headers.
import { realpath } from "node:fs/promises";
import { dirname, relative, sep } from "node:path";
import { InputError } from "../formats/inputError.ts";
import type { ExternalData } from "../formats/onnx.ts";
import { readSafetensors, type Safetensors, type TensorEntry } from "../formats/safetensors.ts";

export interface CheckpointTensor extends TensorEntry {
  /** The safetensors file that holds it. */
  readonly file: Safetensors;
}

export interface Checkpoint {
  /** What errors should name: the index file, or the only file. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** What errors should call a tensor, there or missing, where its file has another name for it. */
  readonly nameOf?: (tensor: string) => string;
  /** A folder that holds every file, links resolved: onnxruntime reads weights below it and nowhere else. */
  readonly folder: string;
  /** To be called when nothing of it will be read again; absent where nobody waits for it. */
  readonly release?: () => void;
}

/** Opens one or more safetensors files as one checkpoint. A tensor that two of them hold is refused. */
export async function openCheckpoint(path: string, files: readonly string[]): Promise<Checkpoint> {
  const tensors = new Map<string, CheckpointTensor>();
  const folders: string[] = [];
  for (const name of files) {
    // Resolved, since the files of a Hugging Face cache are links and onnxruntime follows none out of the folder.
    const file = await readSafetensors(await realpath(name).catch(() => name));
    folders.push(dirname(file.path));
    for (const [tensor, entry] of file.tensors) {
      const other = tensors.get(tensor);
      if (other) {
        const found = `the tensor also in ${other.file.path}`;
        throw new InputError({ file: file.path, where: `tensor ${tensor}`, found, expected: "every tensor once" });
      }
      tensors.set(tensor, { ...entry, file });
    }
  }
  return { path, tensors, folder: commonFolder(folders) };
}

/** Where a tensor's bytes lie, as an ONNX initializer says it. */
export function externalData(checkpoint: Checkpoint, tensor: CheckpointTensor): ExternalData {
  const location = relative(checkpoint.folder, tensor.file.path).split(sep).join("/");
  return { location, offset: tensor.offset, length: tensor.length };
}

/** The innermost folder that holds all of them. */
export function commonFolder(folders: readonly string[]): string {
  let common = folders[0] ?? ".";
  const holds = (folder: string) => {
    const path = relative(common, folder);
    return path !== ".." && !path.startsWith(`..${sep}`);
  };
  while (!folders.every(holds)) common = dirname(common);
  return common;
}
