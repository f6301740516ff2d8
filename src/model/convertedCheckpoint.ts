// Weights of another format as a checkpoint: converted once to float32 under a family's names, in a safetensors file of the cache.
import { createHash } from "node:crypto";
import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError } from "../formats/inputError.ts";
import { type TensorSource, writeSafetensors } from "../formats/safetensors.ts";
import { type Checkpoint, type CheckpointTensor, openCheckpoint } from "./checkpoint.ts";
import { holdConversion, removeStale } from "./conversionCache.ts";

export interface ConvertedTensor {
  readonly shape: readonly number[];
  /** Values in order, in pieces. */
  readonly values: () => AsyncIterable<Float32Array> | Iterable<Float32Array>;
}

export interface Conversion {
  /** The file that is converted. */
  readonly path: string;
  /** Names the cache's folder, and with `version` what the conversion depends on besides the file: a change makes every cached one stale. */
  readonly format: "gguf" | "torch";
  readonly version: string;
  readonly tensors: ReadonlyMap<string, ConvertedTensor>;
  /** A tensor's name in the file that is converted; absent: errors have no need of it. */
  readonly nameOf?: (tensor: string) => string;
}

/** The checkpoint that a conversion would make, by names and shapes: enough to tell whether a model can be made of it, and not to run one. */
export function plannedCheckpoint({ path, tensors, nameOf }: Conversion): Checkpoint {
  const planned = new Map<string, CheckpointTensor>();
  const file = { path, tensors: planned, metadata: {} };
  for (const [name, { shape }] of tensors)
    planned.set(name, { file, dtype: "F32", shape, offset: 0, length: bytesOf(shape) });
  return { path, tensors: planned, folder: dirname(path), ...(nameOf && { nameOf }) };
}

/** In float32. */
function bytesOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 4);
}

/** Converts, or finds the conversion of the same file (path, size, time of change) in the cache. `onProgress` gets bytes written and their total. */
export async function convertedCheckpoint(
  { path: source, format, version, tensors }: Conversion,
  cacheFolder: string,
  onProgress?: (done: number, total: number) => void,
): Promise<Checkpoint> {
  const { size, mtimeMs } = await stat(source);
  const real = await realpath(source);
  const identity = [version, real, size, mtimeMs].join("\n");
  const key = createHash("sha256").update(identity).digest("hex").slice(0, 16);
  const name = basename(source).replace(/\.\w+$/, "");
  const path = join(cacheFolder, format, `${name}-${key}.safetensors`);
  let lock = await holdConversion(path);
  const release = (): void => {
    lock?.release();
    lock = null;
  };
  const opened = async () => ({ ...(await openCheckpoint(path, [path])), release });
  try {
    return await opened().catch(async (error) => {
      // Not converted yet, or damaged since: either way it is made anew.
      if (!(error instanceof InputError)) throw error;
      await writeSafetensors(path, sourcesOf(tensors, onProgress), { source: real });
      // Stale ones cost room alone, and the next conversion tries again.
      await removeStale(path, real).catch(() => {});
      return opened();
    });
  } catch (error) {
    release();
    throw error;
  }
}

function sourcesOf(
  tensors: ReadonlyMap<string, ConvertedTensor>,
  onProgress?: (done: number, total: number) => void,
): Map<string, TensorSource> {
  let done = 0;
  let total = 0;
  const sources = new Map<string, TensorSource>();
  for (const [tensor, { shape, values }] of tensors) {
    total += bytesOf(shape);
    const data = async function* () {
      for await (const chunk of values()) {
        yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        done += chunk.byteLength;
        onProgress?.(done, total);
      }
    };
    sources.set(tensor, { shape, dtype: "F32", data });
  }
  return sources;
}
