// batchtopk's choice by bounds inside a worker, where what is scanned contradicts itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTROL_WORDS, Crew, PARTIALS } from "../../../src/engine/cpu/crew.ts";
import type { Job } from "../../../src/engine/cpu/job.ts";
import { chooseBatchTopk } from "../../../src/engine/cpu/merge.ts";
import type { Selection } from "../../../src/engine/cpu/selection.ts";

test("a bound that was counted and still lists too few is an error, never a batch without codes", async () => {
  const crew = new Crew(new SharedArrayBuffer(4 * CONTROL_WORDS), new SharedArrayBuffer(8 * PARTIALS), 0, 1);
  const job = { crew, rows: 4, blocks: 1, lasting: new Float64Array(2) } as unknown as Job;
  const selection = { sae: { config: { k: 2 } }, number: 0 } as unknown as Selection;
  const scan = {
    // As many as are wanted by the count, and none by the list.
    count: async (_: number, __: unknown, counts: Uint32Array) => {
      counts[1000] = 8;
    },
    list: async () => 0,
  };
  await assert.rejects(chooseBatchTopk(job, selection, [], scan), {
    name: "EngineError",
    message: /for 8 of a batch lists too few/,
  });
});
