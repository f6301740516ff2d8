// Estimates against sums done by hand, and the presets: each is valid, and doctor weighs it without a network and without running it.
import assert from "node:assert/strict";
import { globSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { estimate, examineExperiment } from "../../../src/jobs/estimate.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { modelSize } from "../../../src/model/modelSize.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

const temporary = temporaryFolder();
// Nothing of this machine's caches, and nobody to ask.
process.env["HF_HUB_CACHE"] = join(temporary, "hub");
process.env["XDG_CACHE_HOME"] = join(temporary, "cache");
process.env["HF_ENDPOINT"] = "http://127.0.0.1:1";

test("disk, memory and time of a small experiment, summed by hand", async () => {
  const folder = join(temporary, "small");
  mkdirSync(folder);
  const experiment = readExperiment(
    writeTinyExperiment(folder, {
      ensembles: { methods: ["single", "bagging"], n_members: 2 },
      evaluation: { test_share: 0.2, test_tokens: 500, model_metrics_tokens: 0 },
    }),
  );
  const size = await modelSize(experiment.paths.model);
  // Llama: queries and outputs 32², keys and values 32·16, an MLP of 72.
  assert.deepEqual(size, { nLayers: 3, dModel: 32, dVocab: 431, perLayer: 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 72 });
  const { disk, memory, harvestSeconds, trainSeconds } = estimate(experiment, size, 1);
  const sae = 2 * 32 * 48;
  const codes = 8 * 1500 * 2 * 4;
  assert.equal(disk, (4000 + 500) * 32 * 4 + 4 * (sae + 2 * sae + 3 * 2 * sae) + codes);
  assert.equal(memory, 300 * 2 ** 20 + 4 * (2 * (2 * size.perLayer + 431 * 32) + 3 * 2 * sae));
  assert.ok(Math.abs(harvestSeconds - (1.3 * 2 * (4000 + 500 + 1500) * 2 * size.perLayer) / 1e9) < 1e-9);
  assert.ok(Math.abs(trainSeconds - (1.6 * 3 * sae * 6400) / 1e9) < 1e-9);
});

test("sizes are those of the opened model, for every family", async () => {
  for (const name of ["gpt2", "gpt_neox", "qwen2", "qwen3", "gemma2", "llama"]) {
    const model = await openLanguageModel(golden("models", name), { threads: 1 });
    const { nLayers, dModel, dVocab } = await modelSize(golden("models", name));
    assert.deepEqual(
      { nLayers, dModel, dVocab },
      { nLayers: model.info.nLayers, dModel: model.info.dModel, dVocab: model.info.dVocab },
      name,
    );
    await model.close();
  }
});

describe("presets", () => {
  const presets = globSync("*.sae.jsonc", { cwd: join(import.meta.dirname, "..", "..", "..", "media", "presets") });
  assert.equal(presets.length, 5);
  for (const preset of presets)
    test(preset, async () => {
      const experiment = readExperiment(join(import.meta.dirname, "..", "..", "..", "media", "presets", preset));
      const findings = await examineExperiment(experiment, 100);
      assert.deepEqual(
        findings.map(({ name }) => name),
        ["Experiment", "Download", "Text", "Model", "Disk needed", "Memory needed", "Time needed"],
      );
      assert.equal(findings[0]!.value, `${basename(preset, ".sae.jsonc")} is valid`);
      assert.match(findings[1]!.value, /no way to http/, "the download can't be asked about here, and that is said");
      assert.match(findings[4]!.value, /about [\d.]+ (M|G)iB in the run folder/);
      assert.match(findings[6]!.value, /about [\d.]+ (h|days|min|years)/);
    });
});
