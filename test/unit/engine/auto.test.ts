// The device chosen by trial: who wins, what is said, and that nothing of the first batches is lost. Another engine of this project stands in for the GPU.
import assert from "node:assert/strict";
import { test } from "node:test";
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

test("a GPU whose reconstruction agrees and whose codes are another's is left, and that is said", async () => {
  const said: string[] = [];
  const engine = createReferenceEngine();
  const encoding = async (change: (encoded: Encoded) => void): Promise<Encoded> => {
    const wrong: Engine = {
      ...engine,
      name: "webgpu",
      createEncoder: async (ensemble) => {
        const encoder = await engine.createEncoder(ensemble);
        return {
          close: () => encoder.close(),
          encode: async (...batch) => {
            const encoded = await encoder.encode(...batch);
            change(encoded);
            return encoded;
          },
        };
      },
    };
    const auto = new AutoEngine(engine, wrong, (level, message) => said.push(`${level}: ${message}`));
    const encoder = await auto.createEncoder(ensembleOf("single", [randomSae({ architecture: "topk" }, 1)]));
    const encoded = await encoder.encode(new Float32Array(14 * 5).fill(0.5), 5);
    await encoder.close();
    return encoded;
  };
  const { codes } = await encoding(({ codes }) => {
    codes.indices[0]! -= 1;
  });
  assert.ok(codes.indices.length > 0);
  assert.match(said.join(), /^warning: device .*differ from the processor's by .*\(codes; allowed 0.001\)/);
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
