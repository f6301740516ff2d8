// Messages between two processes over a stream of bytes. Arrays travel as they lie in memory, behind the message that they are in: neither copied into it nor bounded by its size, and read straight to where they stay.
import type { Duplex } from "node:stream";
import { DefaultDeserializer, DefaultSerializer } from "node:v8";
import { Turns } from "./turns.ts";

const TYPES = [Uint8Array, Int32Array, Uint32Array, Float32Array, Float64Array] as const;
/** Bytes given to the stream at a time. */
const PIECE = 64 * 2 ** 20;
/** Of a message's first bytes: how long the message is, and how many arrays follow, two float64. */
const HEADER = 16;

type Numbers = InstanceType<(typeof TYPES)[number]>;

export interface MessageHandlers {
  readonly message: (message: unknown) => void;
  /** The stream has closed: the other end is gone, or (`why`) what comes from it can't be read. */
  readonly end: (why?: Error) => void;
}

export class MessageChannel {
  readonly #stream: Duplex;
  readonly #reader: Generator<undefined, never, Uint8Array>;
  readonly #turns = new Turns();
  #why: Error | undefined;

  constructor(stream: Duplex, { message, end }: MessageHandlers) {
    this.#stream = stream;
    this.#reader = readMessages(message);
    this.#reader.next();
    stream.on("data", (chunk: Uint8Array) => this.take(chunk));
    // A broken stream closes; who has ended, and why, is said elsewhere.
    stream.on("error", () => {});
    stream.on("close", () => end(this.#why));
  }

  /** Bytes that have come; they aren't kept. For a socket that reads into a buffer of its own and gives no "data". */
  take(chunk: Uint8Array): void {
    try {
      if (!this.#why) this.#reader.next(chunk);
    } catch (error) {
      this.#why = error as Error;
      this.#stream.destroy();
    }
  }

  /** Messages are sent in order. What their arrays hold is read until the promise is done: it must not change before. */
  async send(message: unknown): Promise<void> {
    const { bytes, arrays } = written(message);
    await this.#turns.take(async () => {
      for (const part of [bytes, ...arrays]) {
        for (let at = 0; at < part.length; at += PIECE) await this.#write(part.subarray(at, at + PIECE));
      }
    });
  }

  close(): void {
    this.#stream.destroy();
  }

  #write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
}

/** A message as bytes, with the lengths of its arrays before it, and the bytes of those. */
function written(message: unknown): { bytes: Uint8Array; arrays: Uint8Array[] } {
  const writer = new ArrayWriter();
  writer.writeHeader();
  writer.writeValue(message);
  const content = writer.releaseBuffer();
  const { arrays } = writer;
  const bytes = new Uint8Array(HEADER + 8 * arrays.length + content.length);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, content.length, true);
  view.setFloat64(8, arrays.length, true);
  for (const [n, array] of arrays.entries()) view.setFloat64(HEADER + 8 * n, array.length, true);
  bytes.set(content, HEADER + 8 * arrays.length);
  return { bytes, arrays };
}

/** Takes the stream's bytes as they come and gives each message as soon as it is whole. */
function* readMessages(give: (message: unknown) => void): Generator<undefined, never, Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  const take = function* (length: number): Generator<undefined, Uint8Array<ArrayBuffer>, Uint8Array> {
    const target = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      if (rest.length === 0) rest = yield;
      const part = rest.subarray(0, length - at);
      target.set(part, at);
      at += part.length;
      rest = rest.subarray(part.length);
    }
    return target;
  };
  for (;;) {
    const header = new DataView((yield* take(HEADER)).buffer);
    const [length, count] = [header.getFloat64(0, true), header.getFloat64(8, true)];
    const lengths = new Float64Array((yield* take(8 * count)).buffer);
    const content = yield* take(length);
    const arrays: ArrayBuffer[] = [];
    for (const bytes of lengths) arrays.push((yield* take(bytes)).buffer);
    const reader = new ArrayReader(content, arrays);
    reader.readHeader();
    give(reader.readValue());
  }
}

class ArrayWriter extends DefaultSerializer {
  readonly arrays: Uint8Array[] = [];

  /** Called by the base class. */
  _writeHostObject(view: Numbers): void {
    const type = TYPES.findIndex((one) => view instanceof one);
    if (type < 0) throw new Error(`a message can't hold a ${(view as object).constructor.name}`);
    this.writeUint32(type);
    this.writeUint32(this.arrays.length);
    this.arrays.push(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  }
}

class ArrayReader extends DefaultDeserializer {
  readonly #arrays: readonly ArrayBuffer[];

  constructor(content: Uint8Array, arrays: readonly ArrayBuffer[]) {
    super(content);
    this.#arrays = arrays;
  }

  /** Called by the base class. */
  _readHostObject(): Numbers {
    const type = TYPES[this.readUint32()]!;
    return new type(this.#arrays[this.readUint32()]!);
  }
}
