// What is remembered of products: trials that never ended, and what several processes find at once. The device is made up: nothing is allocated, so no product can be measured.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import type { Gpu } from "../../../src/engine/webgpu/gpu.ts";
import { nameOf, PLAIN, productsFor } from "../../../src/engine/webgpu/products.ts";
import type { AdapterDescription } from "../../../src/engine/webgpu/protocol.ts";
import { tunedLayouts } from "../../../src/engine/webgpu/tuning.ts";

const description = {
  key: "made up",
  software: false,
  features: [],
  subgroups: false,
  lanes: null,
  matrices: [],
  maxComputeWorkgroupStorageSize: 65_536,
} as unknown as AdapterDescription;
const names = productsFor(description, false).map(nameOf);

function file(t: { after(work: () => void): void }, content?: object): string {
  const folder = mkdtempSync(join(tmpdir(), "sae-tuning-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "products.json");
  if (content) writeFileSync(path, JSON.stringify(content));
  return path;
}

test("a trial that never ended is made once more, and not a third time", async (t) => {
  const begun = { [names[1]!]: 1, [names[2]!]: 2 };
  const path = file(t, { products: {}, avoided: {}, unended: { [description.key]: begun } });
  // By the file: which product is on trial whenever the device is asked for memory.
  const during = new Set<string>();
  const gpu = {
    description,
    takes: async () => true,
    allocate: async () => {
      const { unended } = JSON.parse(readFileSync(path, "utf8")) as { unended: Record<string, Record<string, number>> };
      for (const [name, times] of Object.entries(unended[description.key] ?? {})) during.add(`${name}: ${times}`);
      return null;
    },
  };
  await tunedLayouts(gpu as unknown as Gpu, path).for({ d_in: 64, d_sae: 256 }, 128, false);
  assert.ok(during.has(`${names[1]}: 2`), [...during].join());
  assert.ok(!during.has(`${names[2]}: 3`), [...during].join());
  const { unended } = JSON.parse(readFileSync(path, "utf8"));
  assert.deepEqual(unended, { [description.key]: { [names[2]!]: 2 } }, "what ended leaves no mark");
});

test("a product whose time is known is given no more rows than take half a second; one of before has no bound", async (t) => {
  const shape = (rows: number) => `${description.key} d64 F256 rows${rows}`;
  const products = { [shape(128)]: names[1]!, [shape(256)]: names[0]! };
  const path = file(t, { products, times: { [shape(128)]: 0.25 }, avoided: {}, unended: {} });
  const layouts = tunedLayouts({ description } as unknown as Gpu, path);
  const known = await layouts.for({ d_in: 64, d_sae: 256 }, 128, false);
  assert.deepEqual([nameOf(known.product), known.mostRows], [names[1], 2000]);
  assert.equal((await layouts.for({ d_in: 64, d_sae: 256 }, 256, false)).mostRows, Number.POSITIVE_INFINITY);
});

test("a file that can't be written costs a warning and no run: what is found holds for the process", async (t) => {
  // Where its folder should be there is a file.
  const path = join(file(t, {}), "products.json");
  let asked = 0;
  const gpu = {
    description,
    warnings: [] as string[],
    takes: async () => true,
    allocate: async () => {
      asked += 1;
      return null;
    },
  };
  const layouts = tunedLayouts(gpu as unknown as Gpu, path);
  const shape = { d_in: 64, d_sae: 256 };
  const { product } = await layouts.for(shape, 128, false);
  assert.equal(nameOf(product), names[0]);
  assert.equal(gpu.warnings.length, 1);
  assert.match(gpu.warnings[0]!, /^which products are quickest on this GPU can't be kept: .*products\.json/);
  const before = asked;
  await layouts.for(shape, 128, false);
  assert.equal(asked, before, "the shape is known");
  await layouts.avoid(product);
  await layouts.for({ d_in: 64, d_sae: 512 }, 128, false);
  assert.equal(gpu.warnings.length, 1);
});

test("processes that write at once lose nothing of each other's", async (t) => {
  const path = file(t);
  const script = `
    const { tunedLayouts } = await import(${JSON.stringify(new URL("../../../src/engine/webgpu/tuning.ts", import.meta.url).href)});
    const layouts = tunedLayouts({ description: ${JSON.stringify(description)} }, ${JSON.stringify(path)});
    for (let n = 1; n <= 20; n++) await layouts.avoid({ ...${JSON.stringify(PLAIN)}, rows: n, depth: Number(process.argv[1]) });
  `;
  const writers = [1, 2, 3].map((n) =>
    promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, String(n)]),
  );
  await Promise.all(writers);
  const { avoided } = JSON.parse(readFileSync(path, "utf8")) as { avoided: Record<string, string[]> };
  assert.equal(new Set(avoided[description.key]).size, 60);
});
