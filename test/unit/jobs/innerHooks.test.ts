// A whole run by the command line at the hooks whose width is not the model's: trained, evaluated, indexed, debiased with, looked at. The tiny golden Gemma-2, whose heads together are wider than its residual stream.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { decoderRows } from "../../../src/features/decoderRows.ts";
import { openFeatureIndex } from "../../../src/features/openFeatureIndex.ts";
import { nextToken, pushingFeatures } from "../../../src/inspection/nextToken.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { type OpenInspection, openInspection } from "../../../src/jobs/openInspection.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { oneRow } from "../model/references.ts";
import { runCommand, writeTinyExperiment } from "./tinyExperiment.ts";

const root = temporaryFolder();
const model_name = golden("models", "gemma2");
const prompt = "the nurse saw the old king";

for (const [name, hook_name, width] of [
  ["heads", "blocks.1.attn.hook_z", 64],
  ["neurons", "blocks.1.mlp.hook_post", 72],
] as const) {
  describe(hook_name, () => {
    const folder = join(root, name);
    const ensembleFolder = join(folder, "runs/tiny/ensembles/bagging");
    let opened: OpenInspection;

    before(async () => {
      mkdirSync(folder);
      const ensembles = { methods: ["bagging", "boosting"], n_members: 2 };
      const file = writeTinyExperiment(folder, { model_name, hook_name, ensembles });
      const { code, stderr } = await runCommand(["run", file, "--plain", "--no-queue"], folder);
      assert.equal(code, 0, stderr);
      opened = await openInspection(ensembleFolder);
    });
    after(() => opened?.close());

    test("its members say of themselves what SAELens has to know", () => {
      const cfg = JSON.parse(readFileSync(join(ensembleFolder, "member_0", "cfg.json"), "utf8"));
      assert.deepEqual([cfg.d_in, cfg.metadata.hook_name], [width, hook_name]);
      assert.equal(cfg.reshape_activations, name === "heads" ? "hook_z" : "none");
    });

    test("what the model loses with its reconstructions is measured there", () => {
      const { methods } = JSON.parse(readFileSync(join(folder, "runs/tiny/report.json"), "utf8"));
      for (const { metrics } of methods) {
        for (const metric of ["ce_loss_with_sae", "ce_loss_with_ablation", "kl_div_with_sae", "explained_variance"])
          assert.ok(Number.isFinite(metrics[metric].value), metric);
        assert.ok(metrics.kl_div_with_sae.value > 0);
      }
    });

    test("a feature's logits in the index, and what it pushes at a token, go through the layer's output matrix", async () => {
      const { inspection } = opened;
      const { ensemble, model } = inspection;
      const V = model.info.dVocab;
      const logitsOf = async (feature: number) =>
        model.unembed(decoderRows(ensemble, feature, feature + 1, "effective", new Float32Array(width)), 1, hook_name);
      const index = openFeatureIndex(join(ensembleFolder, "index.sqlite"));
      for (const feature of [0, 50, 95]) {
        const logits = await logitsOf(feature);
        const { top, bottom } = index.detail(feature).logits;
        assert.equal(top[0]!.id, logits.indexOf(Math.max(...logits)));
        assert.equal(bottom[0]!.id, logits.indexOf(Math.min(...logits)));
        for (const { id, logit } of [...top, ...bottom]) assert.ok(Math.abs(logit - logits[id]!) < 1e-6);
      }
      index.close();
      const { features } = await pushingFeatures(inspection, prompt, 7, 5);
      assert.ok(features.length > 0);
      for (const { feature, value, direct } of features) {
        const logits = await logitsOf(feature);
        const centred = logits[7]! - logits.reduce((sum, logit) => sum + logit, 0) / V;
        assert.ok(Math.abs(direct - value * centred) <= 1e-5 * Math.max(1, Math.abs(direct)));
      }
    });

    test("what is added to a feature changes the next token as the delta does in one pass", async () => {
      const { inspection } = opened;
      const { model, ensemble } = inspection;
      const { ids } = await inspection.readPrompt(prompt, 0);
      const row = decoderRows(ensemble, 3, 4, "effective", new Float32Array(width));
      const delta = new Float32Array(ids.length * width);
      for (const [t, id] of ids.entries())
        if (!model.tokenizer.specialIds.has(id))
          delta.set(
            row.map((x) => 5 * x),
            t * width,
          );
      const logits = (await model.logits(oneRow(ids), { hookName: hook_name, delta })).slice(-model.info.dVocab);
      const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
      const { tokens } = await nextToken(
        inspection,
        prompt,
        [{ features: [3], kind: "add", value: 5, from: "everywhere" }],
        10,
      );
      assert.ok(
        tokens.some(({ original, changed }) => Math.abs(original - changed) > 1e-4),
        "it is a change",
      );
      for (const { id, changed } of tokens) assert.ok(Math.abs(changed - Math.exp(logits[id]!) / sum) < 1e-5);
    });

    test("texts are pooled and debiased by its codes", async () => {
      const args = ["debias", "runs/tiny", "--seeds", "0", "--per-cell", "10", "--n", "2", "--ensemble", "bagging"];
      const { code, stderr } = await runCommand(args, folder);
      assert.equal(code, 0, stderr);
      assert.match(readFileSync(join(folder, "runs/tiny/debias.md"), "utf8"), /bagging/);
    });

    test("SAEs of another hook or width are refused before anything is harvested", async () => {
      const stranger = join(folder, "stranger");
      await cp(join(ensembleFolder, "member_0"), stranger, { recursive: true });
      const cfg = JSON.parse(readFileSync(join(stranger, "cfg.json"), "utf8"));
      delete cfg.metadata.hook_name;
      writeFileSync(join(stranger, "cfg.json"), JSON.stringify(cfg));
      const elsewhere = join(folder, "elsewhere");
      mkdirSync(elsewhere);
      const other = "blocks.1.hook_mlp_out";
      const experiment = readExperiment(
        writeTinyExperiment(elsewhere, {
          model_name,
          hook_name: other,
          sae: { architecture: "imported", paths: ["../stranger"] },
          ensembles: { methods: ["single"] },
        }),
      );
      const expected =
        name === "heads"
          ? /stranger.*reshape_activations: found hook_z, expected none at blocks\.1\.hook_mlp_out/
          : new RegExp(`sae\\.paths: found SAEs of d_in ${width}, expected the hook's 32`);
      await assert.rejects(runJobs(experiment, ["harvest", "train"]), expected);
      assert.ok(!existsSync(experiment.paths.runFolder), "nothing is written");
      rmSync(elsewhere, { recursive: true });
    });
  });
}
