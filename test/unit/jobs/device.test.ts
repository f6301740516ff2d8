// Which device a run gets: the experiment's word before the user's setting, the processor where there is no GPU, and who waits for whom in the line.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EngineError } from "../../../src/engine/engine.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { DEVICE_VARIABLE, deviceFor, openEngine } from "../../../src/jobs/device.ts";
import { deviceOf, QueueTicket } from "../../../src/jobs/deviceQueue.ts";
import type { ExperimentSettings } from "../../../src/jobs/experimentSchema.ts";
import { acquireRunLock } from "../../../src/jobs/runLock.ts";
import { STATE_VARIABLE } from "../../../src/jobs/stateFolder.ts";
import { changeOfDevice } from "../../../src/jobs/train.ts";
import { temporaryFolder } from "../fixtures.ts";

const root = temporaryFolder();
process.env[STATE_VARIABLE] = join(root, "state");
// No driver of a GPU is found by this process and those that it starts (where drivers are found by these variables: Linux).
process.env["VK_ICD_FILENAMES"] = process.env["VK_DRIVER_FILES"] = join(root, "none.json");

const settings = (device: "auto" | "cpu" | "webgpu", more: Partial<ExperimentSettings> = {}) =>
  ({ device, threads: 1, ...more }) as ExperimentSettings;

function withVariable<T>(value: string, work: () => T): T {
  process.env[DEVICE_VARIABLE] = value;
  try {
    return work();
  } finally {
    delete process.env[DEVICE_VARIABLE];
  }
}

test("an experiment's device counts before the user's setting, which counts where the experiment says auto", () => {
  assert.equal(deviceFor(settings("auto")), "auto");
  withVariable("webgpu", () => {
    assert.equal(deviceFor(settings("auto")), "webgpu");
    assert.equal(deviceFor(settings("cpu")), "cpu");
    // An engine that is named runs on the processor, whatever the device.
    assert.equal(deviceFor(settings("webgpu", { engine: "reference" })), "cpu");
  });
  withVariable("cpu", () => assert.equal(deviceFor(settings("webgpu")), "webgpu"));
  withVariable("", () => assert.equal(deviceFor(settings("auto")), "auto"));
});

test("a run that goes on on another device than its checkpoint's says so, also where the engine is the same", () => {
  const apple = { name: "webgpu", description: "WebGPU on Apple M2" };
  const state = { engine: "webgpu", engine_description: "WebGPU on Apple M2" };
  assert.equal(changeOfDevice(state, apple), undefined);
  assert.equal(
    changeOfDevice(state, { name: "webgpu", description: "WebGPU on NVIDIA" }),
    "was trained on webgpu (WebGPU on Apple M2) so far, and goes on on webgpu (WebGPU on NVIDIA)",
  );
  // Checkpoints of before know a name, or not even that; "auto" was never anything yet.
  assert.equal(changeOfDevice({ engine: "webgpu" }, apple), undefined);
  assert.match(changeOfDevice({ engine: "cpu" }, apple)!, /^was trained on cpu so far, and goes on on webgpu \(/);
  assert.equal(changeOfDevice({}, apple), undefined);
  assert.equal(changeOfDevice({ engine: "auto", engine_description: "by trial" }, apple), undefined);
});

test("a setting that is no device is refused with what it may be", () => {
  withVariable("cuda", () =>
    assert.throws(
      () => deviceFor(settings("auto")),
      (error: Error) =>
        error instanceof InputError && /SAE_ENSEMBLES_DEVICE.*cuda.*auto, cpu, webgpu/s.test(error.message),
    ),
  );
});

test("without a GPU auto is the processor and says why; webgpu is refused with what to do, and speaks of no checkpoint", async (t) => {
  if (process.platform !== "linux") return t.diagnostic("a GPU can't be hidden on this system");
  const said: string[] = [];
  const engine = await openEngine(settings("auto"), (level, message) => said.push(`${level}: ${message}`));
  assert.equal(engine.name, "cpu");
  await engine.close();
  assert.equal(said.length, 1);
  assert.match(said[0]!, /^info: device cpu \(.*\): no GPU was found that WebGPU can use$/);
  await assert.rejects(
    openEngine(settings("webgpu"), () => {}),
    (error: Error) =>
      error instanceof EngineError && /use the device cpu/.test(error.message) && !/checkpoint/.test(error.message),
  );
  // Nobody to hear of a trial: no trial.
  const silent = await openEngine(settings("auto"));
  assert.equal(silent.name, "cpu");
  await silent.close();
});

test("cpu and webgpu work beside each other; auto, which may go on with either, waits for both and both for it", (t) => {
  const line = (["webgpu", "cpu", "auto", "webgpu", "cpu"] as const).map((device, n) => {
    const folder = join(root, `run${n}`);
    mkdirSync(folder);
    const lock = acquireRunLock(folder)!;
    const ticket = QueueTicket.take(deviceOf(settings(device)), folder);
    t.after(() => {
      ticket.release();
      lock.release();
    });
    return ticket;
  });
  assert.deepEqual(
    line.map((ticket) => ticket.place().ahead),
    [0, 0, 2, 2, 2],
  );
});
