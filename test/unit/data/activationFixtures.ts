// Activations that tell which row they are, and a store of them, for the tests of src/data.
import { join } from "node:path";
import type { ActivationDtype, ActivationProvenance } from "../../../src/data/activationManifest.ts";
import type { ActivationSource } from "../../../src/data/activationSource.ts";
import { createActivationWriter } from "../../../src/data/activationWriter.ts";
import { temporaryFolder } from "../fixtures.ts";

export const provenance: ActivationProvenance = {
  model_name: "tiny",
  hook_name: "blocks.0.hook_resid_post",
  dataset_path: "texts.txt",
  context_size: 8,
  prepend_bos: true,
  exclude_special_tokens: true,
};

/** Row r is [r, r + 0.25, r + 0.5, …]: exact in float16 too, as long as r < 512. */
export function numberedRows(from: number, rows: number, d: number): Float32Array {
  return Float32Array.from({ length: rows * d }, (_, i) => from + Math.floor(i / d) + (i % d) * 0.25);
}

const folder = temporaryFolder();
let stores = 0;

/** A store of numbered rows, written in chunks of 7 with a document every 5 rows. */
export async function numberedStore(options: {
  rows: number;
  d: number;
  shardRows: number;
  dtype?: ActivationDtype;
  documents?: boolean;
}): Promise<string> {
  const path = join(folder, `store${stores++}`);
  const { rows, d, shardRows, dtype = "float32" } = options;
  const writer = await createActivationWriter(path, { d_in: d, dtype, shardRows, provenance });
  for (let from = 0; from < rows; from += 7) {
    const n = Math.min(7, rows - from);
    const documents = Uint32Array.from({ length: n }, (_, i) => Math.floor((from + i) / 5));
    const position = { cursor: { row: from + n }, ...(options.documents && { documents }) };
    await writer.append(numberedRows(from, n, d), n, position);
  }
  await writer.finish();
  return path;
}

/** The numbers of all rows that a source still gives; checks that every row is whole. */
export async function drain(source: ActivationSource, batch: number): Promise<number[]> {
  const numbers: number[] = [];
  for (let got = await source.next(batch); got; got = await source.next(batch)) {
    for (let row = 0; row < got.rows; row++) {
      const first = got.x[row * source.d_in]!;
      for (let j = 0; j < source.d_in; j++) {
        if (got.x[row * source.d_in + j] !== first + j * 0.25) throw new Error(`row ${first} is torn`);
      }
      numbers.push(first);
    }
  }
  return numbers;
}
