// train-step-*, gemm-share-*: one optimiser step on the CPU engine, beside SAELens' own trainer, a plain dense PyTorch step, and the bare matrix product.
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { createCpuEngine } from "../../src/engine/cpu/cpuEngine.ts";
import { newMemberState } from "../../src/engine/memberState.ts";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import { readSafetensors, tensorFloat32 } from "../../src/formats/safetensors.ts";
import { type Architecture, parameterNames, type SaeWeights } from "../../src/sae/sae.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { median, takeTurns } from "../median.ts";
import { stepConfig } from "../trainStep.ts";

interface Shape {
  readonly size: string;
  readonly d: number;
  readonly F: number;
  readonly batch: number;
  /** topk. */
  readonly k: number;
  /** topk unless given; others with their penalty's coefficient. */
  readonly architecture?: Architecture;
  readonly coefficient?: number;
  readonly matryoshka_widths?: readonly number[];
  /** Timed steps a turn: ours and the peers'. */
  readonly ourSteps: number;
  readonly peerSteps: number;
}

const SHAPES: readonly Shape[] = [
  { size: "small", d: 512, F: 4096, batch: 2048, k: 32, ourSteps: 20, peerSteps: 6 },
  { size: "large", d: 768, F: 16_128, batch: 2048, k: 128, ourSteps: 6, peerSteps: 3 },
];
/** Five nested SAEs, each twice as wide as the one before. */
const MATRYOSHKA: Shape = {
  ...SHAPES[0]!,
  architecture: "batchtopk",
  matryoshka_widths: [256, 512, 1024, 2048, 4096],
};

/** Batches in which about half of all latents fire, as at the start of any training but a topk one. */
const DENSE_SHAPES: readonly Shape[] = (["standard", "jumprelu", "gated"] as const).map((architecture) => ({
  ...SHAPES[0]!,
  architecture,
  coefficient: 0.01,
  ourSteps: 3,
  peerSteps: 3,
}));
const ROUNDS = 5;
const WARM_UP = 8;
/** Distinct batches that both sides go through in turn. */
const BATCHES = 8;
const LEARNING_RATE = 3e-4;
/** Steps after which a silent latent is dead: more than are taken here, so AuxK has nothing to do on either side. */
const DEAD_FEATURE_WINDOW = 1000;
/** The same step from the same start: losses may drift apart by rounding only. */
const LOSS_TOLERANCE = 1e-3;

export const denseStepClaim: Claim = {
  name: "train-step-dense",
  measures:
    "one training step where half of the latents fire (standard, jumprelu and gated SAEs before their penalty bites), d=512 F=4096 B=2048, SAELens' defaults",
  against:
    "plain dense PyTorch for standard, SAELens' trainer (dense PyTorch too) for the others; the least ratio counts",
  unit: "ms",
  goal: 1,
  run: denseSteps,
};

export const matryoshkaStepClaim: Claim = {
  name: "train-step-matryoshka",
  measures: `one training step of a matryoshka BatchTopK SAE, d=${MATRYOSHKA.d} F=${MATRYOSHKA.F} B=${MATRYOSHKA.batch} k=${MATRYOSHKA.k}, widths ${MATRYOSHKA.matryoshka_widths}, SAELens' defaults`,
  against: "SAELens' trainer",
  unit: "ms",
  goal: 6,
  run: (bench) => trainStep(bench, MATRYOSHKA),
};

export const trainStepClaims: readonly Claim[] = SHAPES.flatMap((shape) => [
  {
    name: `train-step-${shape.size}`,
    measures: `one training step of a TopK SAE, d=${shape.d} F=${shape.F} B=${shape.batch} k=${shape.k}, SAELens' defaults (Adam β1 0.9, clipping, decoder-norm rescaling)`,
    against: "SAELens' trainer; dense PyTorch in the details",
    unit: "ms",
    goal: 6,
    run: (bench: Bench) => trainStep(bench, shape),
  },
  {
    name: `gemm-share-${shape.size}`,
    measures: `time of the encoder's bare matrix product over the whole step's, d=${shape.d} F=${shape.F} B=${shape.batch} k=${shape.k}`,
    against: "onnxruntime's Gemm on all cores: a step can't be faster",
    unit: "ms",
    goal: 0.8,
    run: (bench: Bench) => gemmShare(bench, shape),
  },
]);

interface PeerStep {
  readonly ms: number[];
  readonly loss: number;
  readonly n_dead: number;
}

async function trainStep(bench: Bench, shape: Shape): Promise<Measured> {
  const peer = await bench.peer("train_step.py");
  const { defaults, torch } = await prepare(bench, shape, peer);
  const ours = await ourTrainer(bench, shape);
  // Without a first moment: no peer, but what the other setting costs, of the claims that tell it.
  const withoutMomentum = shape.architecture === undefined ? await ourTrainer(bench, shape, 0) : null;
  try {
    const last: Record<string, PeerStep> = {};
    const ask = (which: string, steps: number) => async () => {
      last[which] = await peer.ask<PeerStep>("step", { which, steps });
      return last[which].ms;
    };
    const hasDense = shape.architecture === undefined || shape.architecture === "standard";
    bench.log(`warming up; ${ours.description}`);
    const warm = await ours.steps(WARM_UP);
    await withoutMomentum?.steps(WARM_UP);
    await ask("sae_lens", WARM_UP)();
    if (hasDense) await ask("dense", WARM_UP)();
    const peerLoss = last["sae_lens"]!.loss;
    const off = Math.abs(warm.loss / peerLoss - 1);
    if (off > LOSS_TOLERANCE) {
      throw new NotMeasurable(
        `not the same step: after ${WARM_UP} steps our loss is ${warm.loss}, SAELens' ${peerLoss}`,
      );
    }
    let ourDead = 0;
    const times = await takeTurns(ROUNDS, {
      ours: async () => {
        const taken = await ours.steps(shape.ourSteps);
        ourDead = taken.nDead;
        return taken.ms;
      },
      withoutMomentum: async () => (await withoutMomentum?.steps(shape.ourSteps))?.ms ?? [],
      sae_lens: ask("sae_lens", shape.peerSteps),
      dense: hasDense ? ask("dense", shape.peerSteps) : async () => [],
    });
    const [our, saeLens] = [median(times.ours), median(times.sae_lens)];
    const dense = hasDense ? median(times.dense) : undefined;
    return {
      ours: our,
      peer: saeLens,
      ratio: saeLens / our,
      details: {
        ...(dense && { dense_pytorch: dense, ratio_dense_pytorch: dense / our }),
        ...(withoutMomentum && { ours_adam_beta1_0: median(times.withoutMomentum) }),
        l0: warm.l0,
        loss_after_warm_up: warm.loss,
        loss_after_warm_up_sae_lens: peerLoss,
        n_dead: ourDead,
        n_dead_sae_lens: last["sae_lens"]!.n_dead,
        steps_ours: times.ours.length,
        steps_sae_lens: times.sae_lens.length,
        torch,
        engine: ours.description,
      },
      notes: [
        `SAELens' settings: ${JSON.stringify(defaults)}`,
        `Same start and batches; after ${WARM_UP} steps the losses agree to ${off.toExponential(1)}. Medians over steps, turns alternating.`,
      ],
    };
  } finally {
    await ours.close();
    await withoutMomentum?.close();
  }
}

/** Each architecture's step beside the faster of its peers. */
async function denseSteps(bench: Bench): Promise<Measured> {
  let worst: Measured | undefined;
  const details: Record<string, number | string> = {};
  for (const shape of DENSE_SHAPES) {
    bench.log(`${shape.architecture}`);
    const measured = await trainStep(bench, shape);
    const { dense_pytorch, l0, torch, engine } = measured.details;
    const peer = Math.min(measured.peer!, typeof dense_pytorch === "number" ? dense_pytorch : Number.POSITIVE_INFINITY);
    const of: Measured = { ...measured, peer, ratio: peer / measured.ours };
    if (!worst || of.ratio! < worst.ratio!) worst = of;
    Object.assign(details, {
      [`${shape.architecture}_ms`]: of.ours,
      [`${shape.architecture}_ratio`]: of.ratio!,
      [`${shape.architecture}_l0`]: l0,
      torch,
      engine,
    });
  }
  return {
    ...worst!,
    details,
    notes: ["Same start and batches, the losses agree. Medians over steps, turns alternating."],
  };
}

async function gemmShare(bench: Bench, shape: Shape): Promise<Measured> {
  const peer = await bench.peer("train_step.py");
  await prepare(bench, shape, peer);
  await peer.close();
  const ours = await ourTrainer(bench, shape);
  const gemm = await bareGemm(bench, shape);
  try {
    await ours.steps(WARM_UP);
    await gemm.run(WARM_UP);
    ours.takeTimings();
    const times = await takeTurns(ROUNDS, {
      ours: async () => (await ours.steps(shape.ourSteps)).ms,
      gemm: () => gemm.run(shape.ourSteps),
    });
    const [step, product] = [median(times.ours), median(times.gemm)];
    const phases = ours.takeTimings();
    const inStep = (phases["gemm"] ?? product) / times.ours.length;
    return {
      ours: step,
      peer: product,
      ratio: Math.min(product, inStep) / step,
      details: {
        share_bare: product / step,
        share_in_step: inStep / step,
        gflops_bare: (2 * shape.batch * shape.d * shape.F) / product / 1e6,
        ...Object.fromEntries(Object.entries(phases).map(([name, ms]) => [`phase_${name}_ms`, ms / times.ours.length])),
        engine: ours.description,
      },
      notes: [
        "ratio is the smaller of the bare product's time and the product's own time within the step, over the step's.",
        "The phases are means over the timed steps and threads.",
      ],
    };
  } finally {
    await ours.close();
    await gemm.close();
  }
}

async function prepare(
  bench: Bench,
  { d, F, k, batch, architecture, coefficient, matryoshka_widths }: Shape,
  peer: Awaited<ReturnType<Bench["peer"]>>,
): Promise<{ defaults: Record<string, unknown>; torch: string }> {
  bench.log("preparing data and the start with SAELens");
  return peer.ask("prepare", {
    d,
    F,
    k,
    batch,
    architecture: matryoshka_widths ? "matryoshka_batchtopk" : (architecture ?? "topk"),
    coefficient: coefficient ?? null,
    matryoshka_widths: matryoshka_widths ?? null,
    batches: BATCHES,
    seed: 1,
    folder: bench.dataFolder,
    dead_feature_window: DEAD_FEATURE_WINDOW,
  });
}

/** Our trainer from SAELens' own initial weights, over the same batches in the same order. */
async function ourTrainer(bench: Bench, shape: Shape, adam_beta1 = 0.9) {
  const { d, F, k, batch, architecture = "topk", coefficient = 0, matryoshka_widths } = shape;
  const file = await readSafetensors(join(bench.dataFolder, "start.safetensors"));
  const stored = await tensorFloat32(file, "W_enc", [d, F]);
  const W_enc = new Float32Array(F * d);
  for (let j = 0; j < d; j++) for (let i = 0; i < F; i++) W_enc[i * d + j] = stored[j * F + i]!;
  const weights: SaeWeights = {
    W_enc,
    W_dec: await tensorFloat32(file, "W_dec", [F, d]),
    b_dec: await tensorFloat32(file, "b_dec", [d]),
  };
  for (const name of parameterNames(architecture)) weights[name] ??= await tensorFloat32(file, name, [F]);
  const x = await tensorFloat32(file, "x", [BATCHES, batch, d]);
  const widths = matryoshka_widths && { matryoshka_widths };
  const config = {
    ...stepConfig({ d_in: d, d_sae: F, k, architecture, adam_beta1, ...widths }),
    dead_feature_window: DEAD_FEATURE_WINDOW,
  };
  const engine = await createCpuEngine({ threads: bench.threads });
  const trainer = await engine.createTrainer(config, [newMemberState(weights, config.adam_beta1)]);
  let taken = 0;
  return {
    description: engine.description,
    takeTimings: () => engine.takeTimings(),
    steps: async (count: number) => {
      const ms: number[] = [];
      let [loss, l0, nDead] = [Number.NaN, 0, 0];
      for (let s = 0; s < count; s++) {
        const from = (taken++ % BATCHES) * batch * d;
        const rows = x.subarray(from, from + batch * d);
        const start = performance.now();
        const [report] = await trainer.step(rows, batch, { lr: LEARNING_RATE, sparsity_coefficient: coefficient });
        ms.push(performance.now() - start);
        loss = report!.loss;
        l0 = report!.l0;
        nDead = report!.n_dead;
      }
      return { ms, loss, l0, nDead };
    },
    close: async () => {
      await trainer.close();
      await engine.close();
    },
  };
}

/** x · W_encᵀ alone, into a buffer that is kept, by one onnxruntime session over all cores. */
async function bareGemm(bench: Bench, { d, F, batch }: Shape) {
  const model = encodeOnnx({
    opsets: { "": 17 },
    graph: {
      name: "gemm",
      nodes: [{ opType: "Gemm", inputs: ["A", "B"], outputs: ["C"], attributes: { transB: { int: 1 } } }],
      initializers: [],
      inputs: [
        { name: "A", dtype: "F32", shape: [batch, d] },
        { name: "B", dtype: "F32", shape: [F, d] },
      ],
      outputs: [{ name: "C", dtype: "F32", shape: [batch, F] }],
    },
  });
  const session = await InferenceSession.create(model, { intraOpNumThreads: bench.threads });
  const filled = (n: number) => new Float32Array(n).map((_, i) => Math.sin(i));
  const feeds = {
    A: new Tensor("float32", filled(batch * d), [batch, d]),
    B: new Tensor("float32", filled(F * d), [F, d]),
  };
  const fetches = { C: new Tensor("float32", new Float32Array(batch * F), [batch, F]) };
  return {
    run: async (count: number) => {
      const ms: number[] = [];
      for (let s = 0; s < count; s++) {
        const start = performance.now();
        await session.run(feeds, fetches);
        ms.push(performance.now() - start);
      }
      return ms;
    },
    close: () => session.release(),
  };
}
