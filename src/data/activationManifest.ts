// What a store of harvested activations says about itself: manifest.json, checked against the shards that it names. Reads no activation.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { BYTES_PER_ELEMENT, readSafetensors, tensorEntryOf } from "../formats/safetensors.ts";
import { schemaError } from "../formats/schemaError.ts";

export const MANIFEST_FILE = "manifest.json";

/** Name of the tensor of activations in a shard, and of those beside it. */
export const SHARD_TENSORS = {
  /** [rows, d_in], F32 or F16. */
  activations: "activations",
  /** [d_in] F64, over the shard's rows. */
  sum: "sum",
  sumOfSquares: "sum_of_squares",
  /** [rows] U32, number of the document that a row's token stands in; only if the harvest says. */
  documents: "documents",
} as const;

/** What made the activations. These keys are asked for; others are kept as they are. All are compared on resumption. */
const provenanceSchema = z.looseObject({
  model_name: z.string(),
  /** TransformerLens' name. */
  hook_name: z.string(),
  dataset_path: z.string(),
  context_size: z.int().positive(),
  prepend_bos: z.boolean(),
  /** Whether special tokens were left out: then no row is one. Or which tokens were. */
  exclude_special_tokens: z.union([z.boolean(), z.array(z.int().nonnegative())]),
});

const shardSchema = z.strictObject({
  file: z.string().regex(/^shard_\d{5,}\.safetensors$/),
  rows: z.int().positive(),
  /** CRC-32 of the bytes of the tensor `activations`. */
  crc32: z.int().nonnegative(),
  /** Σ‖x‖ over the shard's rows, in float64. */
  norm_sum: z.number().nonnegative(),
  has_documents: z.boolean(),
});

const manifestSchema = z.strictObject({
  format_version: z.literal(1),
  d_in: z.int().positive(),
  dtype: z.enum(["float32", "float16"]),
  /** Whether the harvest came to its end. */
  complete: z.boolean(),
  rows: z.int().nonnegative(),
  /** Mean ‖x‖ over all rows; null while there are none. */
  mean_norm: z.number().nullable(),
  /** A shard is closed with the first chunk that brings it to this many rows. */
  shard_rows: z.int().positive(),
  provenance: provenanceSchema,
  /** The harvester's own: what comes after the last shard. Null before the first. */
  cursor: z.unknown(),
  shards: z.array(shardSchema),
});

export type ActivationProvenance = z.infer<typeof provenanceSchema>;
export type ActivationManifest = z.infer<typeof manifestSchema>;
export type ActivationDtype = ActivationManifest["dtype"];

/** Rows [from, to) of a store, in the order of the harvest. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

export interface ActivationShard {
  readonly path: string;
  /** Number of its first row in the store. */
  readonly first: number;
  readonly rows: number;
  /** Where the activations begin in the file, in bytes. */
  readonly offset: number;
  readonly crc32: number;
  readonly normSum: number;
  readonly hasDocuments: boolean;
}

export interface ActivationStore {
  readonly folder: string;
  readonly manifest: ActivationManifest;
  readonly shards: readonly ActivationShard[];
  readonly rowBytes: number;
}

/** The manifest, or null if the folder has none. Throws InputError for one that is broken. */
export async function readActivationManifest(folder: string): Promise<ActivationManifest | null> {
  const file = join(folder, MANIFEST_FILE);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new InputError({ file, found: (error as Error).message, expected: "the manifest of an activation store" });
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw schemaError(file, json, parsed.error, "an activation store's manifest");
  const manifest = parsed.data;
  const rows = manifest.shards.reduce((sum, shard) => sum + shard.rows, 0);
  if (rows !== manifest.rows) {
    throw new InputError({
      file,
      where: "rows",
      found: `${manifest.rows}`,
      expected: `${rows}, the sum over the shards`,
    });
  }
  return manifest;
}

/** A store whose harvest is complete and whose shards are all there, with the right shapes. */
export async function readActivationStore(folder: string): Promise<ActivationStore> {
  const file = join(folder, MANIFEST_FILE);
  const manifest = await readActivationManifest(folder);
  if (!manifest) throw new InputError({ file, found: "no such file", expected: "a folder of harvested activations" });
  if (!manifest.complete) {
    const found = `a harvest that stopped after ${manifest.rows} rows`;
    throw new InputError({
      file,
      where: "complete",
      found,
      expected: "a complete one: run the harvest again, it goes on from there",
    });
  }
  const shards: ActivationShard[] = [];
  let first = 0;
  for (const shard of manifest.shards) {
    const path = join(folder, shard.file);
    const tensors = await readSafetensors(path);
    const entry = tensorEntryOf(tensors, SHARD_TENSORS.activations, [shard.rows, manifest.d_in]);
    const dtype = manifest.dtype === "float32" ? "F32" : "F16";
    if (entry.dtype !== dtype) {
      throw new InputError({ file: path, where: "tensor activations", found: entry.dtype, expected: dtype });
    }
    shards.push({
      path,
      first,
      rows: shard.rows,
      offset: entry.offset,
      crc32: shard.crc32,
      normSum: shard.norm_sum,
      hasDocuments: shard.has_documents,
    });
    first += shard.rows;
  }
  const rowBytes = manifest.d_in * BYTES_PER_ELEMENT[manifest.dtype === "float32" ? "F32" : "F16"];
  return { folder, manifest, shards, rowBytes };
}

/** A range within a store, whole by default. Throws InputError for one that is empty or goes beyond it. */
export function checkedRange(store: ActivationStore, range: Partial<RowRange> = {}): RowRange {
  const { rows } = store.manifest;
  const { from = 0, to = rows } = range;
  if (!(Number.isInteger(from) && Number.isInteger(to) && 0 <= from && from < to && to <= rows)) {
    const file = join(store.folder, MANIFEST_FILE);
    throw new InputError({
      file,
      where: "rows",
      found: `a wish for rows ${from} to ${to}`,
      expected: `a range within 0 to ${rows}`,
    });
  }
  return { from, to };
}
