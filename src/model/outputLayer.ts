// Which tensor makes the logits. Configurations that tie it to the embedding are contradicted by weights that have another one; then the weights count, as in transformers 5.
import type { FileHandle } from "node:fs/promises";
import { bfloat16ToFloat32, float16ToFloat32 } from "../formats/halfFloats.ts";
import { readAt, withFile } from "../formats/readAt.ts";
import { BYTES_PER_ELEMENT } from "../formats/tensorEntry.ts";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";

export interface OutputLayer {
  /** The tensor's name. */
  readonly weight: string;
  /** Tensors that hold the same once more, and so are not used. */
  readonly copies: readonly string[];
  /** A sentence for a person where the configuration says otherwise. */
  readonly doubt: string | null;
}

/** `names`: what the family's files call a layer of its own. */
export async function outputLayer(
  checkpoint: Checkpoint,
  tied: boolean,
  embedding: string,
  names: readonly string[] = ["lm_head.weight"],
): Promise<OutputLayer> {
  const there = names.filter((name) => checkpoint.tensors.has(name));
  const weight = tied ? embedding : (there[0] ?? names[0]!);
  const made = checkpoint.tensors.get(weight);
  const [copies, others]: [string[], string[]] = [[], []];
  for (const name of there) {
    if (!made || name === weight) continue;
    ((await holdsSame(made, checkpoint.tensors.get(name)!)) ? copies : others).push(name);
  }
  // What an untied model has besides is for whoever looks for tensors without a use.
  if (!tied || others.length === 0) return { weight, copies, doubt: null };
  const own = await outputLayer(checkpoint, false, embedding, others);
  const doubt = `the configuration ties the output layer to the embedding (tie_word_embeddings), but ${own.weight} differs from that: it makes the logits, as in transformers 5`;
  return { weight: own.weight, copies: [...copies, ...own.copies], doubt };
}

/** Elements. */
const PIECE = 1 << 21;
/** Of a value, by which it may differ from itself in a coarser type: bfloat16's eight bits; and float16's smallest step. */
const [ROUNDING, STEP] = [2 ** -8, 2 ** -24];

/** Whether two matrices are of the same values, as far as both have rows (one may be padded), each in its own type. */
async function holdsSame(a: CheckpointTensor, b: CheckpointTensor): Promise<boolean> {
  const [width] = a.shape.slice(1);
  if (a.shape.length !== 2 || b.shape.length !== 2 || b.shape[1] !== width) return false;
  const count = Math.min(a.shape[0]!, b.shape[0]!) * width!;
  return withFile(a.file.path, (ofA) =>
    withFile(b.file.path, async (ofB) => {
      const piece = async ({ dtype, offset, file }: CheckpointTensor, handle: FileHandle, at: number) => {
        const bytes = BYTES_PER_ELEMENT[dtype];
        return readAt(handle, file.path, offset + at * bytes, Math.min(PIECE, count - at) * bytes);
      };
      for (let at = 0; at < count; at += PIECE) {
        const [x, y] = await Promise.all([piece(a, ofA, at), piece(b, ofB, at)]);
        const same = a.dtype === b.dtype ? Buffer.compare(x, y) === 0 : sameValues(floats(a, x), floats(b, y));
        if (!same) return false;
      }
      return true;
    }),
  );
}

/** Null for a type that holds no floats. */
function floats({ dtype }: CheckpointTensor, { buffer }: Uint8Array<ArrayBuffer>): ArrayLike<number> | null {
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "F64") return new Float64Array(buffer);
  if (dtype === "F16") return float16ToFloat32(new Uint16Array(buffer));
  return dtype === "BF16" ? bfloat16ToFloat32(new Uint16Array(buffer)) : null;
}

function sameValues(x: ArrayLike<number> | null, y: ArrayLike<number> | null): boolean {
  if (!x || !y) return false;
  for (let i = 0; i < x.length; i++) if (!(Math.abs(x[i]! - y[i]!) <= ROUNDING * Math.abs(x[i]!) + STEP)) return false;
  return true;
}
