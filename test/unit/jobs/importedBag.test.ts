// "Bag what I found on the hub": SAEs of four layouts, three of them by their names on a hub (on this machine), become one ensemble that is evaluated, indexed, flagged and debiased like our own.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { Annotations } from "../../../src/features/annotations.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { openRunIndex } from "../../../src/jobs/buildIndex.ts";
import { concepts } from "../../../src/jobs/concepts.ts";
import { debias } from "../../../src/jobs/debias.ts";
import { readDebiasData } from "../../../src/jobs/debiasData.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { type ImportOutcome, importSaes } from "../../../src/jobs/importSaes.ts";
import { type ProbedEnsemble, probeRun } from "../../../src/jobs/probeRun.ts";
import { openExperimentModel } from "../../../src/jobs/resources.ts";
import { runPaths } from "../../../src/jobs/runFolder.ts";
import { jobsOf, runJobs } from "../../../src/jobs/runJobs.ts";
import { ablatedRows } from "../../../src/probing/ablation.ts";
import { codeColumns } from "../../../src/probing/codeColumns.ts";
import { memberOffsets } from "../../../src/sae/ensemble.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { localHub, put } from "../localHub.ts";
import { shareOfFeatures } from "../probing/tokenByToken.ts";
import { biographies } from "./biographies.ts";
import { runCommand, writeTinyExperiment } from "./tinyExperiment.ts";

const folder = temporaryFolder();
const hook_name = "blocks.1.hook_resid_post";
const model = golden("models", "llama");
const text = join(folder, "text.txt");
const ours = join(folder, "runs", "tiny", "ensembles", "single", "member_0");
const hub = await localHub();
process.env["HF_ENDPOINT"] = hub.url;
process.env["HF_HUB_CACHE"] = join(folder, "hub");

const saes = (...path: string[]) => readFileSync(golden("saes", ...path));
put(hub, "someone/dictionaries", {
  "README.md": "of several layers",
  "resid_post_layer_1/trainer_0/ae.pt": saes("dictionary_learning", "AutoEncoder", "ae.pt"),
  "resid_post_layer_1/trainer_0/config.json": saes("dictionary_learning", "AutoEncoder", "config.json")
    .toString()
    .replaceAll(/(layer[_"]:? ?)4/g, "$11"),
  "resid_post_layer_1/trainer_0/eval_results.json": "{}",
  "resid_post_layer_4/trainer_0/ae.pt": saes("dictionary_learning", "AutoEncoder", "ae.pt"),
});
const params = saes("gemma_scope", "layer_12", "width_128", "average_l0_40", "params.npz");
put(hub, "google/gemma-scope-2b-pt-res", { "layer_1/width_128/average_l0_40/params.npz": params });
put(hub, "someone/openai", { "layer_1/autoencoder.pt": saes("openai", "topk", "autoencoder.pt") });

/** Relu, jumprelu and topk of three packages; the last normalises each token. */
const names = [
  "someone/dictionaries/resid_post_layer_1/trainer_0",
  "google/gemma-scope-2b-pt-res/layer_1/width_128/average_l0_40",
  "someone/openai/layer_1",
];
const fetched = () => hub.requests.filter((request) => request.path.includes("/resolve/")).length;

let outcome: ImportOutcome;

before(async () => {
  const file = writeTinyExperiment(folder, { ensembles: { methods: ["single"] } });
  await runJobs(readExperiment(file), ["harvest", "train"]);
  outcome = await importSaes({ paths: [ours, ...names], folder: join(folder, "bag"), model, text });
});

test("names of the hub are fetched once, with no more than an SAE needs, and bagged with what lies here", async () => {
  assert.equal(outcome.method, "bagging");
  assert.equal(outcome.hook, hook_name);
  assert.deepEqual(
    outcome.members.map(({ layout, architecture }) => `${layout}: ${architecture}`),
    [
      "SAELens: topk",
      "dictionary_learning, AutoEncoder: standard",
      "Gemma Scope: jumprelu",
      "OpenAI sparse_autoencoder, TopK: topk",
    ],
  );
  for (const { explained_variance, l0 } of outcome.members) {
    assert.ok(Number.isFinite(explained_variance));
    assert.ok(l0! > 0);
  }
  assert.equal(fetched(), 4, "ae.pt, config.json, params.npz, autoencoder.pt");
  await importSaes({ paths: names, folder: join(folder, "again") });
  assert.equal(fetched(), 4);
});

test("a name that the hub doesn't have, or that has several SAEs, is one error, and nothing is written", async () => {
  const cases: [string, RegExp][] = [
    ["someone/nobody/layer_1", /^someone\/nobody: found no such repository/],
    ["someone/dictionaries", /no single SAE, expected one SAE, e\.g\. someone\/dictionaries\/resid_post_layer_1/],
    ["someone/dictionaries/resid_post_layer_9", /someone\/dictionaries\/resid_post_layer_9: found no single SAE/],
    ["someone/dictionaries/resid_post_layer_1/trainer_0/README.md", /found no single SAE|no such file/],
  ];
  for (const [name, message] of cases) {
    await assert.rejects(importSaes({ paths: [ours, name], folder: join(folder, "refused") }), (error: unknown) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(existsSync(join(folder, "refused")), false);
});

test("from the command line", async () => {
  const { code, stdout, stderr } = await runCommand(["import", ...names, "--to", "from-hub", "--json"], folder);
  assert.equal(code, 0, stderr);
  assert.equal((JSON.parse(stdout) as ImportOutcome).members.length, 3);
  assert.ok(existsSync(join(folder, "from-hub", "ensemble.json")));
  const exported = await runCommand(["export", "runs/tiny", "--as", "python", "--to", "module"], folder);
  assert.match(exported.stdout, /^module: single, 1 member, \d+ features: ensemble_sae\.py/, exported.stderr);
  const wrong = await runCommand(["import", "someone/nobody/layer_1", "--to", "nothing"], folder);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^error: someone\/nobody: found no such repository[^\n]*\n$/);
  assert.equal(existsSync(join(folder, "nothing")), false);
  for (const command of [
    ["import", ...names],
    ["export", "from-hub", "--as", "python"],
  ]) {
    const onFile = await runCommand([...command, "--to", text], folder);
    assert.equal(onFile.code, 2);
    assert.match(onFile.stderr, /^error: [^\n]*text\.txt: found a file, expected [^\n]*\(--to\)\n$/);
  }
});

test("evaluated, indexed, flagged and debiased: ablation is exact for every member", async () => {
  const experiment = readExperiment(outcome.experiment!);
  assert.equal(await runJobs(experiment, jobsOf(experiment)), "done");
  const run = experiment.paths.runFolder;
  const { index } = await openRunIndex(run);
  const { rows } = index.page({ filter: { alive: true }, sort: "density", descending: true, limit: 500 });
  index.close();
  const found = [0, 1, 2, 3].map((member) => rows.find((row) => row.member === member));
  const flagged = found.map((row) => `${row!.member}/${row!.index}`);
  const annotations = await Annotations.open(runPaths(run).annotations("bagging"));
  annotations.edit(flagged.map((feature) => ({ feature, flagged: true })));
  await annotations.save();

  const data = join(folder, "bios.jsonl");
  writeFileSync(data, biographies(60, 60));
  const columns = { text: "text", label: "job", attribute: "gender" };
  const said = { trainFile: data, columns, seeds: [0], command: "test" };
  const report = await debias(run, join(folder, "debiased"), { ...said, n_values: [2], shift_n: 4 });
  assert.deepEqual(report.ensembles[0]!.flags, flagged);
  const { shift_flagged } = report.ensembles[0]!.runs[0]![0]!;
  assert.equal(shift_flagged!.flags.length, 4);
  await concepts(run, join(folder, "concepts"), { ...said, columns, perClass: { train: 40, test: 20 } });
  assert.ok(existsSync(join(folder, "concepts.md")));

  // From the pooled codes that the report was computed with, and token by token through the model.
  const { texts } = await readDebiasData(said);
  let kept: ProbedEnsemble | undefined;
  await probeRun(run, texts, {}, (probed) => {
    kept = probed;
  });
  const { ensemble, texts: pooled, W_dec } = kept!;
  const offsets = memberOffsets(ensemble);
  const features = flagged.map((name) => {
    const [member, own] = name.split("/").map(Number);
    return offsets[member!]! + own!;
  });
  const some = Uint32Array.of(0, 1, 2, 3, 4);
  const ablated = ablatedRows(pooled.activations, some, codeColumns(pooled.codes, some), W_dec, features);
  const llama = await openExperimentModel(experiment, () => {});
  for (const t of some) {
    const { bosId } = llama.tokenizer;
    const own = llama.tokenizer.encode(texts[t]!.text.text).map(({ id }) => id);
    const ids = [bosId!, ...own].slice(0, experiment.settings.context_size);
    const batch = { rows: 1, length: ids.length, ids: Int32Array.from(ids), lengths: Int32Array.of(ids.length) };
    const x = (await llama.capture(batch, hook_name)).slice(32);
    const share = shareOfFeatures(new Set(features), ensemble, x);
    for (let j = 0; j < 32; j++) {
      let mean = 0;
      for (let at = j; at < x.length; at += 32) mean += (x[at]! - share[at]!) / (ids.length - 1);
      const got = ablated.values[t * 32 + j]!;
      assert.ok(Math.abs(got - mean) < 2e-5, `text ${t}, ${j}: ${got} for ${mean}`);
    }
  }
  await llama.close();
});
