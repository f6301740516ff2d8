// Writes harvested activations to disk in shards. Killed at any moment, the folder holds whole shards only, and a new writer goes on behind them.
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { crc32 } from "node:zlib";
import { writeFileAtomic } from "../formats/atomicWrite.ts";
import { InputError } from "../formats/inputError.ts";
import { type TensorSource, writeSafetensors } from "../formats/safetensors.ts";
import {
  type ActivationDtype,
  type ActivationManifest,
  type ActivationProvenance,
  MANIFEST_FILE,
  readActivationManifest,
  SHARD_TENSORS,
} from "./activationManifest.ts";

export interface ActivationWriterOptions {
  readonly d_in: number;
  readonly dtype: ActivationDtype;
  readonly provenance: ActivationProvenance;
  /** Rows after which a shard is closed; by default those of 64 MiB. Up to one chunk more may lie in a shard. */
  readonly shardRows?: number;
}

/** What goes with a chunk of activations. */
export interface ChunkPosition {
  /** JSON: where the harvest goes on after this chunk. Handed back by `cursor` once the chunk is safely on disk. */
  readonly cursor: unknown;
  /** [rows] number of the document of each row, if there are documents: then a split keeps them whole. All chunks or none. */
  readonly documents?: Uint32Array;
}

const SHARD_BYTES = 64 * 2 ** 20;

/**
 * Opens a folder for harvesting: a new one, or one that an earlier, interrupted writer left, whose manifest must then say the
 * same provenance, width, dtype and shard size (InputError otherwise: two harvests never mix). One writer a folder at a time.
 */
export async function createActivationWriter(
  folder: string,
  options: ActivationWriterOptions,
): Promise<ActivationWriter> {
  const { d_in, dtype, provenance } = options;
  const bytes = dtype === "float16" ? 2 : 4;
  const shard_rows = options.shardRows ?? Math.max(1, Math.floor(SHARD_BYTES / (d_in * bytes)));
  const started = await readActivationManifest(folder);
  if (started) {
    // As JSON has it: what is undefined isn't there.
    const wanted = JSON.parse(JSON.stringify({ d_in, dtype, shard_rows, ...provenance }));
    const present = { d_in: started.d_in, dtype: started.dtype, shard_rows: started.shard_rows, ...started.provenance };
    for (const key of new Set([...Object.keys(wanted), ...Object.keys(present)])) {
      const [found, expected] = [(present as Record<string, unknown>)[key], wanted[key]];
      if (isDeepStrictEqual(found, expected)) continue;
      throw new InputError({
        file: join(folder, MANIFEST_FILE),
        where: key,
        found: `${JSON.stringify(found)} from an earlier harvest`,
        expected: `${JSON.stringify(expected)}, or another folder`,
      });
    }
  }
  await mkdir(folder, { recursive: true });
  await removeLeftovers(folder, started);
  const manifest = started ?? {
    format_version: 1,
    d_in,
    dtype,
    complete: false,
    rows: 0,
    mean_norm: null,
    shard_rows,
    provenance,
    cursor: null,
    shards: [],
  };
  return new ActivationWriter(folder, manifest);
}

/** What a killed writer may have left: temporary files, and a shard that no manifest names yet. */
async function removeLeftovers(folder: string, manifest: ActivationManifest | null): Promise<void> {
  const named = new Set(manifest?.shards.map(({ file }) => file));
  for (const name of await readdir(folder)) {
    const ours = /^shard_\d+\.safetensors$|^\.(shard_\d+\.safetensors|manifest\.json)\..*\.tmp$/.test(name);
    if (ours && !named.has(name)) await rm(join(folder, name), { force: true });
  }
}

/** Made by createActivationWriter. Its calls must not overlap. */
export class ActivationWriter {
  readonly #folder: string;
  #manifest: ActivationManifest;
  #shard: OpenShard;

  constructor(folder: string, manifest: ActivationManifest) {
    this.#folder = folder;
    this.#manifest = manifest;
    this.#shard = new OpenShard(manifest.d_in);
  }

  /** What is safely on disk. */
  get manifest(): ActivationManifest {
    return this.#manifest;
  }

  /** The position given with the last chunk that is safely on disk; null if there is none. */
  get cursor(): unknown {
    return this.#manifest.cursor;
  }

  /** Whether `finish` was called, now or in an earlier process. */
  get complete(): boolean {
    return this.#manifest.complete;
  }

  /**
   * Adds rows [rows, d_in] in order, copied. Resolves once they are taken in; they are on disk when their shard is full.
   * Throws InputError, naming row and dimension, for a value that is not finite, or that float16 (±65,504) can't hold.
   */
  async append(x: Float32Array, rows: number, position: ChunkPosition): Promise<void> {
    const { d_in, dtype, shard_rows } = this.#manifest;
    if (this.complete) throw new Error(`${this.#folder}: the harvest is complete, nothing can be appended`);
    if (x.length !== rows * d_in) throw new RangeError(`${x.length} values are not ${rows} rows of ${d_in}`);
    if (position.documents && position.documents.length !== rows) {
      throw new RangeError(`${position.documents.length} document numbers for ${rows} rows`);
    }
    const stored = dtype === "float16" ? new Float16Array(x) : new Float32Array(x);
    const bad = stored.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      const row = this.#manifest.rows + this.#shard.rows + Math.floor(bad / d_in);
      throw new InputError({
        file: this.#folder,
        where: `row ${row}, dimension ${bad % d_in}`,
        found: `the activation ${x[bad]}`,
        expected: Number.isFinite(x[bad]!) ? "at most 65504 for dtype float16: use float32" : "a finite number",
      });
    }
    this.#shard.add(stored, rows, position);
    if (this.#shard.rows >= shard_rows) await this.#commit(false);
  }

  /** Writes what is left and marks the store as complete. */
  async finish(): Promise<void> {
    if (this.complete) return;
    if (this.#manifest.rows + this.#shard.rows === 0) {
      throw new InputError({
        file: this.#folder,
        found: "no activations",
        expected: "at least one row: is the data set empty?",
      });
    }
    await this.#commit(true);
  }

  /** The shard first, then the manifest that names it: a reader never meets one without the other. */
  async #commit(complete: boolean): Promise<void> {
    let { rows, cursor, shards } = this.#manifest;
    const shard = this.#shard;
    if (shard.rows > 0) {
      const file = `shard_${String(shards.length).padStart(5, "0")}.safetensors`;
      await writeSafetensors(join(this.#folder, file), shard.tensors());
      const has_documents = shard.hasDocuments;
      shards = [...shards, { file, rows: shard.rows, crc32: shard.crc32, norm_sum: shard.normSum, has_documents }];
      rows += shard.rows;
      cursor = shard.cursor;
    }
    const mean_norm = shards.reduce((sum, { norm_sum }) => sum + norm_sum, 0) / rows;
    const manifest = { ...this.#manifest, complete, rows, mean_norm, cursor, shards };
    await writeFileAtomic(join(this.#folder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
    this.#manifest = manifest;
    this.#shard = new OpenShard(manifest.d_in);
  }
}

/** The shard that is being filled, in memory. */
class OpenShard {
  readonly #d: number;
  readonly #chunks: (Float32Array | Float16Array)[] = [];
  readonly #documents: Uint32Array[] = [];
  readonly #sum: Float64Array<ArrayBuffer>;
  readonly #sumOfSquares: Float64Array<ArrayBuffer>;
  rows = 0;
  normSum = 0;
  crc32 = 0;
  cursor: unknown = null;

  constructor(d: number) {
    this.#d = d;
    this.#sum = new Float64Array(d);
    this.#sumOfSquares = new Float64Array(d);
  }

  get hasDocuments(): boolean {
    return this.#documents.length > 0;
  }

  add(stored: Float32Array | Float16Array, rows: number, { cursor, documents }: ChunkPosition): void {
    if (this.rows > 0 && this.hasDocuments !== (documents !== undefined)) {
      throw new RangeError("document numbers must come with every chunk or with none");
    }
    // Of the values as stored, so that the statistics are those of what is read back.
    const x = stored instanceof Float32Array ? stored : new Float32Array(stored);
    for (let row = 0, at = 0; row < rows; row++) {
      let squares = 0;
      for (let j = 0; j < this.#d; j++, at++) {
        const value = x[at]!;
        this.#sum[j]! += value;
        this.#sumOfSquares[j]! += value * value;
        squares += value * value;
      }
      this.normSum += Math.sqrt(squares);
    }
    this.#chunks.push(stored);
    this.crc32 = crc32(bytesOf(stored), this.crc32);
    if (documents) this.#documents.push(documents.slice());
    this.rows += rows;
    this.cursor = cursor;
  }

  tensors(): Record<string, TensorSource> {
    const dtype = this.#chunks[0] instanceof Float16Array ? "F16" : "F32";
    // Widest elements first, so that each tensor is aligned.
    return {
      [SHARD_TENSORS.sum]: { shape: [this.#d], data: this.#sum },
      [SHARD_TENSORS.sumOfSquares]: { shape: [this.#d], data: this.#sumOfSquares },
      ...(this.hasDocuments && {
        [SHARD_TENSORS.documents]: {
          shape: [this.rows],
          dtype: "U32" as const,
          data: () => this.#documents.map(bytesOf),
        },
      }),
      [SHARD_TENSORS.activations]: { shape: [this.rows, this.#d], dtype, data: () => this.#chunks.map(bytesOf) },
    };
  }
}

function bytesOf(array: Float32Array | Float16Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
