// What doctor says of GPUs: limits, features and measured speed in one line each, and one that fails hides no other.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { prepareBrowser, softwareGpuEnvironment, unavailable } from "../../../scripts/realVsCode.ts";
import { nameOf, SOFTWARE_PLAIN } from "../../../src/engine/webgpu/products.ts";
import type { AdapterDescription } from "../../../src/engine/webgpu/protocol.ts";
import { webgpuAdapters } from "../../../src/engine/webgpu/webgpuEngine.ts";
import { findingLines, gpuFinding, measuredAdapter } from "../../../src/jobs/machine.ts";
import { temporaryFolder } from "../fixtures.ts";

const missing = unavailable && `no software GPU: ${unavailable}`;
if (!missing) await prepareBrowser();

test("an adapter that can't be opened is said by its name, with what to do", async () => {
  const adapter = { name: "SomeGpu" } as AdapterDescription;
  const broken = async () => {
    throw new Error("no memory for a device");
  };
  assert.deepEqual(await gpuFinding(adapter, broken), {
    name: "GPU",
    state: "warning",
    value: "SomeGpu: no memory for a device",
    advice: "SAEs are trained on the processor; see to the GPU's driver, or set device to cpu",
  });
  assert.deepEqual(await gpuFinding(adapter, async () => "a line"), { name: "GPU", state: "ok", value: "a line" });
});

test("what isn't here and need not be is neither ticked nor a problem", () => {
  const value = "none that WebGPU can use";
  assert.deepEqual(findingLines([{ name: "GPU", state: "none", value }]), [`– GPU  ${value}`]);
});

test("limits, features, and the rates of its product and of whole steps", { skip: missing }, async () => {
  const adapters = await webgpuAdapters({ environment: softwareGpuEnvironment });
  const adapter = adapters.find(({ software }) => software)!;
  assert.match(
    await measuredAdapter(adapter),
    /GiB, \d+ KiB a workgroup.*; computed on the processor, never chosen by/,
  );
  const tuningFile = join(temporaryFolder(), "products.json");
  const line = await measuredAdapter(adapter, { environment: softwareGpuEnvironment, patience: 900_000, tuningFile });
  assert.ok(line.startsWith(`${adapter.name}: buffers to `), line);
  const [, gflops, product, tokens] =
    /; matrix products at (\d+) GFLOP\/s \((.+)\), a TopK SAE of 256 features of width 64 at ([\d,.]+) tokens\/s$/.exec(
      line,
    )!;
  assert.equal(product, nameOf(SOFTWARE_PLAIN));
  assert.ok(Number(gflops) >= 0 && Number(tokens!.replaceAll(",", "")) > 0, line);
});
