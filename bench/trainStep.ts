// Times one training step of the CPU engine and its parts. No peer here: the comparing benches call measureStep.
import { pathToFileURL } from "node:url";
import { SeededRandom } from "../src/data/seededRandom.ts";
import { createCpuEngine } from "../src/engine/cpu/cpuEngine.ts";
import type { TrainerConfig } from "../src/engine/engine.ts";
import { newMemberState } from "../src/engine/memberState.ts";
import { defaultTrainerConfig } from "../src/engine/trainerDefaults.ts";
import type { Architecture } from "../src/sae/sae.ts";
import { median } from "./median.ts";

export interface StepShape {
  readonly d_in: number;
  readonly d_sae: number;
  readonly k: number;
  readonly rows: number;
  /** Timed steps, after `warmUp`. */
  readonly steps: number;
  readonly warmUp?: number;
  readonly architecture?: Architecture;
  readonly matryoshka_widths?: readonly number[];
  readonly members?: number;
  readonly threads?: number;
  readonly native?: boolean;
  readonly adam_beta1?: number;
  readonly max_grad_norm?: number | null;
  readonly sparsity_coefficient?: number;
}

export interface StepTiming {
  /** Median wall time of a step, ms. */
  readonly step_ms: number;
  /** Of that, the encoder's matrix product: the mean over threads, ms. */
  readonly gemm_ms: number;
  /** Median wall time of each phase as the threads see it (mean over threads), ms. */
  readonly parts: Readonly<Record<string, number>>;
  /** All steps' wall times, ms. */
  readonly all_ms: readonly number[];
  readonly loss: number;
  readonly l0: number;
}

/** Trains on random normal rows, SAELens' default optimiser settings, no dead latents. */
export async function measureStep(shape: StepShape): Promise<StepTiming> {
  const { d_in, d_sae, rows } = shape;
  const random = new SeededRandom(1);
  const normal = (n: number, scale: number) => Float32Array.from({ length: n }, () => scale * random.normal());
  const config = stepConfig(shape);
  const members = Array.from({ length: shape.members ?? 1 }, () => {
    const W_dec = normal(d_sae * d_in, 0.1 / Math.sqrt(d_in));
    const vectors = shape.architecture === "gated" ? ["b_gate", "b_mag", "r_mag"] : ["b_enc"];
    return newMemberState(
      {
        W_enc: W_dec.slice(),
        W_dec,
        b_dec: new Float32Array(d_in),
        ...Object.fromEntries(vectors.map((name) => [name, new Float32Array(d_sae)])),
        ...(shape.architecture === "jumprelu" ? { threshold: new Float32Array(d_sae).fill(0.01) } : {}),
      },
      config.adam_beta1,
    );
  });
  const engine = await createCpuEngine({
    ...(shape.threads === undefined ? {} : { threads: shape.threads }),
    ...(shape.native === undefined ? {} : { native: shape.native }),
  });
  const trainer = await engine.createTrainer(config, members);
  const batches = Array.from({ length: 4 }, () => normal(rows * d_in, 1));
  const input = { lr: 3e-4, sparsity_coefficient: shape.sparsity_coefficient ?? 0 };
  const all: number[] = [];
  const parts: Record<string, number>[] = [];
  let report: { loss: number; l0: number } | undefined;
  const warmUp = shape.warmUp ?? 5;
  for (let s = 0; s < warmUp + shape.steps; s++) {
    const start = performance.now();
    [report] = await trainer.step(batches[s % batches.length]!, rows, input);
    if (s >= warmUp) all.push(performance.now() - start);
    const timing = engine.takeTimings();
    if (s >= warmUp) parts.push(timing);
  }
  await trainer.close();
  await engine.close();
  const names = [...new Set(parts.flatMap((part) => Object.keys(part)))];
  const medians = Object.fromEntries(names.map((name) => [name, median(parts.map((part) => part[name] ?? 0))]));
  return {
    step_ms: median(all),
    gemm_ms: medians["gemm"] ?? 0,
    parts: medians,
    all_ms: all,
    loss: report!.loss,
    l0: report!.l0,
  };
}

/** SAELens' defaults for one step of the given shape. */
export function stepConfig(shape: Omit<StepShape, "rows" | "steps">): TrainerConfig {
  const sae = {
    architecture: shape.architecture ?? "topk",
    d_in: shape.d_in,
    d_sae: shape.d_sae,
    k: shape.k,
    ...(shape.matryoshka_widths && { matryoshka_widths: shape.matryoshka_widths }),
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    rescale_acts_by_decoder_norm: true,
    dtype: "float32",
    metadata: {},
  } as const;
  return {
    ...defaultTrainerConfig(sae),
    ...(shape.adam_beta1 !== undefined && { adam_beta1: shape.adam_beta1 }),
    ...(shape.max_grad_norm !== undefined && { max_grad_norm: shape.max_grad_norm }),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [d_in = 512, d_sae = 4096, rows = 2048, k = 32, steps = 15] = process.argv.slice(2, 7).map(Number);
  const rest = JSON.parse(process.argv[7] ?? "{}") as Partial<StepShape>;
  const { all_ms, ...timing } = await measureStep({ d_in, d_sae, rows, k, steps, ...rest });
  console.log(JSON.stringify({ d_in, d_sae, rows, k, ...rest, ...timing, least_ms: Math.min(...all_ms) }, null, 1));
}
