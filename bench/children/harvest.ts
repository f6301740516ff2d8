// Captures a hook's values for batches of rows of one length and keeps none; peak memory, and a norm for comparison.
import type { TokenBatch } from "../../src/model/languageModel.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { childAnswer, childInput, peakBytes } from "./child.ts";

const { folder, cacheFolder, hook, rows, threads } = childInput<{
  folder: string;
  cacheFolder: string;
  hook: string;
  /** By batch. */
  rows: number[][][];
  threads: number;
}>();
const model = await openLanguageModel(folder, { threads, cacheFolder });
for (const batch of rows) await model.capture(tokenBatch(batch), hook);
await model.close();
childAnswer({ peakBytes: peakBytes() });

function tokenBatch(rows: readonly number[][]): TokenBatch {
  const length = rows[0]!.length;
  return {
    rows: rows.length,
    length,
    ids: Int32Array.from(rows.flat()),
    lengths: new Int32Array(rows.length).fill(length),
  };
}
