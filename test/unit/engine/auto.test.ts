// The device chosen by trial: who wins, what is said, and that nothing of the first batches is lost. Another engine of this project stands in for the GPU.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AutoEngine } from "../../../src/engine/auto/autoEngine.ts";
import {
  type Encoded,
  type Engine,
  EngineError,
  type MemberState,
  type StepReport,
} from "../../../src/engine/engine.ts";
import { copyMemberState } from "../../../src/engine/memberState.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { encoderFrom } from "./encoderFrom.ts";
import { ensembleOf, randomSae, type Shape, setUp, stepInput } from "./randomCases.ts";

const shape: Shape = { what: "", architecture: "topk", d: 12, F: 40, k: 3, rows: 16, members: 1, window: 2 };

/** The reference engine under another name, with its steps and reports changed. */
function standIn(
  name: string,
  change: (report: StepReport, step: number) => Promise<StepReport>,
  changeState: (state: MemberState) => MemberState = (state) => state,
): Engine {
  const engine = createReferenceEngine();
  return {
    ...engine,
    name,
    createTrainer: async (...given) => {
      const trainer = await engine.createTrainer(...given);
      let step = 0;
      return {
        state: async (member) => (await trainer.state(member)).map(changeState),
        close: () => trainer.close(),
        step: async (...batch) => {
          const reports = await trainer.step(...batch);
          return Promise.all(reports.map((report) => change(report, step++)));
        },
      };
    },
  };
}

const asIs = async (report: StepReport) => report;
/** Long enough to be the slower one beyond doubt. */
const slowly = (report: StepReport) =>
  new Promise<StepReport>((resolve) => {
    const until = performance.now() + 40;
    while (performance.now() < until);
    resolve(report);
  });

async function trained(cpu: Engine, gpu: Engine) {
  const said: string[] = [];
  const engine = new AutoEngine(cpu, gpu, (level, message) => said.push(`${level}: ${message}`));
  assert.equal(engine.name, "auto");
  const { config, states, batch } = setUp(shape);
  const trainer = await engine.createTrainer(config, states.map(copyMemberState));
  const straight = await createReferenceEngine().createTrainer(config, states.map(copyMemberState));
  for (let s = 0; s < 7; s++) {
    const expected = await straight.step(batch(s), shape.rows, stepInput(s));
    assert.deepEqual(await trainer.step(batch(s), shape.rows, stepInput(s)), expected, `step ${s}`);
  }
  assert.deepEqual(await trainer.state(), await straight.state());
  await trainer.close();
  return { said, name: engine.name, engine };
}

test("a GPU that agrees and is quicker goes on alone, with everything that was trained", async () => {
  const { said, name } = await trained(standIn("cpu", slowly), standIn("webgpu", asIs));
  assert.equal(name, "webgpu");
  assert.equal(said.length, 1);
  assert.match(said[0]!, /^info: device webgpu .*agrees with the processor and takes \d+ ms against/);
});

test("a GPU that agrees and is slower gives way", async () => {
  const { said, name } = await trained(standIn("cpu", asIs), standIn("webgpu", slowly));
  assert.equal(name, "cpu");
  assert.match(said.join(), /^info: device cpu .*the GPU agrees and takes \d+ ms against/);
});

test("a GPU that computes something else is left at once, with a warning that says how far off it was", async () => {
  const wrong = standIn("webgpu", async (report) => ({ ...report, loss: report.loss * 1.01 }));
  const { said, name } = await trained(standIn("cpu", asIs), wrong);
  assert.equal(name, "cpu");
  assert.match(said.join(), /^warning: device cpu .*differ from the processor's by 1.0e-2/);
  const nan = standIn("webgpu", async (report) => ({ ...report, loss: Number.NaN }));
  assert.equal((await trained(standIn("cpu", asIs), nan)).name, "cpu");
});

for (const [what, change] of [
  ["L0", (report) => ({ ...report, l0: report.l0 * 1.5 })],
  ["number of dead latents", (report) => ({ ...report, n_dead: report.n_dead + 9 })],
  ["explained variance", (report) => ({ ...report, explained_variance: report.explained_variance - 0.1 })],
  ["gradient norm", (report) => ({ ...report, grad_norm: report.grad_norm * 0.9 })],
  ["mse_loss", (report) => ({ ...report, losses: { ...report.losses, mse_loss: report.losses["mse_loss"]! * 1.1 } })],
] as [string, (report: StepReport) => StepReport][]) {
  test(`a GPU whose loss agrees and whose ${what} doesn't is left, and that is said`, async () => {
    const wrong = standIn("webgpu", async (report) => change(report));
    const { said, name } = await trained(standIn("cpu", slowly), wrong);
    assert.equal(name, "cpu");
    assert.match(
      said.join(),
      new RegExp(`^warning: device cpu .*differ from the processor's by .*\\(${what}; allowed`),
    );
  });
}

for (const [what, change] of [
  ["second moments of W_enc", ({ exp_avg_sq }) => exp_avg_sq.W_enc.set(exp_avg_sq.W_enc.map((v) => 1.5 * v))],
  ["step of W_dec", ({ weights }) => weights.W_dec.set(weights.W_dec.map((v) => 1.001 * v))],
  ["steps since latents fired", (state) => state.n_forward_passes_since_fired.fill(3)],
] as [string, (state: MemberState) => unknown][]) {
  test(`a GPU whose reports agree and whose ${what} don't is left, and that is said`, async () => {
    const wrong = standIn("webgpu", asIs, (state) => {
      change(state);
      return state;
    });
    const { said, name } = await trained(standIn("cpu", slowly), wrong);
    assert.equal(name, "cpu");
    assert.match(
      said.join(),
      new RegExp(`^warning: device cpu .*differ from the processor's by .*\\(${what}; allowed`),
    );
  });
}

const topkOf = (seed: number) => ensembleOf("single", [randomSae({ architecture: "topk" }, seed)]);
/** [rows, 14] */
const xOf = (rows: number) => Float32Array.from({ length: 14 * rows }, (_, at) => Math.sin(1 + at));

/** The reference engine with its encoders changed: `change` is given what each made of a batch, and the encoder's number. */
function encodingStandIn(
  name: string,
  change: (encoded: Encoded, encoder: number) => void | Promise<void>,
): Engine & { closed: number } {
  const engine = createReferenceEngine();
  let count = 0;
  const own: Engine & { closed: number } = {
    ...engine,
    name,
    description: `a ${name}`,
    closed: 0,
    close: async () => {
      own.closed += 1;
    },
    createEncoder: async (ensemble) => {
      const encoder = await engine.createEncoder(ensemble);
      const number = count++;
      return encoderFrom(
        async (...batch) => {
          const encoded = await encoder.encode(...batch);
          await change(encoded, number);
          return encoded;
        },
        () => encoder.close(),
      );
    },
  };
  return own;
}

function autoOf(cpu: Engine, gpu: Engine, autocast = false) {
  const said: string[] = [];
  return { said, engine: new AutoEngine(cpu, gpu, (level, message) => said.push(`${level}: ${message}`), autocast) };
}

/** A processor that is the slower one beyond doubt: an encoder's first batch is timed once, and this process may be kept waiting in it. */
const slowCpu = () => encodingStandIn("cpu", () => sleep(300));

/** Two latents of a row change places: one that fires gives way to a neighbour that doesn't. */
function swapLatent({ codes, reconstruction }: Encoded, row: number): void {
  const fires = new Set(codes.indices.subarray(codes.offsets[row]!, codes.offsets[row + 1]!));
  const at = codes.offsets[row + 1]! - 1;
  const other = [1, -1].map((by) => codes.indices[at]! + by).find((i) => i < codes.width && !fires.has(i));
  assert.ok(other !== undefined);
  codes.indices[at] = other;
  reconstruction[row * 14]! += 0.2;
}

test("a GPU whose reconstruction agrees and whose codes are another's is left, and that is said", async () => {
  const wrong = encodingStandIn("webgpu", ({ codes }) => {
    codes.indices[0]! -= 1;
  });
  const { said, engine } = autoOf(
    encodingStandIn("cpu", () => {}),
    wrong,
  );
  const encoder = await engine.createEncoder(topkOf(1));
  const { codes } = await encoder.encode(xOf(5), 5);
  assert.ok(codes.indices.length > 0);
  assert.match(said.join(), /^warning: device .*differ from the processor's by .*\(codes; allowed 0.001\)/);
  assert.equal(wrong.closed, 1, "nothing keeps the process of a GPU that isn't used");
  await engine.close();
  assert.equal(wrong.closed, 1);
});

test("a few rows in which latents at the cut fall the other way are forgiven, many are not", async () => {
  const rows = 400;
  const expected = await (await createReferenceEngine().createEncoder(topkOf(1))).encode(xOf(rows), rows);
  for (const [swapped, name] of [
    [1, "webgpu"],
    [2, "webgpu"],
    [3, "cpu"],
  ] as const) {
    const gpu = encodingStandIn("webgpu", (encoded) => {
      for (let row = 0; row < swapped; row++) swapLatent(encoded, 7 * row);
    });
    const { said, engine } = autoOf(slowCpu(), gpu);
    await (await engine.createEncoder(topkOf(1))).encode(xOf(rows), rows);
    assert.equal(engine.name, name, `${swapped}: ${said.join()}`);
  }
  // What is no number is never forgiven.
  const nan = encodingStandIn("webgpu", (encoded) => {
    swapLatent(encoded, 0);
    encoded.reconstruction[3] = Number.NaN;
  });
  const { engine } = autoOf(slowCpu(), nan);
  assert.deepEqual(await (await engine.createEncoder(topkOf(1))).encode(xOf(rows), rows), expected);
  assert.equal(engine.name, "cpu");
});

test("every encoder is judged by its own first batch: one that differs or fails goes on on the processor, and that is said", async () => {
  const gpu = encodingStandIn("webgpu", ({ codes }, encoder) => {
    if (encoder === 1) codes.values.fill(7);
    if (encoder === 2) throw new EngineError("no memory left");
  });
  const { said, engine } = autoOf(slowCpu(), gpu);
  // As evaluation has them: all are there before the first is asked, and they are asked at once.
  const ensembles = [1, 2, 3, 4].map(topkOf);
  const encoders = await Promise.all(ensembles.map((ensemble) => engine.createEncoder(ensemble)));
  for (const rows of [6, 9]) {
    const found = await Promise.all(encoders.map((encoder) => encoder.encode(xOf(rows), rows)));
    for (const [j, ensemble] of ensembles.entries()) {
      const straight = await (await createReferenceEngine().createEncoder(ensemble)).encode(xOf(rows), rows);
      assert.deepEqual(found[j], straight, `member ${j}, ${rows} rows`);
    }
  }
  assert.equal(engine.name, "webgpu");
  assert.equal(said.length, 3, said.join("\n"));
  assert.match(said[0]!, /^info: device webgpu/);
  assert.match(
    said[1]!,
    /^warning: device cpu for encoding with the SAE of seed 0: .*differ .*\(codes; allowed 0.001\)/,
  );
  assert.match(said[2]!, /^warning: device cpu for encoding .*failed in its first batches \(no memory left\)/);
  assert.equal(gpu.closed, 0);
  for (const encoder of encoders) await encoder.close();
  await engine.close();
  assert.equal(gpu.closed, 1);
});

test("after a training that chose the GPU its encoders are compared as well, and one without room goes to the processor", async () => {
  const training = standIn("webgpu", asIs);
  let made = 0;
  const encoding = encodingStandIn("webgpu", ({ codes }) => {
    codes.values.fill(7);
  });
  const gpu: Engine = {
    ...training,
    createEncoder: async (ensemble) => {
      if (made++ === 1) throw new EngineError("no room for the weights");
      return encoding.createEncoder(ensemble);
    },
  };
  const { engine, said } = await trained(standIn("cpu", slowly), gpu);
  assert.equal(engine.name, "webgpu");
  const ensemble = ensembleOf(
    "bagging",
    [5, 6].map((seed) => randomSae({ architecture: "topk" }, seed)),
  );
  const straight = await (await createReferenceEngine().createEncoder(ensemble)).encode(xOf(4), 4);
  for (let n = 0; n < 2; n++)
    assert.deepEqual(await (await engine.createEncoder(ensemble)).encode(xOf(4), 4), straight);
  assert.match(said[1]!, /^warning: device cpu for encoding with the ensemble of 2 SAEs: .*differ/);
  assert.match(said[2]!, /^warning: device cpu for encoding .*cannot encode with this \(no room for the weights\)/);
});

test("the process of a GPU that loses is ended once the trial is over", async () => {
  for (const gpuIs of [slowly, asIs]) {
    let closed = 0;
    const gpu: Engine = {
      ...standIn("webgpu", gpuIs),
      close: async () => {
        closed += 1;
      },
    };
    const { name, engine } = await trained(standIn("cpu", gpuIs === slowly ? asIs : slowly), gpu);
    assert.equal(closed, name === "cpu" ? 1 : 0);
    await engine.close();
    assert.equal(closed, 1);
  }
});

test("with autocast more may differ, but never so much that nothing is checked", async () => {
  const rounded = async (report: StepReport) => ({ ...report, loss: 1.015 * report.loss });
  const wrongStep = (factor: number) =>
    standIn("webgpu", rounded, (state) => {
      state.weights.W_dec.set(state.weights.W_dec.map((v) => factor * v));
      return state;
    });
  const { config, states, batch } = setUp(shape);
  for (const [factor, name] of [
    [1, "webgpu"],
    // About half of how far W_dec moves in these steps.
    [1.0075, "cpu"],
  ] as const) {
    const { engine, said } = autoOf(standIn("cpu", slowly), wrongStep(factor), true);
    const trainer = await engine.createTrainer(config, states.map(copyMemberState));
    for (let s = 0; s < 4; s++) await trainer.step(batch(s), shape.rows, stepInput(s));
    await trainer.close();
    assert.equal(engine.name, name, said.join());
    if (name === "cpu") assert.match(said.join(), /\(step of W_dec; allowed 0.3\)/);
  }
});

test("a GPU that fails in its first batches costs nothing but a warning", async () => {
  const failing = standIn("webgpu", async (report, step) => {
    if (step === 2) throw new EngineError("the device was lost");
    return report;
  });
  const { said, name } = await trained(standIn("cpu", asIs), failing);
  assert.equal(name, "cpu");
  assert.match(said.join(), /^warning: .*failed in its first batches \(the device was lost\)/);
});

test("a GPU without room for the weights gives way before the first step", async () => {
  const full: Engine = {
    ...createReferenceEngine(),
    name: "webgpu",
    createTrainer: async () => {
      throw new EngineError("no memory left");
    },
  };
  const { said, name } = await trained(standIn("cpu", asIs), full);
  assert.equal(name, "cpu");
  assert.match(said.join(), /^warning: .*cannot train this \(no memory left\)/);
});

test("one trial decides for all that comes; encoding alone has a trial of its own", async () => {
  const decided = await trained(standIn("cpu", slowly), standIn("webgpu", asIs));
  const { config, states } = setUp(shape);
  await (await decided.engine.createTrainer(config, states)).close();
  assert.equal(decided.said.length, 1);

  const said: string[] = [];
  const engine = new AutoEngine(standIn("cpu", asIs), standIn("webgpu", asIs), (_, message) => said.push(message));
  const ensemble = ensembleOf("single", [randomSae({ architecture: "topk" }, 1)]);
  const encoder = await engine.createEncoder(ensemble);
  const x = new Float32Array(14 * 5).fill(0.5);
  const straight = await (await createReferenceEngine().createEncoder(ensemble)).encode(x, 5);
  assert.deepEqual(await encoder.encode(x, 5), straight);
  assert.deepEqual(await encoder.encode(x, 5), straight);
  assert.equal(said.length, 1);
  assert.ok(engine.name === "cpu" || engine.name === "webgpu");
  await encoder.close();
});

test("codes alone are tried like whole encodings: a GPU that differs in them is left", async () => {
  const wrong = encodingStandIn("webgpu", ({ codes }) => void codes.values.fill(7));
  const { said, engine } = autoOf(slowCpu(), wrong);
  const encoder = await engine.createEncoder(topkOf(1));
  const straight = await (await createReferenceEngine().createEncoder(topkOf(1))).encode(xOf(6), 6);
  for (let batch = 0; batch < 2; batch++) assert.deepEqual(await encoder.codes(xOf(6), 6), straight.codes);
  assert.equal(engine.name, "cpu");
  assert.match(said.join(), /differ from the processor's/);
  await encoder.close();
});
