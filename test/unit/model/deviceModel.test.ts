// A language model on a GPU (here SwiftShader, by onnxruntime's WebGPU provider): the processor's numbers, in a process that may die; and one that differs, fails or is slower is left.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { prepareBrowser, softwareGpuEnvironment, unavailable } from "../../../scripts/realVsCode.ts";
import { type BatchModel, DeviceModel } from "../../../src/model/device/deviceModel.ts";
import { ProvenModel, type Trial } from "../../../src/model/device/provenModel.ts";
import type { LanguageModel, TokenBatch } from "../../../src/model/languageModel.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { temporaryFolder } from "../fixtures.ts";

const missing = unavailable && `no software GPU: ${unavailable}`;
if (!missing) await prepareBrowser();

const path = join(import.meta.dirname, "..", "..", "..", "media", "demo", "model");
const hook = "blocks.1.hook_resid_post";
const ROWS = 3;
const LENGTH = 9;

/** Rows of different lengths, other tokens for every seed. */
function batch(seed: number): TokenBatch {
  const ids = Int32Array.from({ length: ROWS * LENGTH }, (_, at) => 3 + ((at * 31 + seed * 17) % 200));
  return { rows: ROWS, length: LENGTH, ids, lengths: Int32Array.of(9, 4, 7) };
}

function distance(found: Float32Array, expected: Float32Array): number {
  assert.equal(found.length, expected.length);
  let [apart, all] = [0, 0];
  for (const [at, value] of expected.entries()) {
    apart += (found[at]! - value) ** 2;
    all += value ** 2;
  }
  return Math.sqrt(apart / all);
}

async function withModel(use: (cpu: LanguageModel) => Promise<void>): Promise<void> {
  const cpu = await openLanguageModel(path, { threads: 1 });
  await use(cpu).finally(() => cpu.close());
}

/** What a ProvenModel says with a device that is given. */
function trial(open: Trial["open"], mustBeQuicker = false): { trial: Trial; said: string[] } {
  const said: string[] = [];
  return {
    said,
    trial: { device: "webgpu", open, mustBeQuicker, say: (level, message) => said.push(`${level}: ${message}`) },
  };
}

describe("the demo model on a software GPU", { skip: missing }, () => {
  test("hidden states, logits with a change, and directions are the processor's", async () => {
    await withModel(async (cpu) => {
      const device = await DeviceModel.open(path, "webgpu", {
        threads: 1,
        environment: softwareGpuEnvironment,
        patience: 900_000,
      });
      const delta = new Float32Array(ROWS * LENGTH * cpu.info.dModel).fill(0.25);
      for (const work of [
        (model: BatchModel) => model.capture(batch(1), hook),
        (model: BatchModel) => model.logits(batch(2)),
        (model: BatchModel) => model.logits(batch(2), { hookName: hook, delta }),
        (model: BatchModel) => model.unembed(delta.subarray(0, 2 * cpu.info.dModel), 2, hook),
      ]) {
        const expected = await work(cpu);
        const apart = distance(await work(device), expected);
        assert.ok(apart < 1e-5, `${apart}`);
      }
      await device.close();
    });
  });

  test("a length at which onnxruntime's kernels are wrong on this GPU is noticed, whatever was right before", async () => {
    await withModel(async (cpu) => {
      const device = await DeviceModel.open(path, "webgpu", {
        threads: 1,
        environment: softwareGpuEnvironment,
        patience: 900_000,
      });
      const { trial: own, said } = trial(async () => device);
      const model = new ProvenModel(cpu, own);
      await model.capture(batch(1), hook);
      const ids = Int32Array.from({ length: 64 }, (_, at) => 3 + ((at * 31) % 200));
      const long: TokenBatch = { rows: 2, length: 32, ids, lengths: Int32Array.of(32, 32) };
      const expected = await cpu.capture(long, hook);
      const isRight = distance(await device.capture(long, hook), expected) < 1e-3;
      // The processor's, whichever it is: both compute the first batch of a length.
      assert.deepEqual(await model.capture(long, hook), expected);
      assert.equal(said.length, isRight ? 1 : 2);
      if (!isRight)
        assert.match(said[1]!, /^warning: language model on the processor: webgpu differs from the processor's/);
      await device.close();
    });
  });

  test("it proves itself on the first batch; when its process dies, the processor goes on with a warning", async () => {
    await withModel(async (cpu) => {
      const device = await DeviceModel.open(path, "webgpu", {
        threads: 1,
        environment: softwareGpuEnvironment,
        patience: 900_000,
      });
      const { trial: own, said } = trial(async () => device);
      const model = new ProvenModel(cpu, own);
      assert.deepEqual(await model.capture(batch(1), hook), await cpu.capture(batch(1), hook));
      assert.match(
        said.join(),
        /^info: language model on webgpu: it agrees with the processor to \d\.\de-\d+; it was asked for$/,
      );
      assert.ok(distance(await model.capture(batch(2), hook), await cpu.capture(batch(2), hook)) < 1e-5);
      device.kill();
      assert.deepEqual(await model.capture(batch(3), hook), await cpu.capture(batch(3), hook));
      assert.match(
        said[1]!,
        /^warning: language model on the processor: webgpu fails \(the language model's process ended \(SIGKILL\)/,
      );
      assert.deepEqual(await model.capture(batch(4), hook), await cpu.capture(batch(4), hook));
      assert.equal(said.length, 2);
    });
  });
});

test("an onnxruntime of the user's own is the one that is asked, and one that isn't there is said", async () => {
  const folder = temporaryFolder();
  const own = join(folder, "node_modules", "onnxruntime-node");
  const open = () => DeviceModel.open(path, "cuda", { threads: 1, environment: { SAE_ENSEMBLES_ONNXRUNTIME: folder } });
  await assert.rejects(open(), /there is no node_modules\/onnxruntime-node in .*runs\.onnxruntimeFolder/);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "package.json"), JSON.stringify({ name: "onnxruntime-node", main: "index.js" }));
  const backends = (names: string) => `exports.listSupportedBackends = () => ${names};`;
  writeFileSync(join(own, "index.js"), backends('[{ name: "made up" }]'));
  await assert.rejects(open(), /this onnxruntime has no cuda: it has made up/);
  // What opens a model has the same one.
  const made = `class { constructor() { throw new Error("one's own"); } }`;
  writeFileSync(join(own, "index.js"), `${backends('[{ name: "cuda" }]')} exports.Tensor = ${made};`);
  await assert.rejects(
    open().then((model) => model.capture(batch(1), hook)),
    /^Error: one's own$/,
  );
});

test("a device that onnxruntime doesn't have is said, and the processor goes on", async () => {
  const absent = process.platform === "win32" ? "coreml" : "dml";
  await withModel(async (cpu) => {
    const { trial: own, said } = trial(() => DeviceModel.open(path, absent, { threads: 1 }));
    const model = new ProvenModel(cpu, own);
    assert.deepEqual(await model.capture(batch(1), hook), await cpu.capture(batch(1), hook));
    assert.match(said.join(), new RegExp(`^warning: .* fails \\(this onnxruntime has no ${absent}: it has cpu, `));
  });
});

describe("devices made up", () => {
  /** The processor's hidden states as `change` makes them. */
  const changed = (
    cpu: LanguageModel,
    change: (value: number, at: number) => number,
    close: () => void = () => {},
  ): BatchModel => ({
    capture: async (...args) => (await cpu.capture(...args)).map(change),
    logits: (...args) => cpu.logits(...args),
    unembed: (...args) => cpu.unembed(...args),
    close: async () => close(),
  });

  for (const [what, change] of [
    ["numbers that are a percent off", (value: number) => 1.01 * value],
    ["a value that is no number", (value: number, at: number) => (at === 5 ? Number.NaN : value)],
  ] as const) {
    test(`${what}: a warning, the processor's numbers, and the device is closed`, async () => {
      await withModel(async (cpu) => {
        let closed = 0;
        const { trial: own, said } = trial(async () => changed(cpu, change, () => closed++));
        const model = new ProvenModel(cpu, own);
        assert.deepEqual(await model.capture(batch(1), hook), await cpu.capture(batch(1), hook));
        assert.match(said.join(), /^warning: language model on the processor: webgpu differs from the processor's by/);
        assert.deepEqual(await model.capture(batch(2), hook), await cpu.capture(batch(2), hook));
        assert.equal(closed, 1);
      });
    });
  }

  test("where it has to be quicker, a slower one is left after three batches, and until then the processor's numbers count", async () => {
    await withModel(async (cpu) => {
      const work = async () => {
        for (let n = 0; n < 5; n++) await cpu.capture(batch(n), hook);
      };
      const slow: BatchModel = {
        ...changed(cpu, (value) => value),
        capture: async (...args) => {
          await work();
          return cpu.capture(...args);
        },
      };
      const { trial: own, said } = trial(async () => slow, true);
      const model = new ProvenModel(cpu, own);
      for (let n = 0; n < 3; n++) {
        assert.deepEqual(said, []);
        assert.deepEqual(await model.capture(batch(n), hook), await cpu.capture(batch(n), hook));
      }
      assert.match(
        said.join(),
        /^info: language model on the processor: webgpu agrees and takes \d+ ms a batch against/,
      );
    });
  });

  test("a device that is wrong at another number of rows is found by the first batch of that size, as are directions", async () => {
    await withModel(async (cpu) => {
      const wrongOf = (rows: number, values: Float32Array) => (rows >= 4 ? values.map((value) => 1.1 * value) : values);
      const device: BatchModel = {
        capture: async (own, name) => wrongOf(own.rows, await cpu.capture(own, name)),
        logits: (own, change) => cpu.logits(own, change),
        unembed: async (directions, rows, name) => wrongOf(rows, await cpu.unembed(directions, rows, name)),
        close: async () => {},
      };
      const d = cpu.info.dModel;
      for (const work of [
        (model: BatchModel, rows: number) =>
          model.capture(
            {
              rows,
              length: LENGTH,
              ids: Int32Array.from({ length: rows * LENGTH }, (_, at) => 3 + (at % 200)),
              lengths: new Int32Array(rows).fill(LENGTH),
            },
            hook,
          ),
        (model: BatchModel, rows: number) => model.unembed(new Float32Array(rows * d).fill(0.25), rows, hook),
      ]) {
        const { trial: own, said } = trial(async () => device);
        const model = new ProvenModel(cpu, own);
        for (const rows of [2, 3, 5]) assert.deepEqual(await work(model, rows), await work(cpu, rows), `${rows} rows`);
        assert.match(said.at(-1)!, /^warning: language model on the processor: webgpu differs/);
      }
    });
  });

  test("a device that goes wrong later is found by a sample, and what it computed is not trusted", async () => {
    await withModel(async (cpu) => {
      let count = 0;
      const device = {
        ...changed(cpu, (value) => value),
        capture: async (...args: Parameters<BatchModel["capture"]>) => {
          const values = await cpu.capture(...args);
          return ++count > 100 ? values.map((value) => 1.01 * value) : values;
        },
      };
      const { trial: own } = trial(async () => device);
      const model = new ProvenModel(cpu, own);
      for (let n = 1; n < 256; n++) await model.capture(batch(n), hook);
      await assert.rejects(
        model.capture(batch(0), hook),
        /was right at first and now differs .* can't be trusted.*"llm_device": "cpu"/,
      );
    });
  });

  test("a batch that is wrong in itself is its caller's error and not the device's", async () => {
    await withModel(async (cpu) => {
      const { trial: own, said } = trial(async () => changed(cpu, (value) => value));
      const model = new ProvenModel(cpu, own);
      await assert.rejects(model.capture(batch(1), "blocks.9.hook_resid_post"), RangeError);
      assert.deepEqual(said, []);
    });
  });
});
