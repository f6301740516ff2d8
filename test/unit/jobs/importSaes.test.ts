// SAEs that exist already: mixed into one ensemble, looked at on a model's activations, and then evaluated and indexed by the jobs like our own.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { InputError } from "../../../src/formats/inputError.ts";
import { writeSafetensors } from "../../../src/formats/safetensors.ts";
import { openRunIndex } from "../../../src/jobs/buildIndex.ts";
import { estimate } from "../../../src/jobs/estimate.ts";
import { examineExperiment } from "../../../src/jobs/examineExperiment.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { type ImportRequest, importSaes } from "../../../src/jobs/importSaes.ts";
import { jobsOf, runJobs } from "../../../src/jobs/runJobs.ts";
import { experimentOfRun } from "../../../src/jobs/runRecord.ts";
import { modelSize } from "../../../src/model/modelSize.ts";
import { loadEnsemble, saveEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { openSources, sharedHook } from "../../../src/sae/importEnsemble.ts";
import { openSae } from "../../../src/sae/openSae.ts";
import type { Sae } from "../../../src/sae/sae.ts";
import { loadSae, saveSae } from "../../../src/sae/saeLensFolder.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

const folder = temporaryFolder();
const hook_name = "blocks.1.hook_resid_post";
const model = golden("models", "llama");
const text = join(folder, "text.txt");
const ours = join(folder, "runs", "tiny", "ensembles", "single", "member_0");
const theirs = join(folder, "sparsify");
let sae: Sae;

before(async () => {
  const file = writeTinyExperiment(folder, { ensembles: { methods: ["single"] } });
  await runJobs(readExperiment(file), ["harvest", "train"]);
  sae = await loadSae(ours);
  await writeAsSparsify(theirs, sae);
});

async function writeAsSparsify(to: string, { config, weights }: Sae): Promise<void> {
  const { d_in: d, d_sae: F } = config;
  await writeSafetensors(join(to, "sae.safetensors"), {
    "encoder.weight": { shape: [F, d], data: weights.W_enc },
    "encoder.bias": { shape: [F], data: weights.b_enc! },
    W_dec: { shape: [F, d], data: weights.W_dec },
    b_dec: { shape: [d], data: weights.b_dec },
  });
  await writeFile(join(to, "cfg.json"), JSON.stringify({ activation: "topk", k: config.k, num_latents: F, d_in: d }));
}

function request(name: string, change: Partial<ImportRequest>): ImportRequest {
  return { paths: [ours, theirs], folder: join(folder, name), options: { hook_name }, ...change };
}

test("a member of a boosting ensemble that is taken alone, and an SAE that is given twice, are said", async () => {
  const boosting = {
    method: "boosting",
    members: [sae, sae],
    weights: [1, 1],
    seeds: [1, 2],
    hook: hook_name,
  } as const;
  const whole = join(folder, "boosting");
  await saveEnsemble(whole, { ...boosting, provenance: {} });
  const cfg = JSON.parse(readFileSync(join(whole, "member_1", "cfg.json"), "utf8"));
  assert.deepEqual(cfg.metadata.ensemble_member, { method: "boosting", member: 1, members: 2 });
  const warningsOf = async (name: string, paths: string[]) =>
    (await importSaes({ paths, folder: join(folder, name) })).members.map(({ warnings }) => warnings.join());
  assert.deepEqual(await warningsOf("first", [join(whole, "member_0")]), [""]);
  const [lone] = await warningsOf("lone", [join(whole, "member_1")]);
  assert.match(lone!, /member 1 \(of 0 to 1\) of a boosting ensemble and reads what the members before it leave/);
  // Alone it is an ensemble of its own, and has no place in another any more.
  const again = JSON.parse(readFileSync(join(folder, "lone", "member_0", "cfg.json"), "utf8"));
  assert.equal(again.metadata.ensemble_member, undefined);
  const [one, other] = await warningsOf("twice", [ours, ours]);
  assert.equal(one, "");
  assert.match(other!, /it has the weights of member 0: the same SAE twice counts twice/);
});

test("a bag of two layouts is looked at, written, and evaluated and indexed like our own", async () => {
  const outcome = await importSaes(request("bag", { model, text }));
  assert.equal(outcome.method, "bagging");
  assert.deepEqual(
    outcome.members.map(({ layout }) => layout),
    ["SAELens", "sparsify, topk SAE"],
  );
  const [first, second] = outcome.members;
  assert.ok(Math.abs(first!.explained_variance! - second!.explained_variance!) < 1e-5);
  assert.ok(first!.explained_variance! > 0.02 && first!.explained_variance! < 1, `${first!.explained_variance}`);
  assert.equal(first!.l0, 4);
  assert.deepEqual(first!.warnings, []);
  const ensemble = await loadEnsemble(outcome.folder);
  assert.deepEqual(ensemble.weights, [0.5, 0.5]);
  assert.deepEqual(ensemble.members[1]!.weights, ensemble.members[0]!.weights);

  const experiment = readExperiment(outcome.experiment!);
  const before = await examineExperiment(experiment, 1);
  // It is one SAE in two layouts, and nothing else is amiss.
  const amiss = before.filter(({ state }) => state !== "ok").map(({ value }) => value);
  assert.equal(amiss.length, 1);
  assert.match(amiss[0]!, /it has the weights of member 0/);
  const said = (name: string) => before.find((finding) => finding.name === name)?.value;
  assert.match(said("SAEs")!, /^2 \(SAE Ensembles, topk\) of 96 features in all$/);
  assert.match(said("Time needed")!, /\(to run the model, with nothing to train\)/);
  // Nothing but held-out activations of width 32, two SAEs of 48 features, and codes kept and sorted.
  const { evaluation, index: indexed } = experiment.settings;
  const { disk, trainSeconds } = estimate(experiment, await modelSize(model), 1, [ensemble]);
  const codes = indexed.tokens * 2 * 4;
  assert.equal(disk, evaluation.test_tokens * 4 * 32 + 4 * 2 * 2 * 32 * 48 + 16 * codes);
  assert.equal(trainSeconds, 0);
  assert.equal(await runJobs(experiment, jobsOf(experiment)), "done");
  const run = experiment.paths.runFolder;
  const report = JSON.parse(readFileSync(join(run, "report.json"), "utf8"));
  assert.ok(JSON.stringify(report).includes("bagging"));
  assert.equal(existsSync(join(run, "activations", "train")), false, "nothing was harvested to train on");
  const { index } = await openRunIndex(run);
  assert.equal(index.info.features, 96);
  assert.ok(index.count({ alive: true }) > 0);
  index.close();
  const events = readFileSync(join(run, "events.jsonl"), "utf8");
  assert.match(events, /member 1 \(SAE Ensembles, .*member_1\): explained variance 0\.\d+, L0 4\.0/);
});

test("a run over imported SAEs that was stopped goes on from its folder alone", async () => {
  const { experiment } = await importSaes(request("stopped", { model, text }));
  const runFolder = join(folder, "stopped-run");
  assert.equal(await runJobs(readExperiment(experiment!, { runFolder }), ["harvest"]), "done");
  assert.equal(await runJobs(experimentOfRun(runFolder), ["train"]), "done");
  assert.equal((await loadEnsemble(join(runFolder, "ensembles", "bagging"))).members.length, 2);
});

test("an ensemble's folder keeps its method, and two of them are bagged", async () => {
  const again = await importSaes(request("again", { paths: [join(folder, "bag"), theirs], options: {} }));
  assert.equal(again.method, "bagging");
  assert.equal(again.members.length, 3);
  const boosted = await importSaes(request("boosted", { method: "boosting" }));
  assert.deepEqual((await loadEnsemble(boosted.folder)).weights, [1, 1]);
  const kept = await importSaes(request("kept", { paths: [boosted.folder] }));
  assert.equal(kept.method, "boosting");
});

test("a boosting ensemble's members are not taken apart, and are told where they are misread", async () => {
  const { folder: boosted } = await importSaes(request("boosted-whole", { method: "boosting" }));
  const refused: [Partial<ImportRequest>, RegExp][] = [
    [{ paths: [boosted, theirs] }, /boosted-whole, method: found a boosting ensemble of 2: each member encodes what/],
    [{ paths: [theirs, boosted], method: "boosting" }, /boosted-whole, method: found a boosting ensemble of 2/],
    [{ paths: [boosted], method: "bagging" }, /boosted-whole, method: found a boosting ensemble of 2/],
  ];
  for (const [change, message] of refused) {
    await assert.rejects(importSaes(request("apart", change)), (error: unknown) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(existsSync(join(folder, "apart")), false);
  const longer = await importSaes(request("longer", { paths: [boosted, theirs], method: "boosting" }));
  assert.deepEqual((await loadEnsemble(longer.folder)).weights, [1, 1, 1]);

  const { d_in: d, d_sae: F } = sae.config;
  const W_enc = sae.weights.W_enc.map((_, at, values) => values[(at % F) * d + Math.floor(at / F)]!);
  await saveSae(join(boosted, "member_1"), { ...sae, weights: { ...sae.weights, W_enc } });
  const [source] = await openSources([boosted]);
  assert.match(source!.members[1]!.warnings.join(), /W_enc seems to be stored the other way round/);
  assert.deepEqual(source!.members[0]!.warnings, []);
});

test("doctor says of imported SAEs what the run would refuse", async () => {
  const { experiment } = await importSaes(request("elsewhere", { model, text }));
  const change = (from: string, to: string) => readFileSync(experiment!, "utf8").replace(from, to);
  await writeFile(experiment!, change("blocks.1.", "blocks.0."));
  const findings = await examineExperiment(readExperiment(experiment!), null);
  const problems = findings.filter(({ state }) => state === "problem");
  assert.deepEqual(
    problems.map(({ name }) => name),
    ["SAEs"],
  );
  assert.match(problems[0]!.value, /hook.*blocks\.1\.hook_resid_post.*blocks\.0\.hook_resid_post/);
});

test("a lost threshold is caught by name on activations", async () => {
  const lost = join(folder, "lost");
  const { k: _, rescale_acts_by_decoder_norm: __, ...config } = sae.config;
  await saveSae(lost, { config: { ...config, architecture: "standard" }, weights: sae.weights });
  const { members } = await importSaes(request("with-lost", { paths: [lost], model, text }));
  assert.match(members[0]!.warnings.join("; "), /its threshold was probably lost/);
  const low = join(folder, "low-threshold");
  const threshold = new Float32Array(config.d_sae);
  await saveSae(low, { config: { ...config, architecture: "jumprelu" }, weights: { ...sae.weights, threshold } });
  const kept = await importSaes(request("with-low", { paths: [low], model, text }));
  assert.match(kept.members[0]!.warnings.join("; "), /features a token: the activations are probably of another scale/);
  assert.doesNotMatch(kept.members[0]!.warnings.join("; "), /lost/);
});

test("a matrix read the wrong way round is caught by name, without activations", async () => {
  const { d_in: d, d_sae: F } = sae.config;
  const { W_enc, W_dec } = sae.weights;
  const misread = (values: Float32Array) => values.map((_, at) => values[(at % F) * d + Math.floor(at / F)]!);
  const cases = { W_enc: { W_enc: misread(W_enc) }, W_dec: { W_dec: misread(W_dec) } };
  for (const [name, change] of Object.entries(cases)) {
    const wrong = join(folder, `misread-${name}`);
    await saveSae(wrong, { ...sae, weights: { ...sae.weights, ...change } });
    const { warnings } = await openSae(wrong);
    assert.match(warnings.join("; "), new RegExp(`${name} seems to be stored the other way round`));
  }
  assert.deepEqual((await openSae(ours)).warnings, []);
});

test("SAEs of two hooks are refused by name, whatever a person says; of two models they are taken with a warning", async () => {
  const at = async (name: string, metadata: Partial<Sae["config"]["metadata"]>) => {
    const config = { ...sae.config, metadata: { ...sae.config.metadata, ...metadata } };
    await saveSae(join(folder, name), { ...sae, config });
    return join(folder, name);
  };
  const low = await at("low", { hook_name: "blocks.0.hook_resid_post", model_name: "owner/Llama" });
  const high = await at("high", { hook_name, model_name: "llama" });
  const foreign = await at("foreign", { hook_name, model_name: "gpt2" });
  for (const options of [{}, { hook_name }, { hook_name: "blocks.0.hook_resid_post" }]) {
    await assert.rejects(
      importSaes(request("two-hooks", { paths: [high, low], options })),
      /(low|high).*hook_name: found blocks\.[01]\.hook_resid_post, expected blocks\.[01]\.hook_resid_post, as (of|asked)/,
    );
  }
  const mixed = await openSources([high, low]);
  assert.throws(() => sharedHook(mixed), /low.*hook_name: found blocks\.0\..*expected blocks\.1\..*high/);
  // theirs names none.
  assert.equal(sharedHook(await openSources([theirs, high])), hook_name);
  assert.equal(sharedHook(await openSources([theirs])), undefined);
  assert.equal(existsSync(join(folder, "two-hooks")), false);

  const { members } = await importSaes(request("two-models", { paths: [high, foreign], options: {} }));
  assert.deepEqual(members[0]!.warnings, []);
  assert.match(members[1]!.warnings.join("; "), /^it was trained on gpt2, not on llama/);
  const alike = (await openSources([high, low])).flatMap((source) =>
    source.members.flatMap(({ warnings }) => warnings),
  );
  assert.doesNotMatch(alike.join(), /trained on/, "an owner before the name is no other model");
});

test("what doesn't fit together is refused, and nothing is written", async () => {
  const listing = readdirSync(folder);
  const saes = (...path: string[]) => golden("saes", ...path);
  const stranger = saes("openai", "topk");
  const narrow = saes("dictionary_learning", "wrappings", "plain.pt");
  const cases: [Partial<ImportRequest>, RegExp][] = [
    [{ paths: [ours, narrow] }, /d_in: found 8, expected 32/],
    [
      { paths: [ours, saes("dictionary_learning", "AutoEncoder")], options: {} },
      /hook_name: found blocks\.4\.hook_resid_post, expected blocks\.1/,
    ],
    [{ paths: [stranger], options: {} }, /hook_name: found nothing.*--hook/],
    [{ paths: [saes("sparsify", "topk_transcode")] }, /architecture: found a transcoder/],
    [{ paths: [saes("sparsify", "groupmax")] }, /architecture: found a groupmax SAE/],
    [{ method: "single" }, /method: found single, with 2 SAEs/],
    [{ paths: [narrow], model, text }, /d_in: found SAEs of 8, expected the width of .*, 32/],
    [{ model, text, options: { hook_name: "blocks.9.hook_resid_post" } }, /hook_name/],
    [{ paths: [join(folder, "nowhere")] }, /no such file or folder/],
    [{ folder }, /a folder with something else in it/],
    [{ folder: text }, /text\.txt: found a file, expected a name that is free \(--to\)/],
  ];
  for (const [change, message] of cases) {
    await assert.rejects(importSaes(request("refused", change)), (error: unknown) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  assert.deepEqual(readdirSync(folder), listing);
});
