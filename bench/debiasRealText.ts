// Debiasing and concept detection on real text: SmolLM2-135M, layer 15, biographies of twelve occupations and three labelled sets, for all four methods. Goes on where it was stopped. Usage: node bench/debiasRealText.ts
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readExperiment } from "../src/jobs/experiment.ts";
import { runJobs } from "../src/jobs/runJobs.ts";
import { reviews, smolLm2 } from "./sharedData.ts";

const folder = join(import.meta.dirname, "..", ".bench", "real-text");
mkdirSync(folder, { recursive: true });

/** Sizes that two cores finish in half an hour. */
const settings = {
  model_name: smolLm2(),
  hook_name: "blocks.15.hook_resid_post",
  dataset_path: reviews(),
  context_size: 64,
  exclude_special_tokens: true,
  activations: { tokens: 150_000 },
  training_tokens: 450_000,
  train_batch_size_tokens: 1024,
  lr: 1e-3,
  lr_warm_up_steps: 30,
  lr_decay_steps: 90,
  dead_feature_window: 100,
  sae: { architecture: "topk", d_sae: 1152, k: 32, normalize_activations: "expected_average_only_in" },
  ensembles: { methods: ["single", "bagging", "boosting", "expanded"], n_members: 3 },
  evaluation: { test_share: 0.05, test_tokens: 10_000, model_metrics_tokens: 0 },
};
const file = join(folder, "smollm2.sae.jsonc");
writeFileSync(file, `${JSON.stringify(settings, null, 2)}\n`);
const experiment = readExperiment(file);
let last = "";
const say = (stage: string): void => {
  if (stage !== last) console.error(`${new Date().toISOString().slice(11, 19)} ${stage}`);
  last = stage;
};
await runJobs(experiment, ["harvest", "train", "evaluate"], {
  onEvent: (event) => {
    if (event.type === "progress") say(event.stage);
  },
});
