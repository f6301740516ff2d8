// gpu-train-step, gpu-bagging-8: training by WebGPU, beside PyTorch's trainers on CUDA where such a card and they are here.
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { type GpuShape, goalShapes } from "../gpuCounts.ts";
import { gpuEngine, measureGpuStep } from "../gpuStep.ts";

const STEPS = 30;
const WARM_UP = 5;
const MEMBERS = 8;
/** The peer whose operands are rounded. */
const TF32 = "dense_tf32";
/** What a software GPU gets through. */
const TINY: readonly GpuShape[] = [{ architecture: "topk", d_in: 16, d_sae: 64, active: 4, rows: 32 }];
const TINY_STEPS = 2;
/** Peak of the card in TFLOP/s, which no interface tells: with it, products are given as a share of it. */
const PEAK_VARIABLE = "SAE_ENSEMBLES_GPU_TFLOPS";

export const gpuTrainStepClaim: Claim = {
  name: "gpu-train-step",
  measures:
    "one training step by WebGPU at d=512 F=16384 k=32, d=768 F=16128 k=128 and d=2304 F=16128 JumpReLU, B=4096 and 10000",
  against:
    "the best of dense PyTorch in float32, SAELens' trainer and sparsify's fused kernels, on CUDA; the least ratio counts. Dense PyTorch in TF32 beside it, whose goal is 1",
  unit: "ms",
  goal: 2,
  run: trainSteps,
};

export const gpuBaggingClaim: Claim = {
  name: "gpu-bagging-8",
  measures: "one step of eight members trained together by WebGPU, and how it grows with F, J and B",
  against: "eight members, each trained by itself, one after the other: eight for the price of five is 8/5",
  unit: "ms",
  goal: MEMBERS / 5,
  run: bagging,
};

interface Peers {
  readonly cuda: boolean;
  readonly name: string;
  readonly torch: string;
  /** Names of those that can run, and why others can't. */
  readonly can: readonly string[];
  readonly cannot: Readonly<Record<string, string>>;
}

async function trainSteps(bench: Bench): Promise<Measured> {
  const engine = await gpuEngine(bench.software);
  try {
    const shapes = bench.software ? TINY : goalShapes;
    const steps = bench.software ? TINY_STEPS : STEPS;
    const peers = bench.software ? null : await cudaPeers(bench);
    const details: Record<string, number | string> = {
      adapter: engine.adapter.name,
      features: engine.adapter.features.join(" "),
    };
    let worst: { ours: number; peer: number; ratio: number } | undefined;
    let worstOfTf32 = Number.POSITIVE_INFINITY;
    let first: number | undefined;
    for (const shape of shapes) {
      const key = keyOf(shape);
      bench.log(key);
      const own = await measureGpuStep(engine, shape, steps, WARM_UP);
      first ??= own.step_ms;
      const operations = 2 * shape.rows * shape.d_in * shape.d_sae;
      Object.assign(details, {
        [`${key}_ms`]: own.step_ms,
        [`${key}_product`]: own.product,
        ...(own.product_ms === null
          ? {}
          : {
              [`${key}_product_share`]: own.product_ms / own.step_ms,
              [`${key}_product_tflops`]: operations / own.product_ms / 1e9,
              ...peakShare(key, operations / own.step_ms / 1e9),
            }),
        [`${key}_bytes_up`]: own.uploaded,
        [`${key}_bytes_down`]: own.downloaded,
        [`${key}_dispatches`]: own.dispatches,
      });
      for (const which of peers?.can ?? []) {
        // sparsify trains topk alone.
        if (which === "sparsify" && shape.architecture !== "topk") continue;
        const { ms: peer } = await peers!.step(which, shape, steps);
        details[`${key}_${which}_ms`] = peer;
        const ratio = peer / own.step_ms;
        // Ten bits of an operand are left out there: another goal (1), so another ratio.
        if (which === TF32) worstOfTf32 = Math.min(worstOfTf32, ratio);
        else if (!worst || ratio < worst.ratio) worst = { ours: own.step_ms, peer, ratio };
      }
    }
    if (Number.isFinite(worstOfTf32)) details["tf32_ratio"] = worstOfTf32;
    return {
      ours: worst?.ours ?? first!,
      peer: worst?.peer ?? null,
      ratio: worst?.ratio ?? null,
      details,
      notes: [
        ...(bench.software ? [SOFTWARE_NOTE] : []),
        ...(peers ? [peers.words] : []),
        "All are timed over their steps together, given without waiting for the one before. tf32_ratio is the least against dense PyTorch in TF32; its goal is 1.",
        `The product's share is its time alone over the whole step's. With ${PEAK_VARIABLE} set, step_peak_share is the product's operations over the step's time and the card's peak.`,
      ],
    };
  } finally {
    await engine.close();
  }
}

const SOFTWARE_NOTE = "A software GPU at a tiny size: that it runs, and nothing about speed.";

function peakShare(key: string, tflops: number): Record<string, number> {
  const peak = Number(process.env[PEAK_VARIABLE]);
  return peak > 0 ? { [`${key}_step_peak_share`]: tflops / peak } : {};
}

async function cudaPeers(bench: Bench) {
  try {
    const peer = await bench.peer("gpu_train_step.py");
    const { cuda, name, torch, can, cannot } = await peer.ask<Peers>("devices");
    const missing = Object.entries(cannot).map(([which, why]) => `${which}: ${why}`);
    if (!cuda) return { can: [], words: `No peer: PyTorch ${torch} sees no CUDA card.`, step: notHere };
    return {
      can,
      words: `Peers on ${name}, PyTorch ${torch}${missing.length > 0 ? `; not measured: ${missing.join("; ")}` : ""}.`,
      step: (which: string, { architecture, d_in, d_sae, active, rows }: GpuShape, steps: number) =>
        peer.ask<{ ms: number }>("step", {
          which,
          architecture,
          d: d_in,
          F: d_sae,
          k: active,
          batch: rows,
          steps,
          warm_up: WARM_UP,
        }),
    };
  } catch (error) {
    if (!(error instanceof NotMeasurable)) throw error;
    return { can: [], words: `No peer: ${error.message}`, step: notHere };
  }
}

async function notHere(): Promise<{ ms: number }> {
  throw new NotMeasurable("no peer is here");
}

async function bagging(bench: Bench): Promise<Measured> {
  const engine = await gpuEngine(bench.software);
  try {
    const steps = bench.software ? TINY_STEPS : STEPS;
    const base: GpuShape = bench.software
      ? TINY[0]!
      : { architecture: "topk", d_in: 768, d_sae: 16_128, active: 128, rows: 4096 };
    const details: Record<string, number | string> = {
      adapter: engine.adapter.name,
      features: engine.adapter.features.join(" "),
    };
    const measure = async (shape: GpuShape, seed = 0) => {
      const key = `${keyOf(shape)}${seed === 0 ? "" : `_seed${seed}`}`;
      bench.log(key);
      const own = await measureGpuStep(engine, shape, steps, WARM_UP, seed);
      details[`${key}_ms`] = own.step_ms;
      return own;
    };
    const one = await measure(base);
    const eight = await measure({ ...base, members: MEMBERS });
    let alone = one.step_ms;
    for (let seed = 1; seed < MEMBERS; seed++) alone += (await measure(base, seed)).step_ms;
    Object.assign(details, {
      price_of: eight.step_ms / one.step_ms,
      dispatches_1: one.dispatches,
      dispatches_8: eight.dispatches,
      bytes_up_1: one.uploaded,
      bytes_up_8: eight.uploaded,
      bytes_down_1: one.downloaded,
      bytes_down_8: eight.downloaded,
    });
    for (const members of [2, 4]) await measure({ ...base, members });
    for (const part of [4, 2]) await measure({ ...base, d_sae: base.d_sae / part });
    for (const part of [4, 2]) await measure({ ...base, rows: base.rows / part });
    return {
      ours: eight.step_ms,
      peer: alone,
      ratio: bench.software ? null : alone / eight.step_ms,
      details,
      notes: [
        ...(bench.software ? [SOFTWARE_NOTE] : []),
        "price_of: what eight members together cost, in steps of the first member alone. The peer is the sum over the eight, each trained alone. The other lines are the scaling with J, F and B.",
      ],
    };
  } finally {
    await engine.close();
  }
}

function keyOf({ architecture, d_in, d_sae, active, rows, members = 1 }: GpuShape): string {
  return `${architecture}_d${d_in}_f${d_sae}_k${active}_b${rows}_j${members}`;
}
