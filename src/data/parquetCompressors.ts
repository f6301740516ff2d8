// What unpacks Parquet's pages, never to more than the page's header says: the runtime's own where it has one.
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Compressors } from "hyparquet";
import { compressors as others } from "hyparquet-compressors";

// A page of nothing still has to be unpacked, and no output at all can't be asked for.
const atMost = (length: number) => ({ maxOutputLength: Math.max(1, length) });

export const compressors: Compressors = {
  ...others,
  GZIP: (input, length) => gunzipSync(input, atMost(length)),
  BROTLI: (input, length) => brotliDecompressSync(input, atMost(length)),
  ZSTD: (input, length) => zstdDecompressSync(input, atMost(length)),
};
