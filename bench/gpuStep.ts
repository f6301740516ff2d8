// Times training steps on a GPU by WebGPU. No peer here: bench/claims/gpu.ts compares.
import { prepareBrowser, softwareGpuEnvironment } from "../scripts/realVsCode.ts";
import { SeededRandom } from "../src/data/seededRandom.ts";
import type { MemberState } from "../src/engine/engine.ts";
import { newMemberState } from "../src/engine/memberState.ts";
import { createWebgpuEngine, type WebgpuEngine, webgpuAdapters } from "../src/engine/webgpu/webgpuEngine.ts";
import { productsFile } from "../src/jobs/device.ts";
import { NotMeasurable } from "./claim.ts";
import { configOf, type GpuShape } from "./gpuCounts.ts";

export interface GpuTiming {
  /** Of a step of all members, over steps that are given ahead as training gives them. */
  readonly step_ms: number;
  /** The encoders' products alone, all members'; null where one is too large to be measured by itself. */
  readonly product_ms: number | null;
  readonly product: string;
  /** Bytes to and from the device, and dispatches, a step. */
  readonly uploaded: number;
  readonly downloaded: number;
  readonly dispatches: number;
}

/** The engine as runs have it, its products tuned (the warm-up takes the trials): on a real GPU, or with `software` on one that the processor plays. Throws NotMeasurable where there is none. */
export async function gpuEngine(software: boolean): Promise<WebgpuEngine> {
  const tuningFile = productsFile();
  if (software) {
    await prepareBrowser();
    const environment = softwareGpuEnvironment;
    return createWebgpuEngine({ software: true, tunesSoftware: true, tuningFile, environment, patience: 900_000 });
  }
  const adapters = await webgpuAdapters().catch((error: Error) => {
    throw new NotMeasurable(error.message);
  });
  if (adapters.some((one) => !one.software)) return createWebgpuEngine({ tuningFile });
  const there = adapters.map(({ name }) => name).join("; ");
  throw new NotMeasurable(
    `${there ? `only a software adapter is here (${there})` : "no GPU is here"}; --software runs this on one at tiny sizes, to see that it runs`,
  );
}

/** Random normal rows and SAELens' default optimiser settings, no dead latents. `seed`: of the first member's weights. */
export async function measureGpuStep(
  engine: WebgpuEngine,
  shape: GpuShape,
  steps: number,
  warmUp: number,
  seed = 0,
): Promise<GpuTiming> {
  const { d_in: d, d_sae: F, rows, members = 1, architecture } = shape;
  const config = configOf(shape);
  const trainer = await engine.createTrainer(
    config,
    Array.from({ length: members }, (_, m) => startOf(shape, seed + m)),
  );
  try {
    const batches = [0, 1, 2].map((seed) => normal(rows * d, 1, 100 + seed));
    const input = { lr: 3e-4, sparsity_coefficient: architecture === "jumprelu" ? 0.01 : 0 };
    const run = async (count: number): Promise<void> => {
      let last: Promise<unknown> = Promise.resolve();
      for (let s = 0; s < count; s++) {
        const own = trainer.step(batches[s % batches.length]!, rows, input);
        await last;
        last = own;
      }
      await last;
    };
    await run(warmUp);
    const before = await engine.counts();
    const start = performance.now();
    await run(steps);
    const step_ms = (performance.now() - start) / steps;
    const after = await engine.counts();
    const { ms, product } = await engine.product({ rows, d, F });
    const each = (key: "uploaded" | "downloaded" | "dispatches") => (after[key] - before[key]) / steps;
    return {
      step_ms,
      product_ms: ms === null ? null : members * ms,
      product,
      uploaded: each("uploaded"),
      downloaded: each("downloaded"),
      dispatches: each("dispatches"),
    };
  } finally {
    await trainer.close();
  }
}

function startOf({ d_in: d, d_sae: F, architecture }: GpuShape, seed: number): MemberState {
  const W_dec = normal(F * d, 0.1 / Math.sqrt(d), seed);
  return newMemberState(
    {
      W_enc: W_dec.slice(),
      W_dec,
      b_dec: new Float32Array(d),
      b_enc: new Float32Array(F),
      // About as many fire as the shape says: the threshold is far out in a normal distribution of width 0.1.
      ...(architecture === "jumprelu" ? { threshold: new Float32Array(F).fill(0.265) } : {}),
    },
    0.9,
  );
}

function normal(length: number, scale: number, seed: number): Float32Array {
  const random = new SeededRandom(seed + 1);
  return Float32Array.from({ length }, () => scale * random.normal());
}
