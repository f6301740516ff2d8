// A small harvest that reports each chunk on standard output, for a test that kills it: node harvestUntilKilled.ts FOLDER.
import { writeSync } from "node:fs";
import { createActivationWriter } from "../../../src/data/activationWriter.ts";
import { numberedRows, provenance } from "./activationFixtures.ts";

const writer = await createActivationWriter(process.argv[2]!, {
  d_in: 256,
  dtype: "float16",
  shardRows: 100,
  provenance,
});
const start = (writer.cursor as { chunk: number } | null)?.chunk ?? 0;
for (let chunk = start; chunk < 240; chunk++) {
  await writer.append(numberedRows(chunk, 50, 256), 50, { cursor: { chunk: chunk + 1 } });
  writeSync(1, ".");
}
await writer.finish();
