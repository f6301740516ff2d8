// Messages between processes with arrays of any size: large arrays travel ahead in pieces, so that no message has to be serialised as one block of gigabytes.

/** Bytes of a piece. */
const PIECE = 32 * 2 ** 20;

type Numbers = Float32Array | Uint32Array;

interface Piece {
  readonly piece: number;
  readonly bytes: Uint8Array;
}

/** Stands in a message where a large array was. */
interface Placeholder {
  readonly pieces: number;
  readonly type: "Float32Array" | "Uint32Array";
  readonly length: number;
}

export type Send = (message: unknown) => Promise<void>;

/** Sends a message after the pieces of its large arrays. Messages of one sender must not overlap. */
export async function sendLarge(send: Send, message: unknown): Promise<void> {
  const arrays: Numbers[] = [];
  const light = replaced(message, arrays);
  for (const [piece, array] of arrays.entries()) {
    const all = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < all.length; at += PIECE) {
      await send({ piece, bytes: all.subarray(at, at + PIECE) } satisfies Piece);
    }
  }
  await send(light);
}

/** Puts messages together again; returns undefined for a piece, a whole message otherwise. */
export class LargeReceiver {
  #pieces = new Map<number, Uint8Array[]>();

  receive(message: unknown): unknown {
    const part = message as Partial<Piece>;
    if (part.bytes instanceof Uint8Array && typeof part.piece === "number") {
      const pieces = this.#pieces.get(part.piece) ?? [];
      pieces.push(part.bytes);
      this.#pieces.set(part.piece, pieces);
      return undefined;
    }
    const pieces = this.#pieces;
    this.#pieces = new Map();
    return restored(message, pieces);
  }
}

function replaced(value: unknown, arrays: Numbers[]): unknown {
  if (value instanceof Float32Array || value instanceof Uint32Array) {
    if (value.byteLength <= PIECE) return value;
    arrays.push(value);
    const type = value instanceof Float32Array ? "Float32Array" : "Uint32Array";
    return { pieces: arrays.length - 1, type, length: value.length } satisfies Placeholder;
  }
  if (Array.isArray(value)) return value.map((one) => replaced(one, arrays));
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replaced(one, arrays)]));
}

function restored(value: unknown, pieces: ReadonlyMap<number, Uint8Array[]>): unknown {
  if (ArrayBuffer.isView(value) || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((one) => restored(one, pieces));
  const { pieces: number, type, length } = value as Partial<Placeholder>;
  if (typeof number === "number" && type && typeof length === "number") {
    const array = type === "Float32Array" ? new Float32Array(length) : new Uint32Array(length);
    const bytes = new Uint8Array(array.buffer);
    let at = 0;
    for (const piece of pieces.get(number) ?? []) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return array;
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, restored(one, pieces)]));
}
