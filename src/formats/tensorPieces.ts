// A tensor of a safetensors file piece by piece, so that a large one is never in memory twice.
import { InputError } from "./inputError.ts";
import { readAt, withFile } from "./readAt.ts";
import { BYTES_PER_ELEMENT, type Safetensors, tensorEntryOf } from "./safetensors.ts";
import { stridedFloat32 } from "./stridedTensor.ts";

/** About so many bytes a piece. */
const PIECE = 8 << 20;

/**
 * The elements in order as float32, in pieces of whole `row`s (elements; 1 by default).
 * Throws InputError for a dtype that holds no numbers we can convert (F8).
 */
export async function* tensorPieces(
  file: Safetensors,
  name: string,
  options: { readonly row?: number; readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Float32Array> {
  const { dtype, offset, length } = tensorEntryOf(file, name);
  const rowBytes = (options.row ?? 1) * BYTES_PER_ELEMENT[dtype];
  const step = Math.max(1, Math.floor(PIECE / rowBytes)) * rowBytes;
  const read = (at: number) =>
    withFile(file.path, (handle) => readAt(handle, file.path, offset + at, Math.min(step, length - at)));
  let next = length > 0 ? read(0) : undefined;
  for (let at = 0; next; at += step) {
    options.signal?.throwIfAborted();
    const bytes = await next;
    // The next piece comes while this one is worked on.
    next = at + step < length ? read(at + step) : undefined;
    next?.catch(() => {});
    const view = { offset: 0, shape: [bytes.length / BYTES_PER_ELEMENT[dtype]], strides: [1] };
    yield stridedFloat32(bytes, dtype, view, (found, expected) => {
      throw new InputError({ file: file.path, where: `tensor ${name}`, found, expected });
    });
  }
}
