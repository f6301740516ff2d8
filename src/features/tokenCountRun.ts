// A run of (feature, token) counts on disk: written once in the order of features, read back once in the same order, then removed.
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { FeatureTokens, TokenEntries } from "./tokenCounts.ts";

/** token, count (uint32), sum (float64), maximum (float32). */
const entryBytes = 20;
const blockEntries = 1 << 16;

export class TokenCountRun {
  readonly #path: string;
  /** Entries of each feature. */
  readonly #lengths: Uint32Array;

  private constructor(path: string, lengths: Uint32Array) {
    this.#path = path;
    this.#lengths = lengths;
  }

  static write(folder: string, number: number, features: number, entries: TokenEntries): TokenCountRun {
    const path = join(folder, `tokens-${number}.run`);
    const lengths = new Uint32Array(features);
    for (let i = 0; i < features; i++) lengths[i] = entries.offsets[i + 1]! - entries.offsets[i]!;
    const file = openSync(path, "w");
    try {
      const total = entries.offsets[features]!;
      const view = new DataView(new ArrayBuffer(blockEntries * entryBytes));
      for (let start = 0; start < total; start += blockEntries) {
        const end = Math.min(total, start + blockEntries);
        for (let p = start, at = 0; p < end; p++, at += entryBytes) {
          view.setUint32(at, entries.tokens[p]!, true);
          view.setUint32(at + 4, entries.counts[p]!, true);
          view.setFloat64(at + 8, entries.sums[p]!, true);
          view.setFloat32(at + 16, entries.maxima[p]!, true);
        }
        writeSync(file, new Uint8Array(view.buffer, 0, (end - start) * entryBytes));
      }
    } finally {
      closeSync(file);
    }
    return new TokenCountRun(path, lengths);
  }

  /** Every feature's entries in order; the arrays are reused. */
  *read(): Generator<FeatureTokens> {
    const longest = this.#lengths.reduce((most, length) => Math.max(most, length), 1);
    const tokens = new Uint32Array(longest);
    const counts = new Uint32Array(longest);
    const sums = new Float64Array(longest);
    const maxima = new Float32Array(longest);
    const block = new Uint8Array(blockEntries * entryBytes);
    const view = new DataView(block.buffer);
    let at = 0;
    let filled = 0;
    const file = openSync(this.#path, "r");
    try {
      for (const length of this.#lengths) {
        for (let p = 0; p < length; p++, at += entryBytes) {
          if (at === filled) {
            filled = readFull(file, block);
            at = 0;
          }
          tokens[p] = view.getUint32(at, true);
          counts[p] = view.getUint32(at + 4, true);
          sums[p] = view.getFloat64(at + 8, true);
          maxima[p] = view.getFloat32(at + 16, true);
        }
        yield { length, tokens, counts, sums, maxima };
      }
    } finally {
      closeSync(file);
    }
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

/** Fills the block or reads to the end, which always falls between entries. */
function readFull(file: number, block: Uint8Array): number {
  let filled = 0;
  while (filled < block.length) {
    const read = readSync(file, block, filled, block.length - filled, null);
    if (read === 0) break;
    filled += read;
  }
  if (filled === 0 || filled % entryBytes !== 0) throw new Error("a temporary file of the index was cut short");
  return filled;
}
