// Codes of a text in one file, batch by batch, as they were computed: what a build of an index that was interrupted reads again instead of asking the model anew.
import { closeSync, existsSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { SparseCodes } from "../engine/engine.ts";

/** Rows, activations, and a checksum of them and of the arrays that follow: offsets, indices, values. */
const HEADER_BYTES = 12;
const CUT_SHORT = "cut short";

/**
 * First gives back the batches that an earlier build left, as long as they are whole, and then takes new ones. A batch that a kill
 * cut short, or that is damaged, ends what is given back, and is written over.
 */
export class CodeJournal {
  readonly #file: number;
  readonly #width: number;
  /** End of what is known to be whole. */
  #end: number;
  #reading = true;

  /** `identity` says what the codes depend on; a file of anything else is emptied. `width`: features of the ensemble. */
  constructor(path: string, identity: string, width: number) {
    this.#width = width;
    this.#file = openSync(path, existsSync(path) ? "r+" : "w+");
    const header = Buffer.from(`${identity}\n`);
    const found = Buffer.alloc(header.length);
    const same = readSync(this.#file, found, 0, found.length, 0) === found.length && found.equals(header);
    if (!same) {
      ftruncateSync(this.#file);
      write(this.#file, header, 0);
    }
    this.#end = header.length;
  }

  /** The next batch of an earlier build, if it is of `rows` rows; otherwise undefined, now and ever after: then the codes are to be computed and put. */
  next(rows: number): SparseCodes | undefined {
    if (!this.#reading) return undefined;
    try {
      return this.#read(rows);
    } catch (error) {
      if ((error as Error).message !== CUT_SHORT) throw error;
      this.#reading = false;
      ftruncateSync(this.#file, this.#end);
      return undefined;
    }
  }

  put({ rows, offsets, indices, values }: SparseCodes): void {
    const parts = [
      offsets.subarray(0, rows + 1),
      indices.subarray(0, offsets[rows]),
      values.subarray(0, offsets[rows]),
    ];
    const header = new Uint32Array([rows, offsets[rows]!, 0]);
    header[2] = checksum([header.subarray(0, 2), ...parts]);
    for (const part of [header, ...parts]) this.#end = write(this.#file, bytes(part), this.#end);
  }

  close(): void {
    closeSync(this.#file);
  }

  #read(expected: number): SparseCodes {
    let at = this.#end;
    const take = <T extends Uint32Array | Float32Array>(array: T): T => {
      const to = bytes(array);
      for (let done = 0; done < to.length; ) {
        const read = readSync(this.#file, to, done, Math.min(to.length - done, 1 << 30), at + done);
        if (read === 0) throw new Error(CUT_SHORT);
        done += read;
      }
      at += to.length;
      return array;
    };
    const header = take(new Uint32Array(HEADER_BYTES / 4));
    const [rows, entries, sum] = header as unknown as [number, number, number];
    if (rows !== expected || entries > rows * this.#width) throw new Error(CUT_SHORT);
    const offsets = take(new Uint32Array(rows + 1));
    if (offsets[rows] !== entries) throw new Error(CUT_SHORT);
    const indices = take(new Uint32Array(entries));
    const values = take(new Float32Array(entries));
    if (checksum([header.subarray(0, 2), offsets, indices, values]) !== sum) throw new Error(CUT_SHORT);
    this.#end = at;
    return { rows, width: this.#width, offsets, indices, values };
  }
}

function bytes(array: Uint32Array | Float32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function checksum(arrays: readonly (Uint32Array | Float32Array)[]): number {
  return arrays.reduce((sum, array) => crc32(bytes(array), sum), 0);
}

/** Writes all of it at a place; the place behind it. */
function write(file: number, data: Uint8Array, at: number): number {
  for (let done = 0; done < data.length; )
    done += writeSync(file, data, done, Math.min(data.length - done, 1 << 30), at + done);
  return at + data.length;
}
