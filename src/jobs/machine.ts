// Examines the machine: runtime, processor, memory, libraries, disk, and how fast a GEMM is. Each finding says what to do where something is wrong.
import { existsSync, readdirSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { createCpuEngine } from "../engine/cpu/cpuEngine.ts";
import { wasm } from "../engine/cpu/webAssembly.ts";
import { CPU_SHAPE, rateConfig, rateMember, type StepShape, tokensASecond } from "../engine/stepRate.ts";
import type { AdapterDescription } from "../engine/webgpu/protocol.ts";
import { createWebgpuEngine, type WebgpuEngineOptions, webgpuAdapters } from "../engine/webgpu/webgpuEngine.ts";
import "../formats/onnxTelemetry.ts";
import { encodeOnnx } from "../formats/onnx.ts";
import { demoPath } from "./demoData.ts";
import { productsFile } from "./device.ts";
import { versions } from "./versions.ts";

export interface Finding {
  readonly name: string;
  /** "problem": something here will not run; "none": it isn't here and need not be. */
  readonly state: "ok" | "none" | "warning" | "problem";
  readonly value: string;
  /** What to do about it. */
  readonly advice?: string;
}

const GIB = 2 ** 30;

const MARK = { ok: "✓", none: "–", warning: "!", problem: "✗" } as const;

/** Findings as lines for people, names aligned, advice below what it is about. */
export function findingLines(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings.flatMap(({ name, state, value, advice }) => [
    `${MARK[state]} ${name.padEnd(width)}  ${value}`,
    ...(advice ? [`  ${"".padEnd(width)}  → ${advice}`] : []),
  ]);
}

/** `folder`: where runs would go. Takes a few seconds. */
export async function examineMachine(folder: string): Promise<Finding[]> {
  return [
    runtime(),
    processor(),
    memory(),
    await disk(folder),
    database(),
    webAssembly(),
    await onnxRuntime(),
    await engine(),
    ...(await gpus()),
    demo(),
  ];
}

function runtime(): Finding {
  const { "sae-ensembles": product, node, platform } = versions();
  return { name: "SAE Ensembles", state: "ok", value: `${product} on Node ${node}, ${platform}` };
}

function processor(): Finding {
  const model = cpus()[0]?.model.trim() ?? "unknown";
  const cores = availableParallelism();
  return { name: "Processor", state: "ok", value: `${model}, ${cores} ${cores === 1 ? "thread" : "threads"} to use` };
}

function memory(): Finding {
  // What a container allows, where it says so.
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const value = `${(total / GIB).toFixed(1)} GiB, ${(Math.min(freemem(), process.availableMemory()) / GIB).toFixed(1)} GiB free`;
  if (total >= 3.5 * GIB) return { name: "Memory", state: "ok", value };
  return {
    name: "Memory",
    state: "warning",
    value,
    advice: "enough for the demo; wide SAEs and large models need more",
  };
}

async function disk(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const value = `${(free / GIB).toFixed(1)} GiB free here`;
  if (free >= 2 * GIB) return { name: "Disk", state: "ok", value };
  return {
    name: "Disk",
    state: "warning",
    value,
    advice: "a harvest takes 4 bytes a value (2 as float16); activations.store can be on_the_fly",
  };
}

function database(): Finding {
  const database = new DatabaseSync(":memory:");
  try {
    const { version } = database.prepare("SELECT sqlite_version() AS version").get() as { version: string };
    database.exec("CREATE VIRTUAL TABLE t USING fts5(x)");
    return { name: "SQLite", state: "ok", value: `${version} with full-text search` };
  } catch (error) {
    return {
      name: "SQLite",
      state: "problem",
      value: (error as Error).message,
      advice: "use the Node 24 that npm ci installs: the feature index needs FTS5",
    };
  } finally {
    database.close();
  }
}

/** Smallest modules that use a feature: valid where the engine knows it. */
const wasmFeatures: readonly [name: string, body: readonly number[]][] = [
  // v128 result: i32.const 0, i8x16.splat
  ["SIMD", [1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11]],
  // shared memory 1..1
  ["threads", [5, 4, 1, 3, 1, 1]],
  // v128 result: two splats, i8x16.relaxed_swizzle
  [
    "relaxed SIMD",
    [1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11],
  ],
];

function webAssembly(): Finding {
  const has = wasmFeatures
    .filter(([, body]) => wasm.validate(Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, ...body])))
    .map(([name]) => name);
  const value = has.join(", ") || "none of SIMD, threads, relaxed SIMD";
  if (has.includes("SIMD") && has.includes("threads")) return { name: "WebAssembly", state: "ok", value };
  return {
    name: "WebAssembly",
    state: "problem",
    value,
    advice: "the CPU engine needs SIMD and threads: use the Node 24 that npm ci installs",
  };
}

/** Size of the measured product: large enough for the library to reach its rate, small enough to take a tenth of a second. */
const [M, K, N] = [512, 512, 2048];

async function onnxRuntime(): Promise<Finding> {
  const name = "onnxruntime";
  try {
    const rate = await measureProducts();
    return {
      name,
      state: "ok",
      value: `${versions()["onnxruntime-node"]}, matrix products at ${rate.toFixed(0)} GFLOP/s`,
    };
  } catch (error) {
    return {
      name,
      state: "problem",
      value: (error as Error).message,
      advice: "language models need it: run npm ci again on this machine",
    };
  }
}

/** GFLOP/s of onnxruntime's matrix products on all cores; the best of a few. Throws Error where it can't be loaded or is wrong. */
export async function measureProducts(): Promise<number> {
  const ort = await import("onnxruntime-node");
  const model = encodeOnnx({
    opsets: { "": 17 },
    graph: {
      name: "gemm",
      nodes: [{ opType: "MatMul", inputs: ["a", "b"], outputs: ["c"] }],
      initializers: [],
      inputs: [
        { name: "a", dtype: "F32", shape: [M, K] },
        { name: "b", dtype: "F32", shape: [K, N] },
      ],
      outputs: [{ name: "c", dtype: "F32", shape: [M, N] }],
    },
  });
  const session = await ort.InferenceSession.create(model);
  const feeds = {
    a: new ort.Tensor("float32", new Float32Array(M * K).fill(0.5), [M, K]),
    b: new ort.Tensor("float32", new Float32Array(K * N).fill(0.25), [K, N]),
  };
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    const { c } = await session.run(feeds);
    best = Math.min(best, performance.now() - start);
    if ((c!.data as Float32Array)[0] !== K / 8) throw new Error("a matrix product comes out wrong");
  }
  await session.release();
  return (2 * M * K * N) / (best * 1e6);
}

async function engine(): Promise<Finding> {
  const name = "Training engine";
  try {
    const cpu = await createCpuEngine();
    try {
      const trainer = await cpu.createTrainer(rateConfig(CPU_SHAPE), [rateMember(CPU_SHAPE)]);
      const tokens = await tokensASecond(trainer, CPU_SHAPE);
      await trainer.close();
      return { name, state: "ok", value: `${cpu.description}; ${rateWords(tokens, CPU_SHAPE)}` };
    } finally {
      await cpu.close();
    }
  } catch (error) {
    return {
      name,
      state: "problem",
      value: (error as Error).message,
      advice: "engine: reference works everywhere, slowly",
    };
  }
}

function rateWords(tokens: number, { d, F }: Pick<StepShape, "d" | "F">): string {
  return `a TopK SAE of ${F.toLocaleString("en")} features of width ${d} at ${tokens.toLocaleString("en", { maximumSignificantDigits: 3 })} tokens/s`;
}

/** What WebGPU finds: every adapter with its limits, and how fast it is. */
async function gpus(): Promise<Finding[]> {
  const name = "GPU";
  try {
    const adapters = await webgpuAdapters();
    if (adapters.length === 0)
      return [{ name, state: "none", value: "none that WebGPU can use; SAEs are trained on the processor" }];
    const findings: Finding[] = [];
    for (const adapter of adapters) findings.push(await gpuFinding(adapter));
    return findings;
  } catch (error) {
    return [{ name, ...withoutGpu((error as Error).message) }];
  }
}

/** One that fails says so and hides no other. `measure`: as measuredAdapter. */
export async function gpuFinding(adapter: AdapterDescription, measure = measuredAdapter): Promise<Finding> {
  const name = "GPU";
  try {
    return { name, state: "ok", value: await measure(adapter) };
  } catch (error) {
    return { name, ...withoutGpu(`${adapter.name}: ${(error as Error).message}`) };
  }
}

function withoutGpu(value: string): Omit<Finding, "name"> {
  const advice = "SAEs are trained on the processor; see to the GPU's driver, or set device to cpu";
  return { state: "warning", value, advice };
}

/** One line of an adapter's limits, features and speed. Software's isn't measured but where `engineOptions` (for tests) say how. */
export async function measuredAdapter(
  adapter: AdapterDescription,
  engineOptions?: WebgpuEngineOptions,
): Promise<string> {
  const { features, software } = adapter;
  const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
  const limits = `buffers to ${gib(Math.min(adapter.maxBufferSize, adapter.maxStorageBufferBindingSize))}, ${adapter.maxComputeWorkgroupStorageSize / 1024} KiB a workgroup`;
  const what = `${adapter.name}: ${limits}${features.length > 0 ? `, ${features.join(", ")}` : ""}`;
  if (software && !engineOptions) return `${what}; computed on the processor, never chosen by itself`;
  const engine = await createWebgpuEngine({ adapter: adapter.key, tuningFile: productsFile(), ...engineOptions });
  try {
    const { gemm, product, tokens, shape } = await engine.measure();
    return `${what}; matrix products at ${gemm.toFixed(0)} GFLOP/s (${product}), ${rateWords(tokens, shape)}`;
  } finally {
    await engine.close();
  }
}

function demo(): Finding {
  const model = demoPath("model");
  const there = existsSync(model) && readdirSync(model).length > 0 && existsSync(demoPath("text"));
  if (there) return { name: "Demo", state: "ok", value: "model and texts are there" };
  return {
    name: "Demo",
    state: "problem",
    value: `nothing at ${model}`,
    advice: "the installation is not complete: get media/demo",
  };
}
