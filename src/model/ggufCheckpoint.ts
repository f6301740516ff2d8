// A GGUF file as a checkpoint: its tensors converted once to float32 under Hugging Face names, in a safetensors file of the cache.
import { type Gguf, ggufChunks, ggufFloat32 } from "../formats/gguf.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type ConvertedTensor, convertedCheckpoint } from "./convertedCheckpoint.ts";

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
const VERSION = "1";

/** Converts, or finds the conversion in the cache. `onProgress` gets bytes written and their total. */
export function openGgufCheckpoint(
  file: Gguf,
  mapping: ReadonlyMap<string, GgufMapping>,
  cacheFolder: string,
  onProgress?: (done: number, total: number) => void,
): Promise<Checkpoint> {
  const tensors = new Map<string, ConvertedTensor>();
  for (const [source, { name, rotaryHeadWidth }] of mapping) {
    const { shape } = file.tensors.get(source)!;
    const values = rotaryHeadWidth
      ? async function* () {
          yield halves(await ggufFloat32(file, source), shape, rotaryHeadWidth);
        }
      : () => ggufChunks(file, source);
    tensors.set(name, { shape, values });
  }
  return convertedCheckpoint({ path: file.path, format: "gguf", version: VERSION, tensors }, cacheFolder, onProgress);
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
