// Every new experiment that the choices can make is one that the parser takes, and says what was chosen.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { parseExperiment } from "../../../src/jobs/experiment.ts";
import { experimentText, sizes } from "../../../src/jobs/newExperiment.ts";
import { modelSize } from "../../../src/model/modelSize.ts";
import { architectures } from "../../../src/sae/architectureWords.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

test("all combinations parse", () => {
  const file = join(temporaryFolder(), "new.sae.jsonc");
  for (const architecture of architectures)
    for (const method of ["bagging", "boosting", "all"] as const)
      for (const size of ["quick", "middle", "paper"] as const) {
        const choice = { model: "demo", dataset: "demo", hook: "blocks.2.hook_resid_post", method, architecture, size };
        const { settings } = parseExperiment(experimentText(choice), file);
        assert.equal(settings.sae.architecture, architecture);
        assert.equal(settings.ensembles.n_members, sizes[size].n_members);
        assert.equal(settings.training_tokens, sizes[size].training_tokens);
        assert.equal(settings.ensembles.methods.length, method === "all" ? 4 : 1);
      }
});

test("a path with quotes and backslashes stays one", () => {
  const model = golden("models", "llama");
  const choice = { model, dataset: 'a "b"\\c.txt', hook: "blocks.0.hook_mlp_out" } as const;
  const text = experimentText({ ...choice, method: "bagging", architecture: "topk", size: "quick" });
  assert.ok(text.includes(JSON.stringify(choice.dataset)));
});

test("layers are read from the configuration alone", async () => {
  assert.equal((await modelSize(golden("models", "llama"))).nLayers, 3);
  assert.equal((await modelSize(golden("models", "gelu-1l"))).nLayers, 1);
  await assert.rejects(modelSize(golden("models", "none")), /found nothing there/);
  await assert.rejects(modelSize(golden("evaluation")), /config\.json/);
});
