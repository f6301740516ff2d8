// What a machine can do of matrix products: the best that onnxruntime and torch reach on some shapes.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeOnnx } from "../src/formats/onnx.ts";
import type { PythonPeer } from "./pythonPeer.ts";

/** [m, k, n] */
type Shape = readonly [number, number, number];

const TIMES = 12;

/** What arithmetic of so many GFLOP/s is of the rates (GFLOP/s) that either library reached; the best counts, not the median. */
export function rateShares(gflops: number, onnxruntimes: readonly number[], torchs: readonly number[]) {
  const onnxruntime = Math.max(...onnxruntimes);
  const machine = Math.max(onnxruntime, ...torchs);
  return {
    share_of_gemm_rate: gflops / machine,
    share_of_onnxruntimes_rate: gflops / onnxruntime,
    gflops_of_weights: gflops,
    gflops_machine: machine,
    gflops_onnxruntime: onnxruntime,
  };
}

/** GFLOP/s in float32 of torch's product on all cores: the best of the shapes. The peer answers `matmul_rate`. */
export async function torchRate(shapes: readonly Shape[], peer: PythonPeer): Promise<number> {
  return (await peer.ask<{ gflops: number }>("matmul_rate", { shapes, times: TIMES })).gflops;
}

/** The same of onnxruntime's. */
export async function onnxruntimeRate(threads: number, shapes: readonly Shape[]): Promise<number> {
  const rates: number[] = [];
  for (const shape of shapes) rates.push(await gemmRate(threads, shape));
  return Math.max(...rates);
}

/** GFLOP/s of onnxruntime's MatMul on all cores; the best of a few. */
async function gemmRate(threads: number, [m, k, n]: Shape): Promise<number> {
  const model = encodeOnnx({
    opsets: { "": 17 },
    graph: {
      name: "matmul",
      nodes: [{ opType: "MatMul", inputs: ["A", "B"], outputs: ["C"] }],
      initializers: [{ name: "B", dtype: "F32", shape: [k, n], data: new Uint8Array(filled(k * n).buffer) }],
      inputs: [{ name: "A", dtype: "F32", shape: [m, k] }],
      outputs: [{ name: "C", dtype: "F32", shape: [m, n] }],
    },
  });
  const session = await InferenceSession.create(model, { intraOpNumThreads: threads });
  const feeds = { A: new Tensor("float32", filled(m * k), [m, k]) };
  const fetches = { C: new Tensor("float32", new Float32Array(m * n), [m, n]) };
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TIMES; i++) {
    const start = performance.now();
    await session.run(feeds, fetches);
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * m * k * n) / best / 1e6;
}

function filled(n: number): Float32Array<ArrayBuffer> {
  return new Float32Array(n).map((_, i) => Math.sin(i));
}
