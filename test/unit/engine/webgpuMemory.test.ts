// How the WebGPU engine plans a device's memory, and what it does where there is less than the limits promise. Devices are made up: they give memory up to a number of bytes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configOf } from "../../../bench/gpuCounts.ts";
import { EngineError } from "../../../src/engine/engine.ts";
import { allocateBatch } from "../../../src/engine/webgpu/batchMemory.ts";
import type { Gpu } from "../../../src/engine/webgpu/gpu.ts";
import { type BatchNeeds, planBatch, saeSizes } from "../../../src/engine/webgpu/memoryPlan.ts";
import { SaeBuffers } from "../../../src/engine/webgpu/saeBuffers.ts";

const training = configOf({ architecture: "topk", d_in: 64, d_sae: 512, active: 8, rows: 256 });
const needs = (members: number, largestBuffer: number): BatchNeeds => ({
  saes: [training.sae],
  rows: 256,
  members,
  training,
  keepsGradients: true,
  largestBuffer,
});
const bytesOf = (sizes: Readonly<Record<string, number>>) => Object.values(sizes).reduce((sum, size) => sum + size, 0);

/** Gives memory up to `most` bytes in all; `given` is what is in use. */
function deviceOf(most: number) {
  const device = {
    given: 0,
    allocate: async (sizes: Readonly<Record<string, number>>) => {
      if (device.given + bytesOf(sizes) > most) return null;
      return Object.fromEntries(
        Object.entries(sizes).map(([name, size]) => {
          device.given += size;
          return [name, { destroy: () => (device.given -= size) }];
        }),
      );
    },
  };
  return { device, gpu: device as unknown as Gpu };
}

describe("the plan of a batch", () => {
  const pre = 256 * 512 * 4;

  test("takes all members at once where buffers may be that large, then as many as fit, then one, then micro-batches", () => {
    const first = (members: number, largestBuffer: number) => {
      const { together, microBatches, sizes } = planBatch(needs(members, largestBuffer)).next().value!;
      for (const size of Object.values(sizes)) assert.ok(size <= largestBuffer);
      return [together, microBatches.length];
    };
    assert.deepEqual(first(8, 8 * pre), [8, 1]);
    assert.deepEqual(first(8, 8 * pre - 1), [4, 1]);
    assert.deepEqual(first(8, 4 * pre - 1), [3, 1]);
    assert.deepEqual(first(8, pre), [1, 1]);
    assert.deepEqual(first(8, pre - 1), [1, 2]);
  });

  test("one product has no more rows than its time allows: fewer members, then micro-batches, whatever the memory", () => {
    const plan = (mostRows: number) => {
      const { together, microBatches } = planBatch({ ...needs(8, 2 ** 31), mostRows }).next().value!;
      return [together, microBatches.length];
    };
    assert.deepEqual(plan(8 * 256), [8, 1]);
    assert.deepEqual(plan(8 * 256 - 1), [4, 1]);
    assert.deepEqual(plan(256), [1, 1]);
    assert.deepEqual(plan(255), [1, 2]);
    assert.deepEqual(plan(32), [1, 8]);
    assert.deepEqual(plan(0), [1, 256]);
  });

  test("is never the same twice", () => {
    const plans = [...planBatch(needs(8, 8 * pre))].map(
      ({ together, microBatches }) => `${together} ${microBatches.length}`,
    );
    assert.deepEqual(plans.slice(0, 5), ["8 1", "4 1", "3 1", "2 1", "1 1"]);
    assert.equal(new Set(plans).size, plans.length, plans.join(", "));
  });

  test("in encoding, codes of as many members have room at once as a quarter of a GiB holds, and of one in any case", () => {
    for (const [architecture, d_sae, rows, together] of [
      ["topk", 4096, 2048, 8],
      ["standard", 4096, 2048, 4],
      ["standard", 16_384, 2048, 1],
      ["standard", 65_536, 2048, 1],
    ] as const) {
      const sae = { ...training.sae, architecture, d_sae };
      const own = { saes: [sae], rows, members: 8, keepsGradients: false, largestBuffer: 2 ** 31 };
      const plan = planBatch(own).next().value!;
      assert.equal(plan.together, together, `${architecture} ${d_sae}`);
      assert.equal(Object.keys(plan.sizes).filter((name) => /^(codes|starts)\d$/.test(name)).length, 2 * together);
    }
  });

  test("micro-batches cover every row once", () => {
    const plans = planBatch(needs(1, pre));
    for (let n = 0; n < 3; n++) plans.next();
    const { microBatches } = plans.next().value!;
    assert.equal(microBatches.length, 8);
    let at = 0;
    for (const { first, count } of microBatches) {
      assert.equal(first, at);
      at += count;
    }
    assert.equal(at, 256);
  });
});

describe("a device with less memory than its limits promise", () => {
  test("the batch is laid out for fewer members at once, then in micro-batches; nothing is left lying about", async () => {
    const plans = planBatch(needs(4, 2 ** 30));
    const sizes = [4, 2, 1].map((together) => {
      for (;;) {
        const plan = plans.next().value!;
        if (plan.together === together) return bytesOf(plan.sizes);
      }
    });
    for (const [at, together] of [4, 2, 1].entries()) {
      const { device, gpu } = deviceOf(sizes[at]!);
      const { plan } = await allocateBatch(gpu, needs(4, 2 ** 30));
      assert.equal(plan.together, together);
      assert.equal(plan.microBatches.length, 1);
      assert.equal(device.given, bytesOf(plan.sizes));
    }
    const { gpu } = deviceOf(sizes[2]! - 1);
    const { plan } = await allocateBatch(gpu, needs(4, 2 ** 30));
    assert.ok(plan.microBatches.length > 1);
  });

  test("where not even small micro-batches fit, the error says how much they need and what to do", async () => {
    const { gpu } = deviceOf(1000);
    await assert.rejects(
      allocateBatch(gpu, needs(4, 2 ** 30)),
      (error: Error) =>
        error instanceof EngineError &&
        /no memory left for a batch of 256 tokens \(\d+\.\d\d GiB in the smallest micro-batches\): use a smaller train_batch_size_tokens, fewer members, or the device cpu/.test(
          error.message,
        ),
    );
  });

  test("members lie in as few sets of buffers as there is memory for, and in equal parts", async () => {
    const one = saeSizes(training.sae, training);
    const largest = Math.max(...Object.values(one));
    const stacks = async (members: number, largestBuffer: number, memory: number) => {
      const { gpu } = deviceOf(memory);
      const groups = await SaeBuffers.forTraining(gpu, training, members, largestBuffer);
      return groups.map((group) => group.members);
    };
    assert.deepEqual(await stacks(8, 8 * largest, Number.POSITIVE_INFINITY), [8]);
    assert.deepEqual(await stacks(8, 7 * largest, Number.POSITIVE_INFINITY), [4, 4]);
    assert.deepEqual(await stacks(5, 2 * largest, Number.POSITIVE_INFINITY), [2, 2, 1]);
    const { device, gpu } = deviceOf(3 * bytesOf(one));
    await assert.rejects(
      SaeBuffers.forTraining(gpu, training, 4, 2 ** 30),
      /no memory left for an SAE of 512 features/,
    );
    assert.equal(device.given, 0, "what was taken is given back");
  });
});
