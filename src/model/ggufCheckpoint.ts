// A GGUF file as a checkpoint: what converts its tensors to float32 under Hugging Face names and in Hugging Face's layout.
import { type Gguf, ggufChunks, ggufFloat32 } from "../formats/gguf.ts";
import type { Arrangement } from "./arrangements.ts";
import type { Conversion, ConvertedTensor } from "./convertedCheckpoint.ts";

/** How one tensor of a GGUF file is kept. */
export interface GgufMapping {
  /** Hugging Face's name. */
  readonly name: string;
  /** What undoes the converter's layout; absent: the values stay as they are. */
  readonly arrange?: Arrangement;
  /** Whether that exchanges the two dimensions. */
  readonly transposed?: boolean;
}

/** A change here makes every cached conversion stale. */
const VERSION = "2";

export function ggufConversion(
  file: Gguf,
  mapping: ReadonlyMap<string, GgufMapping>,
  nameOf: (tensor: string) => string,
): Conversion {
  const tensors = new Map<string, ConvertedTensor>();
  for (const [source, { name, arrange, transposed }] of mapping) {
    const { shape } = file.tensors.get(source)!;
    const values = arrange
      ? async function* () {
          yield arrange(await ggufFloat32(file, source), shape);
        }
      : () => ggufChunks(file, source);
    tensors.set(name, { shape: transposed ? shape.toReversed() : shape, values });
  }
  return { path: file.path, format: "gguf", version: VERSION, tensors, nameOf };
}
