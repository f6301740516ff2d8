// A tensor of a safetensors file piece by piece: a large one is never in memory twice, and is worked on while it is read.
import { InputError } from "./inputError.ts";
import { readInto, withFile } from "./readAt.ts";
import { stridedFloat32 } from "./stridedTensor.ts";
import { BYTES_PER_ELEMENT, type Safetensors, tensorEntryOf } from "./tensorEntry.ts";

/** About so many bytes a piece: of a wide matrix to be turned, enough rows that a page it goes to is worth its visit. */
const PIECE = 16 << 20;
/** Pieces that are read while one is worked on. */
const AHEAD = 2;

export interface PieceOptions {
  /** Elements that a piece holds a multiple of; 1 by default. */
  readonly row?: number;
  /** Where all elements go; pieces are then parts of it. */
  readonly into?: Float32Array<ArrayBuffer>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives the elements in order, as float32, to `use`; what it is given without `into` is overwritten afterwards.
 * Throws InputError for a dtype that holds no numbers we can convert (F8).
 */
export async function eachPiece(
  file: Safetensors,
  name: string,
  { row = 1, into, signal }: PieceOptions,
  use: (values: Float32Array) => void,
): Promise<void> {
  const { dtype, offset, length } = tensorEntryOf(file, name);
  const size = BYTES_PER_ELEMENT[dtype];
  if (into && into.length * size !== length) throw new RangeError(`${into.length} places for ${length / size} values`);
  const step = Math.max(1, Math.floor(PIECE / (row * size))) * row * size;
  const straight = into !== undefined && dtype === "F32";
  const buffers = straight ? [] : Array.from({ length: AHEAD + 1 }, () => new ArrayBuffer(Math.min(step, length)));
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file: file.path, where: `tensor ${name}`, found, expected });
  };
  await withFile(file.path, async (handle) => {
    const read = async (piece: number): Promise<Uint8Array<ArrayBuffer>> => {
      const at = piece * step;
      const count = Math.min(step, length - at);
      const bytes = straight
        ? new Uint8Array(into.buffer, into.byteOffset + at, count)
        : new Uint8Array(buffers[piece % buffers.length]!, 0, count);
      await readInto(handle, file.path, offset + at, bytes);
      return bytes;
    };
    const pieces = Math.ceil(length / step);
    const reading: Promise<Uint8Array<ArrayBuffer>>[] = [];
    const begin = (piece: number): void => {
      if (piece >= pieces) return;
      reading[piece] = read(piece);
      // Where an earlier piece fails nobody waits for this one.
      reading[piece].catch(() => {});
    };
    try {
      for (let piece = 0; piece < AHEAD; piece++) begin(piece);
      for (let piece = 0; piece < pieces; piece++) {
        signal?.throwIfAborted();
        begin(piece + AHEAD);
        const bytes = await reading[piece]!;
        delete reading[piece];
        const count = bytes.length / size;
        const values = straight
          ? new Float32Array(bytes.buffer, bytes.byteOffset, count)
          : stridedFloat32(bytes, dtype, { offset: 0, shape: [count], strides: [1] }, refuse);
        if (!into || straight) use(values);
        else {
          into.set(values, (piece * step) / size);
          use(into.subarray((piece * step) / size, (piece * step) / size + count));
        }
      }
    } finally {
      // The file is closed only when nothing reads from it any more.
      await Promise.allSettled(reading);
    }
  });
}
