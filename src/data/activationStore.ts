// Harvested activations read back in a seeded shuffle: an ActivationSource over a folder of shards. Writing: activationWriter.ts; in order: activationRows.ts.
import { open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { type ActivationStore, checkedRange, type RowRange, readActivationStore } from "./activationManifest.ts";
import { checkSum, readFully } from "./activationRows.ts";
import { type ActivationCursor, type ActivationSource, parseCursor } from "./activationSource.ts";
import { SeededRandom } from "./seededRandom.ts";

export interface OpenActivationStoreOptions {
  /** Fixes the order. Every member and every method that opens the store with one seed sees the same batches. */
  readonly seed: number;
  /** How often every row comes, at least 1; each pass has an order of its own. */
  readonly passes: number;
  /** The part that is read, for example `holdOut(…).train`; everything by default. */
  readonly range?: RowRange;
  /** Memory for rows, in bytes; 1 GiB by default. The order depends on it where the range doesn't fit: see below. */
  readonly bufferBytes?: number;
  /** Goes on behind what a source with the same seed, passes and range had delivered. */
  readonly cursor?: ActivationCursor;
}

/** Consecutive rows of one shard, read at once. */
interface Block {
  readonly shard: number;
  /** Counted from the shard's first row. */
  readonly first: number;
  readonly rows: number;
}

export const BUFFER_BYTES = 2 ** 30;
const BLOCK_BYTES = 2 ** 20;
const READS_IN_FLIGHT = 4;

const cursorSchema = z.strictObject({
  source: z.literal("activation_store"),
  seed: z.int(),
  passes: z.int().positive(),
  from: z.int(),
  to: z.int(),
  d_in: z.int(),
  dtype: z.string(),
  buffer_bytes: z.int().positive(),
  /** Rows delivered, over all passes. */
  position: z.int().nonnegative(),
});

/**
 * Opens a complete store as a shuffled source. Mixing:
 * - A range that fits into `bufferBytes` is loaded once (checksums compared) and each pass is a uniformly random permutation
 *   of all its rows.
 * - A larger one is cut into blocks of about 1 MiB of consecutive rows. Each pass puts the blocks into a random order,
 *   fills half the buffer with as many as it holds, and delivers those rows in a uniformly random order while the other
 *   half is being filled. So rows of one block (some hundred tokens in a row) come within the same group of
 *   bufferBytes / 2, spread uniformly over it: with the default and 1 MiB blocks a batch draws from 512 places of the
 *   data at once, and the share of pairs in a batch that come from one block is 1 in 512 against 1 in the number of all
 *   blocks under a global permutation.
 * Resumption is exact and cheap: the order is a function of (seed, pass, group), so the cursor is a position.
 * Throws InputError where the store is incomplete or damaged or the cursor is another store's.
 */
export async function openActivationStore(
  folder: string,
  options: OpenActivationStoreOptions,
): Promise<ActivationSource> {
  const store = await readActivationStore(folder);
  const range = checkedRange(store, options.range);
  const { seed, passes } = options;
  if (!Number.isSafeInteger(passes) || passes < 1)
    throw new RangeError(`passes must be a whole number from 1, not ${passes}`);
  const bufferBytes = options.bufferBytes ?? BUFFER_BYTES;
  const { d_in, dtype } = store.manifest;
  const start = {
    source: "activation_store",
    seed,
    passes,
    ...range,
    d_in,
    dtype,
    buffer_bytes: bufferBytes,
    position: 0,
  } as const;
  return new ShuffledStore(
    store,
    options.cursor ? parseCursor(folder, options.cursor, cursorSchema, start, fixed) : start,
  );
}

type Cursor = z.infer<typeof cursorSchema>;

/** What decides the order; buffer_bytes does too, but an interrupted pass keeps the one that it began with. */
const fixed = ["seed", "passes", "from", "to", "d_in", "dtype"] as const;

class ShuffledStore implements ActivationSource {
  readonly d_in: number;
  readonly #store: ActivationStore;
  readonly #cursor: Cursor;
  readonly #blocks: readonly Block[];
  /** Blocks of group g: from #bounds[g] to #bounds[g + 1] in the pass's order. */
  readonly #bounds: readonly number[];
  readonly #passRows: number;
  #position: number;
  #group: Group | null = null;
  /** The group after #group, being read. */
  #upcoming: Promise<Group> | null = null;
  #closed = false;

  constructor(store: ActivationStore, cursor: Cursor) {
    this.d_in = store.manifest.d_in;
    this.#store = store;
    this.#cursor = cursor;
    this.#position = cursor.position;
    this.#passRows = cursor.to - cursor.from;
    this.#blocks = blocksOf(store, cursor);
    const fits = this.#passRows * store.rowBytes <= cursor.buffer_bytes;
    const rowsAGroup = cursor.buffer_bytes / 2 / store.rowBytes;
    const blocksAGroup = Math.max(1, Math.floor(rowsAGroup / blockRows(store)));
    // Groups of equal size: a small last one would be a badly mixed tail.
    const groups = fits ? 1 : Math.ceil(this.#blocks.length / blocksAGroup);
    this.#bounds = Array.from({ length: groups + 1 }, (_, g) => Math.floor((g * this.#blocks.length) / groups));
  }

  async next(rows: number): Promise<{ x: Float32Array; rows: number } | null> {
    if (this.#closed) throw new Error("this source of activations is closed");
    const wanted = Math.min(rows, this.#passRows * this.#cursor.passes - this.#position);
    if (wanted <= 0) return null;
    const x = new Float32Array(wanted * this.d_in);
    for (let done = 0; done < wanted; ) {
      const group = await this.#groupAtPosition();
      const at = this.#position - group.start;
      const count = Math.min(wanted - done, group.rows - at);
      group.gather(x, done, at, count, this.d_in);
      done += count;
      this.#position += count;
    }
    return { x, rows: wanted };
  }

  async cursor(): Promise<ActivationCursor> {
    return { ...this.#cursor, position: this.#position };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#upcoming?.catch(() => {});
    this.#upcoming = null;
    this.#group = null;
  }

  async #groupAtPosition(): Promise<Group> {
    const group = this.#group;
    if (group && this.#position < group.start + group.rows) return group;
    if (group && this.#bounds.length === 2) {
      // The one group that holds everything stays in memory; a new pass is a new order.
      return this.#install(this.#shuffled(group.pass + 1, 0, group.start + group.rows, group.values));
    }
    const upcoming = this.#upcoming;
    this.#upcoming = null;
    const next = upcoming ? await upcoming : await this.#loadAt(this.#position);
    // The buffer that is now free takes the group after.
    const end = next.start + next.rows;
    if (this.#bounds.length > 2 && end < this.#passRows * this.#cursor.passes) {
      this.#upcoming = this.#loadAt(end, group?.values);
      // An error is reported by the call that awaits it, and must not end the process before.
      this.#upcoming.catch(() => {});
    }
    return this.#install(next);
  }

  #install(group: Group): Group {
    this.#group = group;
    return group;
  }

  /** Reads the group that holds a position. */
  async #loadAt(position: number, reuse?: Values): Promise<Group> {
    const pass = Math.floor(position / this.#passRows);
    const order = this.#blockOrder(pass);
    let start = pass * this.#passRows;
    for (let g = 0; ; g++) {
      const blocks = [...order.subarray(this.#bounds[g]!, this.#bounds[g + 1]!)].map((index) => this.#blocks[index]!);
      const rows = blocks.reduce((sum, block) => sum + block.rows, 0);
      if (position < start + rows) {
        const values = reuse && reuse.length >= rows * this.d_in ? reuse : this.#allocate();
        await readBlocks(this.#store, blocks, values);
        return this.#shuffled(pass, g, start, values, rows);
      }
      start += rows;
    }
  }

  /** Room for the largest group. */
  #allocate(): Values {
    const groups = this.#bounds.length - 1;
    const blocks = Math.ceil(this.#blocks.length / groups);
    const rows = groups === 1 ? this.#passRows : blocks * blockRows(this.#store);
    return this.#store.manifest.dtype === "float32"
      ? new Float32Array(rows * this.d_in)
      : new Float16Array(rows * this.d_in);
  }

  #blockOrder(pass: number): Uint32Array {
    if (this.#bounds.length === 2) return Uint32Array.from(this.#blocks.keys());
    return SeededRandom.derive(this.#cursor.seed, "shuffle", "blocks", pass).permutation(this.#blocks.length);
  }

  #shuffled(pass: number, g: number, start: number, values: Values, rows = this.#passRows): Group {
    return new Group(
      pass,
      start,
      values,
      SeededRandom.derive(this.#cursor.seed, "shuffle", "rows", pass, g).permutation(rows),
    );
  }
}

type Values = Float32Array<ArrayBuffer> | Float16Array<ArrayBuffer>;

/** Rows in memory and the order in which they are delivered. */
class Group {
  readonly pass: number;
  /** Position (rows delivered before, over all passes) of its first row. */
  readonly start: number;
  readonly values: Values;
  readonly #order: Uint32Array;

  constructor(pass: number, start: number, values: Values, order: Uint32Array) {
    this.pass = pass;
    this.start = start;
    this.values = values;
    this.#order = order;
  }

  get rows(): number {
    return this.#order.length;
  }

  /** Copies the rows that come `at`, at + 1, … in the group's order to row `done` of x and on. */
  gather(x: Float32Array, done: number, at: number, count: number, d: number): void {
    for (let i = 0; i < count; i++) {
      const from = this.#order[at + i]! * d;
      x.set(this.values.subarray(from, from + d), (done + i) * d);
    }
  }
}

function blockRows(store: ActivationStore): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / store.rowBytes));
}

function blocksOf(store: ActivationStore, { from, to }: RowRange): Block[] {
  const blocks: Block[] = [];
  const step = blockRows(store);
  for (const [shard, { first, rows }] of store.shards.entries()) {
    const end = Math.min(to - first, rows);
    for (let at = Math.max(0, from - first); at < end; at += step) {
      blocks.push({ shard, first: at, rows: Math.min(step, end - at) });
    }
  }
  return blocks;
}

/** Fills `values` with the blocks' rows, in the order of the blocks; a shard that is read whole is checked against its sum. */
async function readBlocks(store: ActivationStore, blocks: readonly Block[], values: Values): Promise<void> {
  const bytes = new Uint8Array(values.buffer);
  const byShard = new Map<number, { block: Block; at: number }[]>();
  let at = 0;
  for (const block of blocks) {
    const reads = byShard.get(block.shard);
    if (reads) reads.push({ block, at });
    else byShard.set(block.shard, [{ block, at }]);
    at += block.rows * store.rowBytes;
  }
  for (const [index, reads] of byShard) {
    const shard = store.shards[index]!;
    const file = await open(shard.path, "r");
    try {
      const queue = reads.values();
      const work = async () => {
        for (const { block, at } of queue) {
          const target = bytes.subarray(at, at + block.rows * store.rowBytes);
          await readFully(file, shard, target, shard.offset + block.first * store.rowBytes);
        }
      };
      const workers = await Promise.allSettled(Array.from({ length: READS_IN_FLIGHT }, work));
      for (const worker of workers) if (worker.status === "rejected") throw worker.reason;
    } finally {
      await file.close();
    }
    if (reads.reduce((sum, { block }) => sum + block.rows, 0) < shard.rows) continue;
    let sum = 0;
    for (const { block, at } of reads.sort((a, b) => a.block.first - b.block.first)) {
      sum = crc32(bytes.subarray(at, at + block.rows * store.rowBytes), sum);
    }
    checkSum(shard, sum);
  }
}
