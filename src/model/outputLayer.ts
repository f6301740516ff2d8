// Which tensor makes the logits. Configurations that tie it to the embedding are contradicted by weights that have another one; then the weights count, as in transformers 5.
import { readAt, withFile } from "../formats/readAt.ts";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";

export interface OutputLayer {
  /** The tensor's name. */
  readonly weight: string;
  /** A tensor that holds the embedding once more, and so is not used. */
  readonly copy: string | null;
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
  const own = names.find((name) => checkpoint.tensors.has(name));
  if (!tied) return { weight: own ?? names[0]!, copy: null, doubt: null };
  const [a, b] = [embedding, own].map((name) => checkpoint.tensors.get(name ?? ""));
  // A missing embedding is for the graph to refuse.
  if (own === undefined || !a || !b) return { weight: embedding, copy: null, doubt: null };
  if (await sameBytes(a, b)) return { weight: embedding, copy: own, doubt: null };
  const doubt = `the configuration ties the output layer to the embedding (tie_word_embeddings), but ${own} differs from that: it makes the logits, as in transformers 5`;
  return { weight: own, copy: null, doubt };
}

const PIECE = 1 << 22;

async function sameBytes(a: CheckpointTensor, b: CheckpointTensor): Promise<boolean> {
  if (a.dtype !== b.dtype || a.length !== b.length) return false;
  return withFile(a.file.path, (ofA) =>
    withFile(b.file.path, async (ofB) => {
      for (let at = 0; at < a.length; at += PIECE) {
        const length = Math.min(PIECE, a.length - at);
        const [x, y] = await Promise.all([
          readAt(ofA, a.file.path, a.offset + at, length),
          readAt(ofB, b.file.path, b.offset + at, length),
        ]);
        if (Buffer.compare(x, y) !== 0) return false;
      }
      return true;
    }),
  );
}
