// The paper's directions on real models: trains single, bagging, boosting and expanded from two sets of seeds and prints the table of each setting. Usage: node bench/paperDirections.ts [SETTING …]
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readReportTable } from "../src/jobs/evaluate.ts";
import { readExperiment } from "../src/jobs/experiment.ts";
import { runJobs } from "../src/jobs/runJobs.ts";
import { benchData, reviews, smolLm2 } from "./sharedData.ts";

const reviewsAt = (tokens: number) => ({
  dataset_path: reviews(),
  activations: { tokens },
  exclude_special_tokens: true,
  evaluation: { test_share: 0.05, test_tokens: 30_000, model_metrics_tokens: 4000 },
});
const smol = () => ({
  model_name: smolLm2(),
  hook_name: "blocks.15.hook_resid_post",
  context_size: 128,
  ...reviewsAt(330_000),
});
const stories = () => ({
  model_name: benchData("models", "stories260K", "stories260K-f32.gguf"),
  hook_name: "blocks.2.hook_resid_post",
  context_size: 256,
  ...reviewsAt(330_000),
});
const training = {
  training_tokens: 4 * 330_000,
  train_batch_size_tokens: 2048,
  lr: 1e-3,
  lr_warm_up_steps: 50,
  lr_decay_steps: 130,
  dead_feature_window: 200,
};
const four = ["single", "bagging", "boosting", "expanded"];

const models: Record<string, { made: () => Record<string, unknown>; d_sae: number; k: number }> = {
  smollm2: { made: smol, d_sae: 1024, k: 16 },
  stories: { made: stories, d_sae: 256, k: 8 },
};

/** SETTING is model-architecture-members; each a whole experiment file but for what is common. */
const settings: Record<string, () => Record<string, unknown>> = {};
for (const n_members of [4, 8]) {
  for (const [model, { made, d_sae, k }] of Object.entries(models)) {
    const ensembles = { methods: four, n_members, seed_sets: 2 };
    settings[`${model}-topk-${n_members}`] = () => ({ ...made(), sae: { architecture: "topk", d_sae, k }, ensembles });
    settings[`${model}-relu-${n_members}`] = () => ({
      ...made(),
      // ReLU needs activations of a known size for its penalty to mean the same everywhere.
      sae: {
        architecture: "standard",
        d_sae,
        l1_coefficient: 5,
        l1_warm_up_steps: 100,
        normalize_activations: "expected_average_only_in",
      },
      ensembles,
    });
  }
}

const chosen = process.argv.slice(2);
const folder = join(import.meta.dirname, "..", ".bench", "paper");
mkdirSync(folder, { recursive: true });
for (const name of chosen.length > 0 ? chosen : Object.keys(settings)) {
  const make = settings[name];
  if (!make) throw new Error(`no setting ${name}; there are ${Object.keys(settings).join(", ")}`);
  const file = join(folder, `${name}.sae.jsonc`);
  writeFileSync(file, JSON.stringify({ ...make(), ...training }, null, 2));
  const experiment = readExperiment(file);
  let last = "";
  await runJobs(experiment, ["harvest", "train", "evaluate"], {
    onEvent: (event) => {
      if (event.type !== "progress" || event.stage === last) return;
      last = event.stage;
      console.error(`${name}: ${last}`);
    },
  });
  console.log(`\n${name}\n${readReportTable(experiment.paths.runFolder)}`);
}
