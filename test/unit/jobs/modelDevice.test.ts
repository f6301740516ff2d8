// A run whose language model is on a GPU (a software one): it says so, what it harvests is what the processor would have, and where the model ran is no reason to harvest again.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { prepareBrowser, softwareGpuEnvironment, unavailable } from "../../../scripts/realVsCode.ts";
import { openActivationStore } from "../../../src/data/activationStore.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

const missing = unavailable && `no software GPU: ${unavailable}`;
if (!missing) await prepareBrowser();
const root = temporaryFolder();

/** Harvests in a folder; what the run logged. */
async function harvest(folder: string, llm_device: string): Promise<string[]> {
  const said: string[] = [];
  const file = writeTinyExperiment(folder, {
    llm_device,
    // onnxruntime 1.30 is wrong at 32 where subgroups are as small as software's; test/unit/model/deviceModel.test.ts has that.
    context_size: 31,
    training_tokens: 512,
    train_batch_size_tokens: 64,
    activations: { tokens: 512, dtype: "float32" },
    ensembles: { methods: ["single"] },
    evaluation: { test_tokens: 100, model_metrics_tokens: 0 },
  });
  await runJobs(readExperiment(file), ["harvest"], {
    onEvent: (event) => {
      if (event.type === "log") said.push(`${event.level}: ${event.message}`);
    },
  });
  return said;
}

async function harvested(folder: string): Promise<Float32Array> {
  const store = await openActivationStore(join(folder, "runs/tiny/activations/train"), { seed: 1, passes: 1 });
  const { x } = (await store.next(512))!;
  await store.close();
  return x;
}

const manifest = (folder: string) => readFileSync(join(folder, "runs/tiny/activations/train/manifest.json"), "utf8");

test("llm_device webgpu harvests what the processor does, and says that it was on the GPU", {
  skip: missing,
}, async (t) => {
  const before = { ...process.env };
  Object.assign(process.env, softwareGpuEnvironment);
  t.after(() => {
    process.env = before;
  });
  const [onGpu, onCpu] = [mkdtempSync(join(root, "g-")), mkdtempSync(join(root, "c-"))];
  const said = await harvest(onGpu, "webgpu");
  assert.match(
    said.join("\n"),
    /info: language model on webgpu: it agrees with the processor to \S+; it was asked for/,
  );
  assert.deepEqual(await harvest(onCpu, "cpu"), []);
  const [found, expected] = [await harvested(onGpu), await harvested(onCpu)];
  assert.equal(found.length, expected.length);
  for (const [at, value] of expected.entries())
    assert.ok(Math.abs(found[at]! - value) < 1e-4 * Math.max(1, Math.abs(value)));
  const kept = manifest(onGpu);
  await harvest(onGpu, "cpu");
  assert.equal(manifest(onGpu), kept, "nothing was harvested again");
});
