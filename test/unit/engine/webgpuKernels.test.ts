// What the kernels' texts have to keep to where no GPU at hand would show the fault.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { configOf, gpuLayout } from "../../../bench/gpuCounts.ts";
import { workgroupMemory } from "../../../bench/workgroupMemory.ts";
import { constantsFor } from "../../../src/engine/webgpu/kernels.ts";
import { layoutConstants } from "../../../src/engine/webgpu/layouts.ts";
import {
  constantsOf,
  kernelOf,
  nameOf,
  PLAIN,
  productsFor,
  workgroupBytes,
} from "../../../src/engine/webgpu/products.ts";
import type { AdapterDescription } from "../../../src/engine/webgpu/protocol.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "src", "engine", "webgpu", "kernels");

test("whole numbers of the header are never read as floats, in which a GPU may flush them to 0", () => {
  let readers = 0;
  for (const file of readdirSync(folder)) {
    if (file === "shared.wgsl") continue;
    const text = readFileSync(join(folder, file), "utf8");
    if (!/\b(DEAD_COUNT|CUT|REMAINING|TOTAL)\b/.test(text)) continue;
    readers += 1;
    assert.match(text, /> header: array<(u32|atomic<u32>)>;/, file);
    assert.doesNotMatch(text, /\bbias\[[^\]]*\]\[(DEAD_COUNT|CUT|REMAINING|TOTAL)\b/, file);
  }
  assert.equal(readers, 3);
});

const topk = configOf({ architecture: "topk", d_in: 512, d_sae: 16_384, active: 32, rows: 4096 });
const constants = { ...constantsFor(topk.sae, { training: topk }), ...layoutConstants(gpuLayout, 512) };

test("workgroup memory of the kernels of a step is what bench/gpu.md says", () => {
  const document = readFileSync(join(import.meta.dirname, "../../../bench/gpu.md"), "utf8");
  const line = document.split("\n").find((one) => one.startsWith("- Workgroup memory"))!;
  for (const name of ["gemm", "selectRows", "decode", "latentGradient"] as const) {
    const bytes = workgroupMemory(name, { ...constants, ...constantsOf(PLAIN) });
    assert.ok(line.includes(bytes.toLocaleString("en")), `${name}: ${bytes}`);
    assert.ok(bytes <= 16_384, "what every device has");
  }
});

test("a product's workgroup memory is what choosing among them takes it for", () => {
  const adapter = {
    software: false,
    features: ["shader-f16"],
    lanes: 32,
    largestWorkgroup: 256,
    matrices: [
      { operand: "f16", result: "f32", M: 16, N: 16, K: 16 },
      { operand: "f32", result: "f32", M: 8, N: 8, K: 8 },
    ],
  } as unknown as AdapterDescription;
  for (const autocast of [false, true]) {
    for (const product of productsFor(adapter, autocast)) {
      const counted = workgroupMemory(kernelOf(product), { ...constants, ...constantsOf(product) });
      const taken = workgroupBytes(product);
      // A product that isn't split still declares a fragment for the low parts, which Dawn leaves out.
      assert.ok(
        counted === taken || (product.kind === "matrix" && !product.split && counted > taken),
        `${nameOf(product)}: ${counted}, ${taken}`,
      );
    }
  }
});
