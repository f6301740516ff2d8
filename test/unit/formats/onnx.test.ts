// ONNX bytes: onnxruntime runs what is written, with every kind of attribute, and with weights inside a safetensors file.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeOnnx, type OnnxModel, onnxDataType } from "../../../src/formats/onnx.ts";
import { readSafetensors, writeSafetensors } from "../../../src/formats/safetensors.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();

async function run(
  model: OnnxModel,
  x: Float32Array,
  shape: number[],
): Promise<{ data: unknown; dims: readonly number[] }> {
  const session = await InferenceSession.create(encodeOnnx(model), {
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  try {
    const { y } = await session.run({ x: new Tensor("float32", x, shape) });
    return { data: y!.data, dims: y!.dims };
  } finally {
    await session.release();
  }
}

test("integers, floats, lists and tensors as attributes; raw initializers; named and fixed dimensions", async () => {
  const { data, dims } = await run(
    {
      opsets: { "": 21 },
      graph: {
        name: "g",
        nodes: [
          // 2·(x Wᵀ) + 0.5·c
          {
            opType: "Gemm",
            inputs: ["x", "w", "c"],
            outputs: ["a"],
            attributes: { transB: { int: 1 }, alpha: { float: 2 }, beta: { float: 0.5 } },
          },
          { opType: "Transpose", inputs: ["a"], outputs: ["b"], attributes: { perm: { ints: [1, 0] } } },
          {
            opType: "Constant",
            inputs: [],
            outputs: ["k"],
            attributes: {
              value: {
                tensor: { name: "k", dtype: "F32", shape: [], data: new Uint8Array(Float32Array.of(-1).buffer) },
              },
            },
          },
          { opType: "Constant", inputs: [], outputs: ["f"], attributes: { value_floats: { floats: [100, 200] } } },
          { opType: "Add", inputs: ["b", "f"], outputs: ["e"] },
          { opType: "Pad", inputs: ["e", "pads", "k"], outputs: ["y"], attributes: { mode: { string: "constant" } } },
        ],
        initializers: [
          { name: "w", dtype: "F32", shape: [3, 2], data: new Uint8Array(Float32Array.of(1, 0, 0, 1, 1, 1).buffer) },
          { name: "c", dtype: "F32", shape: [3], data: new Uint8Array(Float32Array.of(2, 4, 6).buffer) },
          { name: "pads", dtype: "I64", shape: [4], data: new Uint8Array(BigInt64Array.of(0n, 0n, 0n, 1n).buffer) },
        ],
        inputs: [{ name: "x", dtype: "F32", shape: ["rows", 2] }],
        outputs: [{ name: "y", dtype: "F32", shape: [3, "columns"] }],
      },
    },
    Float32Array.of(1, 2, 3, 4),
    [2, 2],
  );
  assert.deepEqual(dims, [3, 3]);
  assert.deepEqual(data, Float32Array.of(103, 207, -1, 106, 210, -1, 109, 217, -1));
});

test("weights inside a safetensors file, unaligned and in bfloat16", async () => {
  const path = join(folder, "weights.safetensors");
  await writeSafetensors(path, {
    odd: { shape: [3], data: Uint8Array.of(1, 2, 3) },
    w: { shape: [2], data: Float32Array.of(10, 20) },
    half: { shape: [2], dtype: "BF16", data: Uint16Array.of(0x3f80, 0x4000) },
  });
  const { tensors } = await readSafetensors(path);
  const external = (name: string) => {
    const { dtype, shape, offset, length } = tensors.get(name)!;
    return { name, dtype, shape, data: { location: "weights.safetensors", offset, length } };
  };
  const { data } = await run(
    {
      opsets: { "": 21 },
      graph: {
        name: "g",
        nodes: [
          { opType: "Cast", inputs: ["half"], outputs: ["h"], attributes: { to: { int: onnxDataType("F32") } } },
          { opType: "Mul", inputs: ["x", "w"], outputs: ["a"] },
          { opType: "Add", inputs: ["a", "h"], outputs: ["y"] },
        ],
        initializers: [external("w"), external("half")],
        inputs: [{ name: "x", dtype: "F32", shape: [2] }],
        outputs: [{ name: "y", dtype: "F32", shape: [2] }],
      },
    },
    Float32Array.of(1, -1),
    [2],
  );
  assert.deepEqual(data, Float32Array.of(11, -18));
});
