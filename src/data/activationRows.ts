// Plain reading of harvested activations in the order of the harvest: for evaluation, statistics, and splits into training and test part.
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { InputError } from "../formats/inputError.ts";
import { readSafetensors, tensorData } from "../formats/safetensors.ts";
import {
  type ActivationShard,
  type ActivationStore,
  checkedRange,
  MANIFEST_FILE,
  type RowRange,
  readActivationStore,
  SHARD_TENSORS,
} from "./activationManifest.ts";

const READ_BYTES = 2 ** 20;

/** Rows in order, [rows, d_in] float32 a chunk; `from` is the store's number of the chunk's first row. Chunks are full except the last. */
export async function* readActivations(
  folder: string,
  options: Partial<RowRange> & { readonly chunkRows: number },
): AsyncGenerator<{ x: Float32Array; rows: number; from: number }> {
  const store = await readActivationStore(folder);
  const range = checkedRange(store, options);
  for (let from = range.from; from < range.to; from += options.chunkRows) {
    const rows = Math.min(options.chunkRows, range.to - from);
    yield { x: await rowsOf(store, { from, to: from + rows }), rows, from };
  }
}

/** Moments of a range of rows, in float64. */
export interface ActivationStatistics {
  readonly rows: number;
  /** Mean ‖x‖: expected_average_only_in scales by √d_in over this. */
  readonly meanNorm: number;
  /** [d_in] */
  readonly mean: Float64Array;
  /** [d_in] of the population (divided by the number of rows). */
  readonly variance: Float64Array;
}

/** Whole shards by the sums that lie in them, the rest read. */
export async function activationStatistics(
  store: ActivationStore,
  range?: Partial<RowRange>,
): Promise<ActivationStatistics> {
  const { from, to } = checkedRange(store, range);
  const d = store.manifest.d_in;
  const sum = new Float64Array(d);
  const sumOfSquares = new Float64Array(d);
  let normSum = 0;
  for (const shard of store.shards) {
    const begin = Math.max(from, shard.first);
    const end = Math.min(to, shard.first + shard.rows);
    if (begin >= end) continue;
    if (end - begin === shard.rows) {
      const file = await readSafetensors(shard.path);
      const sums = (await tensorData(file, SHARD_TENSORS.sum)) as Float64Array;
      const squares = (await tensorData(file, SHARD_TENSORS.sumOfSquares)) as Float64Array;
      for (let j = 0; j < d; j++) {
        sum[j]! += sums[j]!;
        sumOfSquares[j]! += squares[j]!;
      }
      normSum += shard.normSum;
      continue;
    }
    const step = Math.max(1, Math.floor(READ_BYTES / store.rowBytes));
    for (let at = begin; at < end; at += step) {
      const x = await rowsOf(store, { from: at, to: Math.min(end, at + step) });
      for (let i = 0; i < x.length; ) {
        let squares = 0;
        for (let j = 0; j < d; j++, i++) {
          const value = x[i]!;
          sum[j]! += value;
          sumOfSquares[j]! += value * value;
          squares += value * value;
        }
        normSum += Math.sqrt(squares);
      }
    }
  }
  const rows = to - from;
  const mean = sum.map((value) => value / rows);
  const variance = sumOfSquares.map((value, j) => Math.max(0, value / rows - mean[j]! ** 2));
  return { rows, meanNorm: normSum / rows, mean, variance };
}

/**
 * Splits off the end of the harvest for evaluation: about a share (above 0, below 1) of the rows, or a number of them. Where
 * the harvest noted documents, the cut is moved to the next border between two (else the one before), so that no document
 * has rows in both parts; else it is made at that row. Throws InputError where no such cut leaves rows on both sides.
 */
export async function holdOut(
  store: ActivationStore,
  part: { readonly share: number } | { readonly rows: number },
): Promise<{ train: RowRange; test: RowRange }> {
  const total = store.manifest.rows;
  const wanted = "rows" in part ? part.rows : Math.ceil(total * part.share);
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file: join(store.folder, MANIFEST_FILE), where: "rows", found, expected });
  };
  if (!(Number.isInteger(wanted) && wanted > 0 && wanted < total)) {
    refuse(`${total} rows, of which to hold out ${wanted}`, "rows for training and for evaluation");
  }
  let cut: number | null = total - wanted;
  if (store.shards.every(({ hasDocuments }) => hasDocuments)) {
    cut = await documentBorder(store, cut);
    if (cut === null) return refuse("a single document", "two, or a harvest for evaluation of its own");
  }
  return { train: { from: 0, to: cut }, test: { from: cut, to: total } };
}

/** The first row at or after `row`, else the last before it, at which another document begins than the row before belongs to. */
async function documentBorder(store: ActivationStore, row: number): Promise<number | null> {
  let last: number | null = null;
  let before: number | undefined;
  for (const shard of store.shards) {
    const documents = (await tensorData(await readSafetensors(shard.path), SHARD_TENSORS.documents)) as Uint32Array;
    for (let i = 0; i < documents.length; i++) {
      const isBorder = before !== undefined && documents[i] !== before;
      before = documents[i]!;
      if (!isBorder) continue;
      if (shard.first + i >= row) return shard.first + i;
      last = shard.first + i;
    }
  }
  return last;
}

/** Reads every shard and compares it with its checksum; throws InputError, naming the shard, where they differ. */
export async function verifyActivations(store: ActivationStore): Promise<void> {
  const buffer = new Uint8Array(READ_BYTES);
  for (const shard of store.shards) {
    let sum = 0;
    const bytes = shard.rows * store.rowBytes;
    const file = await open(shard.path, "r");
    try {
      for (let done = 0; done < bytes; done += READ_BYTES) {
        const part = buffer.subarray(0, Math.min(READ_BYTES, bytes - done));
        await readFully(file, shard, part, shard.offset + done);
        sum = crc32(part, sum);
      }
    } finally {
      await file.close();
    }
    checkSum(shard, sum);
  }
}

export function checkSum(shard: ActivationShard, sum: number): void {
  if (sum === shard.crc32) return;
  const [found, expected] = [sum, shard.crc32].map((value) => `CRC-32 ${value.toString(16).padStart(8, "0")}`);
  throw new InputError({
    file: shard.path,
    where: "tensor activations",
    found: found!,
    expected: `${expected}: the file is damaged`,
  });
}

/** Fills `target` from a shard's file. */
export async function readFully(
  file: FileHandle,
  shard: ActivationShard,
  target: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(target, done, Math.min(target.length - done, 1 << 30), position + done);
    if (bytesRead === 0) {
      const expected = `${position + target.length} bytes, as its manifest says`;
      throw new InputError({ file: shard.path, found: `the end at byte ${position + done}`, expected });
    }
    done += bytesRead;
  }
}

async function rowsOf(store: ActivationStore, { from, to }: RowRange): Promise<Float32Array> {
  const d = store.manifest.d_in;
  const x = new Float32Array((to - from) * d);
  for (const shard of store.shards) {
    const begin = Math.max(from, shard.first);
    const end = Math.min(to, shard.first + shard.rows);
    if (begin >= end) continue;
    const part = x.subarray((begin - from) * d, (end - from) * d);
    const raw = store.manifest.dtype === "float32" ? part : new Float16Array(part.length);
    const file = await open(shard.path, "r");
    try {
      const bytes = new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
      await readFully(file, shard, bytes, shard.offset + (begin - shard.first) * store.rowBytes);
    } finally {
      await file.close();
    }
    if (raw !== part) part.set(raw);
  }
  return x;
}
