// gpu-shared: SAE training and a language model's harvesting on one GPU, in two processes that its driver shares out: how much of what each does alone is left of it.
import { softwareGpuEnvironment } from "../../scripts/realVsCode.ts";
import { demoPath } from "../../src/jobs/demoData.ts";
import { DeviceModel } from "../../src/model/device/deviceModel.ts";
import type { TokenBatch } from "../../src/model/languageModel.ts";
import type { Bench, Claim, Measured } from "../claim.ts";
import type { GpuShape } from "../gpuCounts.ts";
import { gpuEngine, measureGpuStep } from "../gpuStep.ts";
import { smolLm2 } from "../sharedData.ts";

const STEPS = 100;
const BATCHES = 20;
const SHAPE: GpuShape = { architecture: "topk", d_in: 512, d_sae: 16_384, active: 32, rows: 4096 };
/** What a software GPU gets through. */
const TINY: GpuShape = { architecture: "topk", d_in: 16, d_sae: 64, active: 4, rows: 32 };

export const gpuSharedClaim: Claim = {
  name: "gpu-shared",
  measures:
    "training steps and captures of SmolLM2-135M at once on one GPU: the smaller of the two rates, as a share of the same alone",
  against: "each alone; a fair half of the GPU would be 0.5",
  unit: "share of the rate alone",
  goal: 0.25,
  run: shared,
};

async function shared(bench: Bench): Promise<Measured> {
  const { software } = bench;
  const [shape, steps, batches] = software ? [TINY, 2, 2] : [SHAPE, STEPS, BATCHES];
  const path = software ? demoPath("model") : smolLm2();
  const hook = software ? "blocks.1.hook_resid_post" : "blocks.15.hook_resid_post";
  const batch = software ? tokens(2, 9) : tokens(8, 255);
  const engine = await gpuEngine(software);
  let model: DeviceModel | undefined;
  try {
    model = await DeviceModel.open(path, "webgpu", {
      threads: bench.threads,
      ...(software ? { environment: softwareGpuEnvironment, patience: 900_000 } : {}),
    });
    const own = model;
    const capturing = async (goesOn: (done: number) => boolean) => {
      const start = performance.now();
      let done = 0;
      while (goesOn(done)) {
        await own.capture(batch, hook);
        done += 1;
      }
      return (performance.now() - start) / done;
    };
    bench.log("each alone");
    await capturing((done) => done < 2);
    const captureAlone = await capturing((done) => done < batches);
    const { step_ms: stepAlone } = await measureGpuStep(engine, shape, steps, 2);
    bench.log("both at once");
    let isTraining = true;
    const captured = capturing((done) => isTraining || done === 0);
    const { step_ms: stepBeside } = await measureGpuStep(engine, shape, steps, 2).finally(() => {
      isTraining = false;
    });
    const captureBeside = await captured;
    const shares = { step_share: stepAlone / stepBeside, capture_share: captureAlone / captureBeside };
    const least = Math.min(shares.step_share, shares.capture_share);
    return {
      ours: least,
      peer: null,
      ratio: software ? null : least,
      details: {
        adapter: engine.adapter.name,
        step_alone_ms: stepAlone,
        step_beside_ms: stepBeside,
        capture_alone_ms: captureAlone,
        capture_beside_ms: captureBeside,
        ...shares,
      },
      notes: [
        ...(software ? ["A software GPU at a tiny size: that it runs, and nothing about speed."] : []),
        "Captures beside training are timed from the making of its trainer to the end of its last product.",
      ],
    };
  } finally {
    await model?.close();
    await engine.close();
  }
}

function tokens(rows: number, length: number): TokenBatch {
  const ids = Int32Array.from({ length: rows * length }, (_, at) => 3 + ((at * 31) % 200));
  return { rows, length, ids, lengths: new Int32Array(rows).fill(length) };
}
