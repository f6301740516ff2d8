// A run of 100,000 features in a workspace: for claims about what a person waits for in a real VS Code.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareRealVsCode, unavailable } from "../scripts/realVsCode.ts";
import { readExperiment } from "../src/jobs/experiment.ts";
import { runJobs } from "../src/jobs/runJobs.ts";
import { type Bench, NotMeasurable } from "./claim.ts";
import { buildSyntheticIndex } from "./syntheticIndex.ts";

export const MANY = { members: 8, d_sae: 12_500, k: 16, context: 32 };

/** Makes the real VS Code ready. Throws NotMeasurable where there can be none. */
export async function editorNeeded(bench: Bench): Promise<void> {
  if (unavailable) throw new NotMeasurable(unavailable);
  await prepareRealVsCode(bench.log);
}

/** A real VS Code's state folder with a workspace in it that holds the run `many`, and a queue of its own. Whoever asks removes it. */
export async function manyInEditor(bench: Bench): Promise<{ state: string; workspace: string }> {
  await editorNeeded(bench);
  const state = mkdtempSync(join(tmpdir(), "sae-many-"));
  const workspace = join(state, "workspace");
  mkdirSync(workspace);
  process.env["SAE_ENSEMBLES_STATE"] = join(state, "queue");
  bench.log("a run of the demo's model with as many features");
  await manyFeatures(workspace);
  return { state, workspace };
}

/** Puts the run `many` into a workspace. Its features have seen a few steps: how well they fit changes nothing of what a click costs. */
async function manyFeatures(workspace: string): Promise<void> {
  const file = join(workspace, "many.sae.jsonc");
  const settings = {
    model_name: "demo",
    hook_name: "blocks.2.hook_resid_post",
    dataset_path: "demo",
    context_size: MANY.context,
    exclude_special_tokens: true,
    training_tokens: 4096,
    train_batch_size_tokens: 1024,
    sae: { architecture: "topk", d_sae: MANY.d_sae, k: MANY.k },
    ensembles: { methods: ["bagging"], n_members: MANY.members },
    evaluation: { test_tokens: 1000 },
  };
  writeFileSync(file, JSON.stringify(settings));
  const experiment = readExperiment(file);
  await runJobs(experiment, ["harvest", "train"]);
  // Nearest features of so many would take longer than all the rest, and no click asks for them.
  const { members, d_sae, k } = MANY;
  const index = join(experiment.paths.runFolder, "ensembles", "bagging", "index.sqlite");
  await buildSyntheticIndex(index, { members, d_sae, k, tokens: 20_000, seed: 1 });
}
