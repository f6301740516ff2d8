// Debiasing and concept detection on real text: SmolLM2-135M, layer 15, biographies of twelve occupations and three labelled sets, for all four methods from two sets of seeds. Begins with an empty folder and goes on where it was stopped; RESULTS.md there grows table by table, first with one set of ensembles, then with both. Parts may run beside each other once the first set is trained. Usage: node bench/debiasRealText.ts [nofirst] [names] [full] [concepts]
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { concepts } from "../src/jobs/concepts.ts";
import { debias } from "../src/jobs/debias.ts";
import { readReportTable } from "../src/jobs/evaluate.ts";
import { readExperiment } from "../src/jobs/experiment.ts";
import { runJobs } from "../src/jobs/runJobs.ts";
import { conceptTable, type DebiasTask, debiasTables } from "./debiasRealTextTables.ts";
import { GROUPS, OCCUPATIONS, realTextData } from "./realTextData.ts";
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
  ensembles: { methods: ["single", "bagging", "boosting", "expanded"], n_members: 3, seed_sets: 2 },
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
/** With `until`: no further than where that stage begins. */
async function work(until?: string): Promise<void> {
  const stop = new AbortController();
  await runJobs(experiment, ["harvest", "train", "evaluate"], {
    signal: stop.signal,
    onEvent: (event) => {
      if (event.type !== "progress") return;
      say(event.stage);
      if (until !== undefined && event.stage.startsWith(until)) stop.abort();
    },
  });
}

const SEEDS = [0, 1, 2, 3, 4];
const SHIFT_N = 20;
const { runFolder } = experiment.paths;
const data = realTextData(folder);
const command = "node bench/debiasRealText.ts";
const onProgress = (stage: string): void => say(stage);

const tables = ["ensembles", "nofirst", "names", "full", ...data.concepts.map(({ name }) => name)];
/** A file a table, and what there is of them in one. */
const add = (name: string, table: string): void => {
  writeFileSync(join(folder, `table-${name}.md`), table);
  const there = tables.map((one) => join(folder, `table-${one}.md`)).filter((path) => existsSync(path));
  writeFileSync(join(folder, "RESULTS.md"), there.map((path) => readFileSync(path, "utf8")).join("\n"));
  console.log(table);
};

/** One way to draw the texts, over all groupings: every grouping is one debiasing in both directions. */
async function debiasAll(
  ensembles: readonly string[],
  title: string,
  name: string,
  trainFile: string,
  testFile?: string,
): Promise<void> {
  const tasks: DebiasTask[] = [];
  for (const [group, positive] of Object.entries(GROUPS)) {
    say(`${title}, six ${group}`);
    const report = await debias(runFolder, join(folder, `debias-${name}-${group}`), {
      trainFile,
      ...(testFile && { testFile }),
      ensembles,
      columns: { text: "text", label: "occupation", attribute: "gender" },
      label: { positive, negative: OCCUPATIONS.filter((occupation) => !positive.includes(occupation)) },
      attribute: { positive: ["male"], negative: ["female"] },
      seeds: SEEDS,
      shift_n: SHIFT_N,
      flags: [],
      command,
      onProgress,
    });
    tasks.push({ group, report });
  }
  add(name, debiasTables(title, tasks));
}

async function conceptsAll(ensembles: readonly string[]): Promise<void> {
  for (const { name, train, test, perClass } of data.concepts) {
    say(`concepts ${name}`);
    const report = await concepts(runFolder, join(folder, `concepts-${name}`), {
      trainFile: train,
      testFile: test,
      ensembles,
      columns: { text: "text", label: "label" },
      perClass,
      seeds: SEEDS.slice(0, 3),
      command,
      onProgress,
    });
    add(name, conceptTable(name, report));
  }
}

const { nofirst, full } = data;
const parts: Record<string, (ensembles: readonly string[]) => Promise<void>> = {
  nofirst: (ensembles) => debiasAll(ensembles, "Without the first sentence", "nofirst", nofirst.all),
  // The texts of nofirst in the same order, so that what was pooled for them serves again.
  names: (ensembles) =>
    debiasAll(ensembles, "Without the first sentence, no name in both parts", "names", nofirst.train, nofirst.test),
  full: (ensembles) => debiasAll(ensembles, "Full text", "full", full.all),
  concepts: conceptsAll,
};
const { methods } = settings.ensembles;
const chosen = process.argv.slice(2);
const everything = async (ensembles: readonly string[]): Promise<void> => {
  for (const part of chosen.length > 0 ? chosen : Object.keys(parts)) await parts[part]!(ensembles);
};

if (chosen.length === 0) await work(`train ${methods[0]}-1`);
await everything(methods);
if (chosen.length === 0) {
  await work();
  add("ensembles", `${readReportTable(runFolder)}\n`);
  await everything([...methods, ...methods.map((method) => `${method}-1`)]);
}
