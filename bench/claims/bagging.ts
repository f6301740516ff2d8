// bagging-8: from text to eight trained SAEs of one layer in one run, beside SAELens' MultiSAETrainingRunner and eight runs of its single runner.
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTexts } from "../../src/data/texts.ts";
import { parseExperiment } from "../../src/jobs/experiment.ts";
import { runJobs } from "../../src/jobs/runJobs.ts";
import { openLanguageModel } from "../../src/model/open.ts";
import { type Bench, type Claim, type Measured, NotMeasurable } from "../claim.ts";
import { takeTurns } from "../median.ts";
import { reviews, smolLm2 } from "../sharedData.ts";

const MEMBERS = 8;
/** Single runs that are measured; the time of eight is taken from their mean, as they differ by a seed only. */
const SINGLES = 2;
const SETTINGS = {
  d_in: 576,
  d_sae: 4096,
  k: 32,
  n_members: MEMBERS,
  hook_name: "blocks.15.hook_resid_post",
  context_size: 128,
  training_tokens: 32_768,
  train_batch_size_tokens: 2048,
  store_batch_size_prompts: 8,
  lr: 3e-4,
};
/** Rows of the peers' mixing buffer; small, so that they harvest little that is never trained on. Ours harvests to disk, as by default, and shuffles there. */
const BUFFER_ROWS = 4096;
/** Reviews: enough for every token, whoever tokenizes. */
const TEXTS = 400;

export const baggingClaim: Claim = {
  name: "bagging-8",
  measures: `from text: harvest SmolLM2-135M at ${SETTINGS.hook_name} and train ${MEMBERS} TopK SAEs (F=${SETTINGS.d_sae} k=${SETTINGS.k}, ${SETTINGS.training_tokens} tokens) in one run`,
  against: `${MEMBERS} runs of SAELens' single runner (ratio); its MultiSAETrainingRunner (ratio_multi, goal 2)`,
  unit: "s",
  goal: 8,
  run: bagging,
};

async function bagging(bench: Bench): Promise<Measured> {
  const model = smolLm2();
  const texts = join(bench.dataFolder, "reviews.jsonl");
  await writeTexts(texts);
  const peer = await bench.peer("bagging.py");
  bench.log("loading the peers' model");
  const opened = await openLanguageModel(model, { threads: bench.threads });
  const bos_id = opened.tokenizer.bosId;
  await opened.close();
  // In SAELens it counts rows of context_size, whatever the batch of the store.
  const settings = { ...SETTINGS, n_batches_in_buffer: BUFFER_ROWS / SETTINGS.context_size };
  await peer.ask("prepare", { model, bos_id, texts, settings });
  const singles: number[] = [];
  const times = await takeTurns(1, {
    ours: async () => [await ours(bench, model, texts)],
    multi: async () => [(await peer.ask<{ seconds: number }>("multi")).seconds],
    single: async () => {
      for (let seed = 0; seed < SINGLES; seed++) {
        bench.log(`single run ${seed + 1} of ${SINGLES}`);
        singles.push((await peer.ask<{ seconds: number }>("single", { seed })).seconds);
      }
      return singles;
    },
  });
  const our = times.ours[0]!;
  const multi = times.multi[0]!;
  const eight = (MEMBERS * singles.reduce((sum, seconds) => sum + seconds, 0)) / singles.length;
  return {
    ours: our,
    peer: eight,
    ratio: eight / our,
    details: { multi, ratio_multi: multi / our, goal_multi: 2, singles_measured: SINGLES, ...SETTINGS },
    notes: [
      `${SINGLES} single runs were measured (${singles.map((seconds) => seconds.toFixed(1)).join(", ")} s); the peer is their mean times ${MEMBERS}.`,
      "Loading the model and Python's start are not in the peers' times; opening the model and writing the ensemble are in ours.",
    ],
  };
}

async function ours(bench: Bench, model: string, texts: string): Promise<number> {
  const runFolder = join(bench.dataFolder, "bagging-run");
  rmSync(runFolder, { recursive: true, force: true });
  const { d_in: _, d_sae, k, n_members, ...settings } = SETTINGS;
  const experiment = parseExperiment(
    JSON.stringify({
      ...settings,
      model_name: model,
      dataset_path: texts,
      column: "text",
      sae: { architecture: "topk", d_sae, k },
      ensembles: { methods: ["bagging"], n_members },
      evaluation: { test_tokens: 128, model_metrics_tokens: 0 },
      n_checkpoints: 0,
      threads: bench.threads,
    }),
    join(bench.dataFolder, "bagging.sae.jsonc"),
    { runFolder },
  );
  const start = performance.now();
  const ended = await runJobs(experiment, ["harvest", "train"]);
  const seconds = (performance.now() - start) / 1000;
  if (ended !== "done" || !existsSync(join(runFolder, "ensembles", "bagging", "ensemble.json"))) {
    throw new NotMeasurable("our run ended without an ensemble");
  }
  rmSync(runFolder, { recursive: true, force: true });
  return seconds;
}

async function writeTexts(file: string): Promise<void> {
  const lines: string[] = [];
  for await (const { text } of readTexts(reviews())) {
    lines.push(JSON.stringify({ text }));
    if (lines.length === TEXTS) break;
  }
  writeFileSync(file, `${lines.join("\n")}\n`);
}
