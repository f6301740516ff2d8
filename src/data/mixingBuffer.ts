// Activations mixed on the fly, without a store on disk: an ActivationSource over whatever produces them in the order of the texts.
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { readSafetensors, tensorFloat32, writeSafetensors } from "../formats/safetensors.ts";
import { type ActivationCursor, type ActivationSource, parseCursor } from "./activationSource.ts";
import { SeededRandom } from "./seededRandom.ts";

/** Activations in the order of the texts: a model that runs over windows of tokens. */
export interface ActivationProducer {
  /** The next rows [rows, d_in] float32 (not changed by anyone afterwards), or null at the end and from then on. */
  next(): Promise<{ x: Float32Array; rows: number } | null>;
  /** JSON: where it stands behind the last chunk that `next` gave. */
  cursor(): unknown;
  close(): Promise<void>;
}

export interface MixingBufferOptions {
  readonly d_in: number;
  /** Opens the producer at its start (null), or where one of its cursors says; the same rows must then follow. */
  readonly openProducer: (cursor: unknown) => Promise<ActivationProducer>;
  /** Fixes the order. */
  readonly seed: number;
  /** Rows at which the buffer counts as full; it holds up to one chunk of the producer more. */
  readonly bufferRows: number;
  /** Share of a full buffer that stays for the next mixing, from 0 to below 1; SAELens' default 0.5. */
  readonly mixFraction?: number;
  /** Where `cursor()` puts the buffer's rows; made when needed. A folder for this source alone. */
  readonly folder: string;
  readonly cursor?: ActivationCursor;
}

const cursorSchema = z.strictObject({
  source: z.literal("mixing_buffer"),
  d_in: z.int(),
  seed: z.int(),
  buffer_rows: z.int(),
  mix_fraction: z.number(),
  /** How often the buffer had been filled; 0: nothing has been asked of the source. */
  fill: z.int().nonnegative(),
  /** Rows delivered since. */
  position: z.int().nonnegative(),
  /** The buffer as it was after that filling, in the order of delivery. */
  rows: z.int().nonnegative(),
  file: z
    .string()
    .regex(/^mixing_buffer_\d+(_[0-9a-f]+)?\.safetensors$/)
    .nullable(),
  crc32: z.int(),
  /** Whether the producer had come to its end by then. */
  ended: z.boolean(),
  producer: z.unknown(),
});
type Cursor = z.infer<typeof cursorSchema>;

/**
 * Opens the source. As in SAELens, the buffer is filled, mixed, and delivered until `mixFraction` of it is left; what is left
 * is mixed with the rows that fill it again. So a row waits one filling or, with the default and falling by half each time,
 * several; rows that are harvested together spread over at least half a buffer. At the producer's end everything left is
 * mixed and delivered, so each row comes exactly once.
 *
 * Resumption: the rows that were kept come from the whole past, so they can't be harvested again. `cursor()` writes the
 * buffer as it stood after its last filling to a file in `folder` (at most once a filling) and returns where the producer
 * stood then; a source opened with it delivers the same bits. The files of the last two cursors are kept: the caller must
 * have stored one cursor before it asks for the next. A source from the start also keeps, until its second file, those that
 * it found: they may be of the source before it in the same folder, whose cursor is the one stored until then.
 */
export async function createMixingBuffer(options: MixingBufferOptions): Promise<ActivationSource> {
  const { bufferRows, mixFraction = 0.5 } = options;
  if (!Number.isInteger(bufferRows) || bufferRows < 1)
    throw new RangeError(`bufferRows must be a whole number from 1, not ${bufferRows}`);
  if (!(mixFraction >= 0 && mixFraction < 1))
    throw new RangeError(`mixFraction must be from 0 to below 1, not ${mixFraction}`);
  const start: Cursor = {
    source: "mixing_buffer",
    d_in: options.d_in,
    seed: options.seed,
    buffer_rows: bufferRows,
    mix_fraction: mixFraction,
    fill: 0,
    position: 0,
    rows: 0,
    file: null,
    crc32: 0,
    ended: false,
    producer: null,
  };
  const cursor = options.cursor ? parseCursor(options.folder, options.cursor, cursorSchema, start, fixed) : start;
  const values = cursor.file ? await readBuffer(options.folder, cursor) : new Float32Array(0);
  return new MixingBuffer(options.folder, cursor, values, await options.openProducer(cursor.producer));
}

/** What decides the order. */
const fixed = ["d_in", "seed", "buffer_rows", "mix_fraction"] as const;

async function readBuffer(folder: string, cursor: Cursor): Promise<Float32Array> {
  const path = join(folder, cursor.file!);
  const values = await tensorFloat32(await readSafetensors(path), "activations", [cursor.rows, cursor.d_in]);
  if (crc32(bytesOf(values)) !== cursor.crc32) {
    throw new InputError({
      file: path,
      found: "another checksum",
      expected: "the rows that the cursor was taken with",
    });
  }
  return values;
}

class MixingBuffer implements ActivationSource {
  readonly d_in: number;
  readonly #folder: string;
  readonly #producer: ActivationProducer;
  /** As of the last filling, but for `position`; `file` is null while it has not been written. */
  #state: Cursor;
  /** Slots of d_in values; which of them hold rows, and when their turn comes, says #order. */
  #values: Float32Array;
  #order: Uint32Array;
  /** Slots that hold no row which is still to come, beside those of the rows delivered since the last filling. */
  #free: number[] = [];
  #closed = false;
  /** In the names of its files, since another device may give other bits at the same filling of the source before it. */
  readonly #own = randomBytes(4).toString("hex");
  /** File of the cursor before the last. */
  #earlierFile: string | null = null;
  #lastFile: string | null;

  constructor(folder: string, state: Cursor, values: Float32Array, producer: ActivationProducer) {
    this.d_in = state.d_in;
    this.#folder = folder;
    this.#state = state;
    this.#values = values;
    this.#order = Uint32Array.from({ length: state.rows }, (_, i) => i);
    this.#producer = producer;
    this.#lastFile = state.file;
  }

  async next(rows: number): Promise<{ x: Float32Array; rows: number } | null> {
    if (this.#closed) throw new Error("this source of activations is closed");
    const d = this.d_in;
    const x = new Float32Array(rows * d);
    let done = 0;
    while (done < rows) {
      const { position, ended, mix_fraction, buffer_rows } = this.#state;
      const limit = ended ? this.#order.length : this.#order.length - Math.floor(buffer_rows * mix_fraction);
      if (position >= limit) {
        if (ended) break;
        await this.#fill();
        continue;
      }
      const count = Math.min(rows - done, limit - position);
      for (let i = 0; i < count; i++) {
        const from = this.#order[position + i]! * d;
        x.set(this.#values.subarray(from, from + d), (done + i) * d);
      }
      done += count;
      this.#state = { ...this.#state, position: position + count };
    }
    if (done === 0 && rows > 0) return null;
    return done === rows ? { x, rows } : { x: x.slice(0, done * d), rows: done };
  }

  /** New rows go into the slots of those that were delivered; then the turns of all are drawn anew. */
  async #fill(): Promise<void> {
    const { position, fill, seed, buffer_rows } = this.#state;
    const free = [...this.#free, ...this.#order.subarray(0, position)];
    const order = [...this.#order.subarray(position)];
    let slots = free.length + order.length;
    let ended = false;
    while (order.length < buffer_rows) {
      const chunk = await this.#producer.next();
      if (!chunk) {
        ended = true;
        break;
      }
      if (chunk.x.length !== chunk.rows * this.d_in) {
        throw new RangeError(`the producer gave ${chunk.x.length} values for ${chunk.rows} rows of ${this.d_in}`);
      }
      this.#reserve(Math.max(buffer_rows, slots + Math.max(0, chunk.rows - free.length)));
      for (let row = 0; row < chunk.rows; row++) {
        const slot = free.pop() ?? slots++;
        this.#values.set(chunk.x.subarray(row * this.d_in, (row + 1) * this.d_in), slot * this.d_in);
        order.push(slot);
      }
    }
    this.#free = free;
    // The draw sees turns only, never slots, so a resumed buffer, whose slots lie otherwise, goes on with the same rows.
    this.#order = SeededRandom.derive(seed, "mixing", fill).shuffle(Uint32Array.from(order));
    this.#state = {
      ...this.#state,
      fill: fill + 1,
      position: 0,
      rows: order.length,
      file: null,
      crc32: 0,
      ended,
      producer: this.#producer.cursor(),
    };
  }

  #reserve(slots: number): void {
    if (slots * this.d_in <= this.#values.length) return;
    const values = new Float32Array(slots * this.d_in);
    values.set(this.#values);
    this.#values = values;
  }

  async cursor(): Promise<ActivationCursor> {
    const { fill, file, rows } = this.#state;
    if (fill > 0 && file === null) {
      const name = `mixing_buffer_${fill}_${this.#own}.safetensors`;
      let sum = 0;
      const values = this.#values;
      const [order, d] = [this.#order, this.d_in];
      const step = Math.max(1, Math.floor(2 ** 20 / (4 * d)));
      await mkdir(this.#folder, { recursive: true });
      await writeSafetensors(join(this.#folder, name), {
        activations: {
          shape: [rows, d],
          dtype: "F32",
          *data() {
            for (let at = 0; at < rows; at += step) {
              const count = Math.min(step, rows - at);
              const chunk = new Float32Array(count * d);
              for (let i = 0; i < count; i++) {
                const from = order[at + i]! * d;
                chunk.set(values.subarray(from, from + d), i * d);
              }
              sum = crc32(bytesOf(chunk), sum);
              yield bytesOf(chunk);
            }
          },
        },
      });
      this.#state = { ...this.#state, file: name, crc32: sum };
      this.#earlierFile = this.#lastFile;
      this.#lastFile = name;
      if (this.#earlierFile !== null) await this.#removeOldFiles();
    }
    return { ...this.#state };
  }

  async #removeOldFiles(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const ours = /^\.?mixing_buffer_\d+(_[0-9a-f]+)?\.safetensors/.test(name);
      if (ours && name !== this.#lastFile && name !== this.#earlierFile)
        await rm(join(this.#folder, name), { force: true });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#producer.close();
    this.#values = new Float32Array(0);
  }
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
