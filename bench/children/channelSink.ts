// The other end of device-channel: takes a batch and says what its last value is, over our channel or (argument "node") over Node's own.
import { answerCalls } from "../../src/formats/answerCalls.ts";

export interface Batch {
  readonly kind: "batch";
  readonly x: Float32Array;
}

if (process.argv[2] === "node") process.on("message", ({ x }: Batch) => process.send!(x.at(-1)));
else answerCalls(async ({ x }: Batch) => x.at(-1), { inWords: String });
