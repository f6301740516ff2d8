// The CPU engine keeps the engines' contract, with onnxruntime and with wasm alone; threads, memories and density change nothing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { type CpuEngineOptions, createCpuEngine } from "../../../src/engine/cpu/cpuEngine.ts";
import {
  EngineError,
  entries,
  type MemberState,
  type StepReport,
  type TrainerConfig,
} from "../../../src/engine/engine.ts";
import { copyMemberState, newMemberState } from "../../../src/engine/memberState.ts";
import { defaultTrainerConfig } from "../../../src/engine/trainerDefaults.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import { inferenceSae } from "../../../src/sae/fold.ts";
import { assertRelative, relativeDistance } from "./closeness.ts";
import { engineContract } from "./contract.ts";
import { architectures, asTrained, type TrainedArchitecture } from "./randomCases.ts";

engineContract("cpu (onnxruntime)", () => createCpuEngine({ threads: 2, native: true }));
engineContract("cpu (wasm alone)", () => createCpuEngine({ threads: 2, native: false }));
// So small a limit spreads every SAE over several memories.
engineContract("cpu (many memories)", () => createCpuEngine({ threads: 2, slabLimit: 70_000 }));

const d = 40;
const F = 300;
const rows = 300;

function setUp(architecture: TrainedArchitecture): {
  config: TrainerConfig;
  state: MemberState;
  batches: Float32Array[];
} {
  const random = new SeededRandom(11);
  const draw = (n: number, scale: number): Float32Array =>
    Float32Array.from({ length: n }, () => (random.uniform() - 0.5) * 2 * scale);
  const config: TrainerConfig = {
    ...defaultTrainerConfig({
      ...asTrained(architecture, F),
      d_in: d,
      d_sae: F,
      k: 7,
      apply_b_dec_to_input: true,
      normalize_activations: "none",
      rescale_acts_by_decoder_norm: true,
      dtype: "float32",
      metadata: {},
    }),
    dead_feature_window: 2,
  };
  const vectors = architecture === "gated" ? ["b_gate", "b_mag", "r_mag"] : ["b_enc"];
  const state = newMemberState(
    {
      W_enc: draw(F * d, 0.2),
      W_dec: draw(F * d, 0.2),
      b_dec: draw(d, 0.2),
      ...Object.fromEntries(vectors.map((name) => [name, draw(F, 0.1)])),
      ...(architecture === "jumprelu" ? { threshold: new Float32Array(F).fill(0.05) } : {}),
    },
    config.adam_beta1,
  );
  return { config, state, batches: Array.from({ length: 8 }, () => draw(rows * d, 1)) };
}

async function train(
  architecture: TrainedArchitecture,
  options: CpuEngineOptions,
): Promise<{ reports: StepReport[]; state: MemberState }> {
  const { config, state, batches } = setUp(architecture);
  const engine = await createCpuEngine(options);
  const trainer = await engine.createTrainer(config, [copyMemberState(state)]);
  const reports: StepReport[] = [];
  for (const x of batches) reports.push((await trainer.step(x, rows, { lr: 3e-3, sparsity_coefficient: 0.3 }))[0]!);
  const [after] = await trainer.state();
  await engine.close();
  return { reports, state: after! };
}

describe("the same bits for any number of threads", () => {
  for (const native of [true, false]) {
    for (const architecture of architectures) {
      test(`${architecture}, ${native ? "onnxruntime" : "wasm"}`, async () => {
        const one = await train(architecture, { threads: 1, native });
        for (const threads of [2, 3]) assert.deepEqual(await train(architecture, { threads, native }), one);
      });
    }
  }
});

test("a code does not depend on how many memories an SAE is spread over", async () => {
  const { config, state, batches } = setUp("topk");
  const sae = inferenceSae({ config: config.sae, weights: state.weights });
  const ensemble = { method: "single" as const, members: [sae], weights: [1], seeds: [0], hook: "", provenance: {} };
  const encoded = [];
  for (const slabLimit of [2 ** 30, 100_000]) {
    const engine = await createCpuEngine({ threads: 2, slabLimit });
    const encoder = await engine.createEncoder(ensemble);
    encoded.push((await encoder.encode(batches[0]!, rows)).codes);
    await engine.close();
  }
  assert.deepEqual(encoded[1]!.indices, encoded[0]!.indices);
});

test("the k largest are exact where a bound of the row before is of no use", async () => {
  const random = new SeededRandom(5);
  const [width, k, n] = [2048, 8, 96];
  const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => random.normal());
  const W_enc = draw(width * d);
  // Many latents like the first direction, so a row's keys lie high or low by how much of it is in there; and whole blocks of equal keys.
  for (let i = 0; i < width; i++) W_enc[i * d] = 6;
  for (let i = 64; i < 160; i++) W_enc.copyWithin(i * d, 0, d);
  const x = draw(n * d);
  for (let t = 0; t < n; t++) x[t * d] = t % 3 === 0 ? 4 : t % 3 === 1 ? -3 : 0;
  const sae = inferenceSae({
    config: { ...setUp("topk").config.sae, d_sae: width, k, rescale_acts_by_decoder_norm: false },
    weights: { W_enc, W_dec: draw(width * d), b_dec: new Float32Array(d), b_enc: new Float32Array(width) },
  });
  const ensemble = { method: "single" as const, members: [sae], weights: [1], seeds: [0], hook: "", provenance: {} };
  const { codes: dense } = encodeEnsemble(ensemble, x, n);
  for (const native of [true, false]) {
    const engine = await createCpuEngine({ threads: 2, native });
    const { codes } = await (await engine.createEncoder(ensemble)).encode(x, n);
    for (let t = 0; t < n; t++) {
      const row = [...dense.subarray(t * width, (t + 1) * width).keys()].filter((i) => dense[t * width + i]! > 0);
      assert.deepEqual([...codes.indices.subarray(codes.offsets[t]!, codes.offsets[t + 1]!)], row, `row ${t}`);
    }
    await engine.close();
  }
});

test("training over several memories goes as over one", async () => {
  for (const architecture of architectures) {
    const one = await train(architecture, { threads: 2 });
    const several = await train(architecture, { threads: 2, slabLimit: 100_000 });
    for (const [s, report] of several.reports.entries()) {
      assertRelative(report.loss, one.reports[s]!.loss, 1e-4, `${architecture}: loss of step ${s}`);
    }
    for (const [name, values] of entries(several.state.weights)) {
      const distance = relativeDistance(values, one.state.weights[name]!);
      assert.ok(distance < 1e-3, `${architecture}: ${name} ${distance}`);
    }
  }
});

test("what does not fit is refused with the numbers", async () => {
  const engine = await createCpuEngine({ threads: 1 });
  const huge = { ...setUp("topk").config.sae, d_in: 16384, d_sae: 2 ** 24 };
  await assert.rejects(
    engine.createTrainer(defaultTrainerConfig(huge), [{} as MemberState]),
    (error: Error) => error instanceof EngineError && /need \d+\.\d+ GiB, and this machine has/.test(error.message),
  );
  await engine.close();
});
