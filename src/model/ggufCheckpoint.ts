// A GGUF file as a checkpoint: its tensors converted once to float32 under Hugging Face names, in a safetensors file of the cache.
import { createHash } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Gguf, ggufChunks, ggufFloat32 } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import { type TensorSource, writeSafetensors } from "../formats/safetensors.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";

/** How one tensor of a GGUF file is kept. */
export interface GgufMapping {
  /** Hugging Face's name. */
  readonly name: string;
  /**
   * Width of a head whose rows stand as neighbours (2i, 2i+1) where Hugging Face has halves (i, i + width/2):
   * ggml's rotary pairing, undone when converting. Absent: rows stay.
   */
  readonly rotaryHeadWidth?: number;
}

/** A change here makes every cached conversion stale. */
const CONVERSION = "1";

/** Converts, or finds the conversion of the same file (path, size, time of change) in the cache. `onProgress` gets bytes written and their total. */
export async function openGgufCheckpoint(
  file: Gguf,
  mapping: ReadonlyMap<string, GgufMapping>,
  cacheFolder: string,
  onProgress?: (done: number, total: number) => void,
): Promise<Checkpoint> {
  const { size, mtimeMs } = await stat(file.path);
  const identity = [CONVERSION, await realpath(file.path), size, mtimeMs].join("\n");
  const key = createHash("sha256").update(identity).digest("hex").slice(0, 16);
  const path = join(cacheFolder, "gguf", `${basename(file.path, ".gguf")}-${key}.safetensors`);
  try {
    return await openCheckpoint(path, [path]);
  } catch (error) {
    // Not converted yet, or damaged since: either way it is made anew.
    if (!(error instanceof InputError)) throw error;
  }
  const tensors = new Map<string, TensorSource>();
  const progress = { done: 0, total: 0 };
  for (const [source, { name, rotaryHeadWidth }] of mapping) {
    const { shape } = file.tensors.get(source)!;
    progress.total += shape.reduce((product, n) => product * n, 4);
    const data = async function* () {
      const chunks = rotaryHeadWidth
        ? [halves(await ggufFloat32(file, source), shape, rotaryHeadWidth)]
        : ggufChunks(file, source);
      for await (const chunk of chunks) {
        yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        progress.done += chunk.byteLength;
        onProgress?.(progress.done, progress.total);
      }
    };
    tensors.set(name, { shape, dtype: "F32", data });
  }
  await writeSafetensors(path, tensors, { source: file.path });
  return openCheckpoint(path, [path]);
}

/** Rows 2i and 2i+1 of every head become its rows i and i + width/2. Biases are matrices of one column here. */
function halves(values: Float32Array, shape: readonly number[], width: number): Float32Array {
  const rows = shape[0]!;
  const columns = values.length / rows;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % width;
    const to = row - inHead + (inHead >> 1) + (inHead & 1) * (width / 2);
    out.set(values.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}
