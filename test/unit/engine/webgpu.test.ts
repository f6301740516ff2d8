// The WebGPU engine keeps the engines' contract on a software GPU (SwiftShader): same numbers, micro-batches, other engines' states, and a device that dies or hangs.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { configOf, countStep } from "../../../bench/gpuCounts.ts";
import { prepareBrowser, softwareGpuEnvironment, unavailable } from "../../../scripts/realVsCode.ts";
import { createCpuEngine } from "../../../src/engine/cpu/cpuEngine.ts";
import { type Engine, EngineError, entries } from "../../../src/engine/engine.ts";
import { copyMemberState } from "../../../src/engine/memberState.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { nameOf, productsFor } from "../../../src/engine/webgpu/products.ts";
import {
  createWebgpuEngine,
  type WebgpuEngine,
  type WebgpuEngineOptions,
  webgpuAdapters,
} from "../../../src/engine/webgpu/webgpuEngine.ts";
import { inferenceSae } from "../../../src/sae/fold.ts";
import type { SaeWeights } from "../../../src/sae/sae.ts";
import { completeTrainingSaeConfig, trainingSaeSchema } from "../../../src/sae/trainingConfig.ts";
import { loadCheckpoint, saveCheckpoint } from "../../../src/training/checkpoint.ts";
import { trainEnsemble } from "../../../src/training/trainEnsemble.ts";
import { trainingSettingsSchema } from "../../../src/training/trainingSettings.ts";
import { assertRelative, relativeDistance } from "./closeness.ts";
import { engineContract } from "./contract.ts";
import { compareEncoding } from "./encoding.ts";
import { goldenBatches, goldenRows } from "./goldenTraining.ts";
import { architectures, ensembleOf, randomSae, type Shape, setUp, stepInput } from "./randomCases.ts";

const missing = unavailable && `no software GPU: ${unavailable}`;
if (!missing) await prepareBrowser();

// Compiling for a software GPU takes a while on a machine that has other work.
const onSoftware = (options: WebgpuEngineOptions = {}) =>
  createWebgpuEngine({ software: true, environment: softwareGpuEnvironment, patience: 900_000, ...options });

if (missing) test("the webgpu engine keeps the contract", { skip: missing }, () => {});
else {
  engineContract("webgpu (on a software GPU)", () => onSoftware());
  // Where the software GPU has matrix units (lavapipe; SwiftShader has none), the whole contract by them as well.
  const [adapter] = await webgpuAdapters({ environment: softwareGpuEnvironment });
  const product = productsFor(adapter!, false).find(({ kind }) => kind === "matrix");
  if (product) engineContract(`webgpu (${nameOf(product)})`, () => onSoftware({ product: nameOf(product) }));
}

describe("the webgpu engine on a software GPU", { skip: missing }, () => {
  let engine: WebgpuEngine;
  before(async () => {
    engine = await onSoftware();
  });
  after(async () => {
    await engine.close();
  });

  test("software is found, named as such, and never taken by itself", async () => {
    const adapters = await webgpuAdapters({ environment: softwareGpuEnvironment });
    const found = adapters.find(({ name }) => /swiftshader|lavapipe|llvmpipe/i.test(name));
    assert.ok(found?.software, JSON.stringify(adapters));
    if (adapters.some(({ software }) => !software)) return;
    await assert.rejects(
      createWebgpuEngine({ environment: softwareGpuEnvironment }),
      (error: Error) =>
        error instanceof EngineError && /only software stands in .* use the device cpu/.test(error.message),
    );
  });

  describe("a batch in micro-batches trains as in one piece", () => {
    let cramped: Engine;
    before(async () => {
      // pre-activations and lists of more than about thirty rows don't fit.
      cramped = await onSoftware({ largestBuffer: 20_000 });
    });
    after(async () => {
      await cramped.close();
    });
    for (const architecture of architectures) {
      test(architecture, async () => {
        const shape: Shape = { what: "", architecture, d: 8, F: 60, k: 4, rows: 90, members: 1, window: 1 };
        await compare(engine, cramped, shape, { loss: 1e-5, parameter: 1e-3 });
      });
    }
    test("topk with dictionary_learning's AuxK, which needs the whole batch's residual", async () => {
      const shape: Shape = {
        what: "",
        architecture: "topk",
        d: 12,
        F: 60,
        k: 3,
        rows: 90,
        members: 1,
        window: 0,
        config: { aux_loss_form: "dictionary_learning", aux_loss_coefficient: 1 / 32, max_grad_norm: null },
      };
      await compare(engine, cramped, shape, { loss: 1e-5, parameter: 1e-3 });
    });
  });

  test("boosting in micro-batches: the chain of finished members and what trains on it, as in one piece", async () => {
    const shape: Shape = { what: "", architecture: "topk", d: 8, F: 60, k: 4, rows: 90, members: 2, window: 1 };
    const { config, states, batch } = setUp(shape);
    const frozen = ensembleOf("boosting", [inferenceSae({ config: config.sae, weights: states[0]!.weights })]);
    const cramped = await onSoftware({ largestBuffer: 20_000 });
    const found: number[][] = [];
    for (const own of [engine, cramped]) {
      const trainer = await own.createTrainer(config, [copyMemberState(states[1]!)], frozen);
      const numbers: number[] = [];
      for (let s = 0; s < 3; s++) {
        const [report] = await trainer.step(batch(s), shape.rows, stepInput(s));
        numbers.push(report!.loss, report!.explained_variance, report!.grad_norm);
      }
      found.push(numbers);
      await trainer.close();
    }
    await cramped.close();
    for (const [at, expected] of found[0]!.entries()) assertRelative(found[1]![at]!, expected, 1e-4, `number ${at}`);
  });

  describe("encoding", () => {
    const members = [1, 2, 3].map((seed) => randomSae({ architecture: "topk" }, seed));
    const xOf = (rows: number) => Float32Array.from({ length: rows * 14 }, (_, at) => Math.sin(at) + 0.3);

    for (const method of ["bagging", "boosting"] as const) {
      test(`${method}: one encoder takes batches of any number of rows, more than are done together among them`, async () => {
        await compareEncoding(engine, ensembleOf(method, members), 1e-4, [100, 30, 128, 1, 97, 2100, 64]);
      });

      test(`${method}: in micro-batches as in one piece`, async () => {
        // Pre-activations of a batch of 128 don't fit.
        const cramped = await onSoftware({ largestBuffer: 25_000 });
        await compareEncoding(cramped, ensembleOf(method, members), 1e-4, [100, 30, 128, 1]);
        await cramped.close();
      });
    }

    test("codes of members that have no room beside each other are read in turn", async () => {
      const dense = [4, 5, 6].map((seed) => randomSae({ architecture: "standard" }, seed));
      // 64 rows of up to 52 codes are 26,624 bytes: there is room for those of two members.
      const cramped = await onSoftware({ largestBuffer: 60_000 });
      for (const method of ["bagging", "boosting"] as const)
        await compareEncoding(cramped, ensembleOf(method, dense), 1e-4, [64, 20]);
      await cramped.close();
    });

    test("other numbers of rows take no new buffers, and all members of a batch are waited for together, twice", async () => {
      const encoder = await engine.createEncoder(ensembleOf("bagging", members));
      await encoder.encode(xOf(128), 128);
      const before = await engine.counts();
      for (const rows of [65, 3, 100]) await encoder.encode(xOf(rows), rows);
      const after = await engine.counts();
      await encoder.close();
      assert.equal(after.buffers, before.buffers);
      assert.equal(after.reads - before.reads, 3 * 2);
    });
  });

  test("what does not fit is refused with the numbers and what to do", async () => {
    const cramped = await onSoftware({ largestBuffer: 4096 });
    const { config, states } = setUp({
      what: "",
      architecture: "topk",
      d: 12,
      F: 60,
      k: 3,
      rows: 9,
      members: 1,
      window: 1,
    });
    await assert.rejects(
      cramped.createTrainer(config, states),
      (error: Error) =>
        error instanceof EngineError && /need a buffer of .* GiB and this GPU allows/.test(error.message),
    );
    await cramped.close();
  });

  describe("a state of one engine goes on on another", () => {
    for (const adam_beta1 of [0, 0.9]) {
      test(`CPU's lazy rows to the GPU and back, beta1 ${adam_beta1}`, async () => {
        const shape: Shape = {
          what: "crossing",
          architecture: "topk",
          d: 16,
          F: 200,
          k: 2,
          rows: 12,
          members: 1,
          window: 3,
          config: { adam_beta1 },
        };
        const { config, states, batch } = setUp(shape);
        const reference = createReferenceEngine();
        const cpu = await createCpuEngine({ threads: 1 });
        let crossing = states.map(copyMemberState);
        for (const [turn, own] of [cpu, engine, cpu, engine].entries()) {
          const trainer = await own.createTrainer(config, crossing);
          for (let s = 3 * turn; s < 3 * turn + 3; s++) await trainer.step(batch(s), shape.rows, stepInput(s));
          crossing = await trainer.state();
          await trainer.close();
        }
        const straight = await reference.createTrainer(config, states.map(copyMemberState));
        for (let s = 0; s < 12; s++) await straight.step(batch(s), shape.rows, stepInput(s));
        const [expected] = await straight.state();
        const [got] = crossing;
        assert.deepEqual(got!.n_forward_passes_since_fired, expected!.n_forward_passes_since_fired);
        for (const [name, values] of entries(expected!.weights)) {
          const distance = relativeDistance(got!.weights[name]!, values);
          assert.ok(distance < 1e-5, `${name}: ${distance}`);
        }
        await cpu.close();
      });
    }
  });

  for (const { architecture, members } of [
    { architecture: "topk", members: 1 },
    { architecture: "topk", members: 8 },
    { architecture: "batchtopk", members: 3 },
    { architecture: "jumprelu", members: 1 },
  ] as const) {
    test(`${architecture}, ${members} members: dispatches and bytes of a step are those that bench/gpuCounts.ts counts`, async () => {
      const shape = { architecture, d_in: 12, d_sae: 40, active: 3, rows: 16, members };
      const expected = countStep(shape);
      assert.equal(expected.together, members);
      assert.equal(expected.dispatches, countStep({ ...shape, members: 1 }).dispatches);
      const { states, batch } = setUp({ what: "", architecture, d: 12, F: 40, k: 3, rows: 16, members, window: 9 });
      const trainer = await engine.createTrainer(configOf(shape), states);
      await trainer.step(batch(0), 16, stepInput(0));
      const before = await engine.counts();
      await trainer.step(batch(1), 16, stepInput(1));
      const after = await engine.counts();
      await trainer.close();
      assert.equal(after.dispatches - before.dispatches, expected.dispatches);
      assert.equal(after.uploaded - before.uploaded, expected.uploaded);
      assert.equal(after.downloaded - before.downloaded, expected.downloaded);
    });
  }

  describe("members that are trained together come to the bits of members trained alone", () => {
    for (const architecture of architectures) {
      // What a buffer may have: room for all five at once, for three and two of them, and for each one by itself.
      for (const [what, largestBuffer] of [
        ["all at once", undefined],
        ["in smaller groups", 3 * 12 * 40 * 8 + 4000],
      ] as const) {
        test(`${architecture}, ${what}`, async () => {
          const own = largestBuffer === undefined ? engine : await onSoftware({ largestBuffer });
          const shape: Shape = { what: "", architecture, d: 12, F: 40, k: 3, rows: 16, members: 5, window: 1 };
          const { config, states, batch } = setUp(shape);
          const together = await own.createTrainer(config, states.map(copyMemberState));
          const alone = await Promise.all(
            states.map((state) => engine.createTrainer(config, [copyMemberState(state)])),
          );
          for (let s = 0; s < 3; s++) {
            const reports = await together.step(batch(s), shape.rows, stepInput(s));
            for (const [m, trainer] of alone.entries())
              assert.deepEqual(reports[m], (await trainer.step(batch(s), shape.rows, stepInput(s)))[0]);
          }
          const kept = await together.state();
          for (const [m, trainer] of alone.entries()) assert.deepEqual(kept[m], (await trainer.state())[0]);
          await Promise.all([together, ...alone].map((trainer) => trainer.close()));
          if (own !== engine) await own.close();
        });
      }
    }
  });

  test("Adam's 1 − β is float64's, as torch's is: one step's moments are the reference's to float32's digits", async () => {
    const shape: Shape = { what: "", architecture: "standard", d: 12, F: 40, k: 3, rows: 16, members: 1, window: 2 };
    const { config, states, batch } = setUp(shape);
    const found: SaeWeights[][] = [];
    for (const own of [engine, createReferenceEngine()]) {
      const trainer = await own.createTrainer(config, states.map(copyMemberState));
      await trainer.step(batch(0), shape.rows, stepInput(0));
      const [state] = await trainer.state();
      found.push([state!.exp_avg!, state!.exp_avg_sq]);
      await trainer.close();
    }
    for (const [at, moments] of found[1]!.entries()) {
      for (const name of ["W_enc", "W_dec"] as const) {
        const apart = relativeDistance(found[0]![at]![name]!, moments[name]!);
        assert.ok(apart < 3e-6, `${name}, moments ${at + 1}: ${apart}`);
      }
    }
  });

  test("steps given without waiting are taken in order, to the same bits", async () => {
    const shape: Shape = { what: "", architecture: "batchtopk", d: 12, F: 40, k: 3, rows: 16, members: 2, window: 2 };
    const { config, states, batch } = setUp(shape);
    const waiting = await engine.createTrainer(config, states.map(copyMemberState));
    const rushing = await engine.createTrainer(config, states.map(copyMemberState));
    const one = [];
    for (let s = 0; s < 6; s++) one.push(await waiting.step(batch(s), shape.rows, stepInput(s)));
    const two = await Promise.all([0, 1, 2, 3, 4, 5].map((s) => rushing.step(batch(s), shape.rows, stepInput(s))));
    assert.deepEqual(two, one);
    assert.deepEqual(await rushing.state(), await waiting.state());
    await Promise.all([waiting.close(), rushing.close()]);
  });
});

describe("a device that goes", { skip: missing }, () => {
  test("it dies in the middle of a run: the run fails with what happened, and goes on from its checkpoint on the CPU", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sae-device-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const batches = await goldenBatches();
    const plan = {
      method: "single" as const,
      n_members: 1,
      sae: completeTrainingSaeConfig(trainingSaeSchema.parse({ architecture: "topk", d_sae: 48, k: 4 }), 24),
      settings: trainingSettingsSchema.parse({ training_tokens: 5 * goldenRows, train_batch_size_tokens: goldenRows }),
      seeds: [1],
      hook: "test",
      metadata: {},
      provenance: {},
    };
    const open = async (cursor?: Readonly<Record<string, unknown>>) => {
      let at = Number(cursor?.["at"] ?? 0);
      return {
        d_in: 24,
        next: async () => (at < batches.length ? { x: batches[at++]!.slice(), rows: goldenRows } : null),
        cursor: async () => ({ at }),
        close: async () => {},
      };
    };
    const gpu = await onSoftware();
    await assert.rejects(
      trainEnsemble(gpu, plan, open, {
        onStep: ({ step }) => {
          if (step === 3) gpu.kill();
        },
        checkpoint: { due: (done) => done === 2, save: async (state) => void (await saveCheckpoint(folder, state)) },
      }),
      (error: Error) =>
        error instanceof EngineError && /process ended \(SIGKILL\).*checkpoint is intact/s.test(error.message),
    );
    await gpu.close();
    const loaded = await loadCheckpoint(folder);
    assert.equal(loaded?.state.step, 2);
    assert.equal(loaded?.state.engine, "webgpu");
    assert.equal(loaded?.state.engine_description, gpu.description);
    const cpu = await createCpuEngine({ threads: 1 });
    const events: number[] = [];
    const outcome = await trainEnsemble(cpu, plan, open, { onStep: ({ step }) => events.push(step) }, loaded!.state);
    await cpu.close();
    assert.ok(outcome.finished);
    assert.deepEqual(events, [3, 4, 5]);
  });

  test("the device is lost while its process stays: steps, states and what comes later fail by name", async () => {
    const gpu = await onSoftware();
    const shape: Shape = { what: "", architecture: "topk", d: 12, F: 40, k: 3, rows: 16, members: 1, window: 1 };
    const { config, states, batch } = setUp(shape);
    const trainer = await gpu.createTrainer(config, states);
    await trainer.step(batch(0), shape.rows, stepInput(0));
    await gpu.lose();
    const lost = (error: Error) =>
      error instanceof EngineError && /the GPU failed: the device was lost \(destroyed\)/.test(error.message);
    await assert.rejects(trainer.step(batch(1), shape.rows, stepInput(1)), lost);
    await assert.rejects(trainer.state(), lost);
    await assert.rejects(gpu.createTrainer(config, states), lost);
    await trainer.close();
    await gpu.close();
  });

  test("it hangs: after its patience every call fails, and so do later ones", async () => {
    const gpu = await onSoftware({ patience: 20_000 });
    const shape: Shape = { what: "", architecture: "topk", d: 12, F: 40, k: 3, rows: 16, members: 1, window: 1 };
    const { config, states, batch } = setUp(shape);
    const trainer = await gpu.createTrainer(config, states);
    gpu.kill("SIGSTOP");
    await assert.rejects(
      trainer.step(batch(0), shape.rows, stepInput(0)),
      (error: Error) =>
        error instanceof EngineError &&
        /has not answered for 20 s \(step\): it hangs\. The run's checkpoint is intact/.test(error.message),
    );
    await assert.rejects(gpu.createTrainer(config, states), /it hangs/);
    await trainer.close();
    await gpu.close();
  });
});

/** Four steps on both, to the given nearness. */
async function compare(
  one: Engine,
  other: Engine,
  shape: Shape,
  tolerance: { loss: number; parameter: number },
): Promise<void> {
  const { config, states, batch } = setUp(shape);
  const a = await one.createTrainer(config, states.map(copyMemberState));
  const b = await other.createTrainer(config, states.map(copyMemberState));
  for (let s = 0; s < 4; s++) {
    const [want] = await a.step(batch(s), shape.rows, stepInput(s));
    const [got] = await b.step(batch(s), shape.rows, stepInput(s));
    assertRelative(got!.loss, want!.loss, tolerance.loss, `loss of step ${s}`);
    assert.equal(got!.l0, want!.l0, `L0 of step ${s}`);
  }
  const [[want], [got]] = [await a.state(), await b.state()];
  assertRelative(got!.topk_threshold, want!.topk_threshold, tolerance.loss, "threshold");
  for (const [name, values] of entries(want!.weights)) {
    const distance = relativeDistance(got!.weights[name]!, values);
    assert.ok(distance < tolerance.parameter, `${name}: ${distance}`);
  }
  await Promise.all([a.close(), b.close()]);
}
