// What adapters are called and which of them are software, by what drivers say of themselves, and what is done without where a driver doesn't open it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeAdapter, requestDevice } from "../../../src/engine/webgpu/adapters.ts";

const limits = {
  maxBufferSize: 2 ** 31,
  maxStorageBufferBindingSize: 2 ** 31,
  maxComputeWorkgroupStorageSize: 32_768,
  maxComputeInvocationsPerWorkgroup: 1024,
};

function adapterOf(info: Partial<GPUAdapterInfo>, features: string[] = []) {
  const all = { vendor: "", architecture: "", device: "", description: "", isFallbackAdapter: false, ...info };
  return { info: all as GPUAdapterInfo, features: new Set(features), limits } as unknown as GPUAdapter;
}

test("a GPU is called by its model and driver; software is known by any of its words", () => {
  for (const [info, name, software] of [
    [
      { device: "Apple M2", description: "Metal driver on macOS 15.1", vendor: "apple", architecture: "metal-3" },
      "Apple M2, Metal driver on macOS 15.1, metal-3",
      false,
    ],
    [
      { device: "NVIDIA GeForce RTX 4090", description: "NVIDIA: 570.86", vendor: "nvidia", architecture: "lovelace" },
      "NVIDIA GeForce RTX 4090, NVIDIA: 570.86, lovelace",
      false,
    ],
    [
      {
        device: "Microsoft Basic Render Driver",
        description: "D3D12 driver version 10.0.26100.1",
        vendor: "microsoft",
        architecture: "warp",
      },
      "Microsoft Basic Render Driver, D3D12 driver version 10.0.26100.1, warp",
      true,
    ],
    [{ description: "D3D12 driver", vendor: "microsoft", architecture: "warp" }, "D3D12 driver, microsoft, warp", true],
    [{ device: "llvmpipe (LLVM 19.1.1, 256 bits)", description: "Mesa 26.2.6", vendor: "mesa" }, undefined, true],
    [{ device: "SomeGpu", description: "a driver", isFallbackAdapter: true }, undefined, true],
    [{}, "a GPU without a name", false],
  ] as const) {
    const found = describeAdapter(adapterOf(info));
    if (name !== undefined) assert.equal(found.name, name);
    assert.equal(found.software, software, found.name);
  }
});

const MATRICES = "chromium-experimental-subgroup-matrix";
const everything = ["shader-f16", "subgroups", MATRICES, "timestamp-query"];

test("a device that its driver doesn't open with all features opens with fewer (adapter made up)", async () => {
  const matrices = [{ componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 }];
  for (const [refused, opened] of [
    [[], ["shader-f16", "subgroups", MATRICES]],
    [[MATRICES], ["shader-f16", "subgroups"]],
    [["shader-f16"], []],
  ] as const) {
    const adapter = adapterOf({ subgroupMatrixConfigs: matrices } as never, everything);
    const device = {} as GPUDevice;
    adapter.requestDevice = async ({ requiredFeatures = [] } = {}) => {
      for (const one of requiredFeatures) if ((refused as readonly string[]).includes(one)) throw new Error("refused");
      return device;
    };
    const description = describeAdapter(adapter);
    assert.equal(description.matrices.length, 1);
    const { device: got, has } = await requestDevice(adapter, description);
    assert.equal(got, device);
    assert.deepEqual([...has.features].sort(), [...opened].sort());
    assert.equal(has.subgroups, (opened as readonly string[]).includes("subgroups"));
    assert.equal(has.matrices.length, (opened as readonly string[]).includes(MATRICES) ? 1 : 0);
  }
});

test("a device that doesn't open at all fails with what its driver says (adapter made up)", async () => {
  const adapter = adapterOf({}, everything);
  adapter.requestDevice = async () => {
    throw new Error("no memory for a device");
  };
  await assert.rejects(requestDevice(adapter, describeAdapter(adapter)), /no memory for a device/);
});
