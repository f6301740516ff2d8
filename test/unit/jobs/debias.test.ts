// Debiasing and concept detection of a real tiny run, in this process and from the command line: reports, what is kept, and what is refused by name.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { debiasTables } from "../../../bench/debiasRealTextTables.ts";
import { cellsOf } from "../../../src/data/fourCells.ts";
import { Annotations } from "../../../src/features/annotations.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readSafetensors, tensorData } from "../../../src/formats/safetensors.ts";
import { concepts, readConceptTexts } from "../../../src/jobs/concepts.ts";
import { checkConcepts } from "../../../src/jobs/conceptsJob.ts";
import { type DebiasJobOptions, debias } from "../../../src/jobs/debias.ts";
import { drawDebiasSets, readDebiasData } from "../../../src/jobs/debiasData.ts";
import { checkDebias } from "../../../src/jobs/debiasJob.ts";
import { writeDebiasReport } from "../../../src/jobs/debiasReport.ts";
import { openEngine } from "../../../src/jobs/device.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { pooledTexts } from "../../../src/jobs/pooledTexts.ts";
import { textsAtTheContext } from "../../../src/jobs/probeRun.ts";
import { openExperimentModel } from "../../../src/jobs/resources.ts";
import { jobsOf, runJobs } from "../../../src/jobs/runJobs.ts";
import type { LanguageModel, TokenBatch } from "../../../src/model/languageModel.ts";
import { cellScores } from "../../../src/probing/cells.ts";
import { classTasks } from "../../../src/probing/classTasks.ts";
import { fullWidthProbeSettings } from "../../../src/probing/conceptDetection.ts";
import { trainDebiasProbes } from "../../../src/probing/debias.ts";
import { codesTable } from "../../../src/probing/featureTable.ts";
import { codesOfZero } from "../../../src/probing/pool.ts";
import { loadPooled } from "../../../src/probing/pooledFile.ts";
import type { Probe } from "../../../src/probing/probe.ts";
import { testSelectedPlan } from "../../../src/probing/probePlan.ts";
import { trainProbe } from "../../../src/probing/trainProbe.ts";
import type { RunEvent } from "../../../src/protocol/runEvents.ts";
import { loadEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { temporaryFolder } from "../fixtures.ts";
import { biographies } from "./biographies.ts";
import { runCommand, writeTinyExperiment } from "./tinyExperiment.ts";

const folder = temporaryFolder();
const data = join(folder, "bios.jsonl");
let run = "";

const options: DebiasJobOptions = {
  trainFile: data,
  columns: { text: "text", label: "job", attribute: "gender" },
  seeds: [0, 1],
  n_values: [2, 5],
  shift_n: 4,
  command: "test",
};

before(async () => {
  const experiment = readExperiment(writeTinyExperiment(folder, { training_tokens: 2560 }));
  await runJobs(experiment, ["harvest", "train"]);
  run = experiment.paths.runFolder;
  writeFileSync(data, `${biographies(60, 60)}${JSON.stringify({ text: " ", job: "king", gender: "m" })}\n`);
});

/** The interpreter named by SAE_ENSEMBLES_PYTHON, or python3; null where it has no numpy. */
function pythonWithNumpy(): string | null {
  const python = process.env["SAE_ENSEMBLES_PYTHON"] ?? "python3";
  return spawnSync(python, ["-c", "import numpy"]).status === 0 ? python : null;
}

const pooledFiles = (name: string): string[] => readdirSync(join(run, "ensembles", name, "pooled"));

test("every ensemble, both directions, every seed; the second time from what is kept", async () => {
  const report = await debias(run, join(folder, "first"), options);
  assert.deepEqual(
    report.ensembles.map(({ name }) => name),
    ["single", "bagging", "boosting", "expanded"],
  );
  assert.deepEqual(
    report.ensembles.map(({ features }) => features),
    [48, 96, 96, 96],
  );
  assert.equal(report.data["empty"], 1);
  for (const [at, { cell_names, counts, per_cell }] of report.directions.entries()) {
    assert.deepEqual(counts, { train: [60, 60, 60, 60], test: null });
    assert.deepEqual(per_cell, { train: 21, test: 9 });
    assert.equal(cell_names[0], at === 0 ? "king · f" : "king · m");
    assert.match(report.directions[at]!.warnings.join(), /only 21 texts a cell for training/);
  }
  for (const { runs } of report.ensembles)
    for (const own of runs)
      for (const one of own) {
        assert.deepEqual(
          one.scr.points.map(({ n }) => n),
          [2, 5],
        );
        assert.equal(one.shift_suggested.flags.length, 4);
        assert.equal(one.shift_flagged, null);
        assert.deepEqual(one.scr.base, report.baselines[runs.indexOf(own)]![own.indexOf(one)]!.base);
      }
  const markdown = readFileSync(join(folder, "first.md"), "utf8");
  assert.ok(markdown.includes("nurse · m 60 (30% of them held out with each seed to test on)."));
  for (const expected of ["oracle", "… and retrained", "4 random features", "SCR, direction 2", "Seeds 0, 1"])
    assert.ok(markdown.includes(expected), expected);
  for (const figure of ["groups-1", "scr-1", "groups-2", "scr-2"]) {
    assert.ok(markdown.includes(`](first-${figure}.svg)`), figure);
    const svg = readFileSync(join(folder, `first-${figure}.svg`), "utf8");
    assert.match(svg, /^<svg [\s\S]*boosting[\s\S]*<\/svg>\n$/);
    assert.doesNotMatch(svg, /NaN|undefined/);
  }
  const json = JSON.parse(readFileSync(join(folder, "first.json"), "utf8"));
  assert.equal(json.command, "test");
  assert.equal(json.data.train, data);
  assert.deepEqual(json.seeds, [0, 1]);
  assert.ok(json.versions["sae-ensembles"] && json.versions.node);
  const kept = ["single", "boosting"].map((name) => {
    assert.equal(pooledFiles(name).length, 1);
    return statSync(join(run, "ensembles", name, "pooled", pooledFiles(name)[0]!)).mtimeMs;
  });
  const again = await debias(run, join(folder, "second"), options);
  assert.deepEqual(
    again.ensembles.map(({ runs }) => runs),
    report.ensembles.map(({ runs }) => runs),
  );
  for (const [at, name] of ["single", "boosting"].entries())
    assert.equal(statSync(join(run, "ensembles", name, "pooled", pooledFiles(name)[0]!)).mtimeMs, kept[at]);
  const [first, second] = ["first", "second"].map((name) => readFileSync(join(folder, `${name}.json`), "utf8"));
  assert.equal(second!.replace(again.date, report.date), first);
});

test("curves of ensembles of different widths share one axis; what was asked for beyond a width is said", async () => {
  const report = await debias(run, join(folder, "widths"), {
    ...options,
    ensembles: ["single", "bagging"],
    n_values: [80, 5, 5000],
  });
  const markdown = readFileSync(join(folder, "widths.md"), "utf8");
  for (const title of ["direction 1 \\(label\\)", "direction 2 \\(attribute\\)"])
    assert.match(markdown, new RegExp(`\\| SCR, ${title} \\| n = 5 \\| n = 80 \\|\n\\|---\\|---\\|---\\|`));
  assert.match(markdown, /\| single \| -?\d\.\d+ ± \d\.\d+ \| – \|/);
  assert.match(markdown, /\| bagging \| -?\d\.\d+ ± \d\.\d+ \| -?\d\.\d+ ± \d\.\d+ \|/);
  assert.match(
    markdown,
    /left out, being more than there are features: n = 80, 5000 for single \(48\); n = 5000 for bagging \(96\)\./,
  );
  const svg = readFileSync(join(folder, "widths-scr-1.svg"), "utf8");
  assert.match(svg, />5<\/text>[\s\S]*>80<\/text>/);
  assert.doesNotMatch(svg, />5000<|NaN/);
  const [direction] = JSON.parse(readFileSync(join(folder, "widths.json"), "utf8")).directions;
  assert.deepEqual(
    direction.ensembles.map(({ scr }: { scr: { left_out: number[] } }) => scr.left_out),
    [[80, 5000], [5000]],
  );
  const table = debiasTables("Widths", [{ group: "A", report: { ...report, shift_n: 5 } }]);
  assert.match(table, /\| SCR of the label \| n = 5 \| n = 80 \|/);
  assert.match(table, /\| single \| -?\d\.\d+ ± \d\.\d+ \| – \|/);
  assert.match(table, /\| bagging less single, paired \| .* \(\d of 2\) \| – \|/);
});

test("the report names the headline's direction, and a tie", async () => {
  const report = await debias(run, join(folder, "headline"), { ...options, ensembles: ["single"], seeds: [0, 1, 2] });
  const [own] = report.ensembles;
  const as = (at: number, headline: "dir1" | "dir2" | null) => {
    const result = own!.runs[0]![at]!;
    return { ...result, scr: { ...result.scr, headline } };
  };
  const told = {
    ...report,
    ensembles: [{ ...own!, runs: [[as(0, "dir1"), as(1, null), as(2, "dir1")], own!.runs[1]!] }],
  };
  await writeDebiasReport(told, join(folder, "headline"));
  assert.match(
    readFileSync(join(folder, "headline.md"), "utf8"),
    /Headline, the direction of the lower A_biased: direction 1 with seeds 0, 2; tie with seed 1\./,
  );
});

test("a person's flags are scored; flags that aren't features are refused", async () => {
  const flagged = { ...options, ensembles: ["bagging"], flags: ["0/3", "1/47"] };
  const report = await debias(run, join(folder, "flagged"), flagged);
  for (const one of report.ensembles[0]!.runs.flat()) {
    assert.deepEqual(one.shift_flagged!.flags, [3, 95]);
    // The controls are as many: of the two flags, and of the four suggestions.
    assert.equal(one.shift_flagged_random!.flags.length, 2);
    assert.equal(one.shift_random.flags.length, 4);
  }
  const markdown = readFileSync(join(folder, "flagged.md"), "utf8");
  assert.match(markdown, /2 flagged features ablated.*\n.*retrained.*\n\| bagging: 2 random features ablated/);
  await assert.rejects(
    debias(run, join(folder, "none"), { ...flagged, flags: ["2/0"] }),
    /--flags: found "2\/0", expected member\/index from 0\/0 to \d+\/\d+, and so/,
  );
});

test("without a word about flags, those of annotations.json count, each ensemble's own", async () => {
  const file = join(run, "ensembles", "boosting", "annotations.json");
  const annotations = await Annotations.open(file);
  annotations.edit([
    { feature: "1/7", flagged: true },
    { feature: "0/2", flagged: true, label: "he" },
    { feature: "0/5", label: "she" },
  ]);
  await annotations.save();
  const { ensembles } = await debias(run, join(folder, "kept-flags"), {
    ...options,
    ensembles: ["single", "boosting"],
  });
  assert.deepEqual(
    ensembles.map(({ flags }) => flags),
    [[], ["0/2", "1/7"]],
  );
  assert.equal(ensembles[0]!.runs[0]![0]!.shift_flagged, null);
  const scored = ensembles[1]!.runs[0]![0]!.shift_flagged!;
  assert.deepEqual(scored.flags, [2, 55]);
  const named = await debias(run, join(folder, "named-flags"), {
    ...options,
    ensembles: ["boosting"],
    flags: ["1/7", "0/2"],
  });
  assert.deepEqual(named.ensembles[0]!.runs[0]![0]!.shift_flagged, scored);
  assert.equal(named.ensembles[0]!.flags_file, ensembles[1]!.flags_file, "the same features, wherever they are named");
  const markdown = readFileSync(join(folder, "kept-flags.md"), "utf8");
  assert.match(markdown, /Flagged features of boosting \(.*annotations\.json\): 0\/2, 1\/7\./);
  // Of other weights and other texts it would say something else.
  const { date, files } = named;
  assert.match(date, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(Object.keys(files), [data, join(run, "ensembles", "boosting")]);
  assert.match(files[data]!, /^\d+ bytes \(SHA-256 [0-9a-f]{16}\)$/);
  assert.match(files[join(run, "ensembles", "boosting")]!, /^2 members \(sample [0-9a-f]{12}\)$/);
  const text = readFileSync(join(folder, "named-flags.md"), "utf8");
  assert.ok(text.includes(`Computed: ${date}  \nFrom: ${data}, ${files[data]}; `));
  assert.match(markdown, /boosting: 2 flagged features ablated/);
});

test("the debiased probe that is taken away gives what the job showed, in TypeScript and in Python", async (context) => {
  const probes = join(folder, "probes");
  const report = await debias(run, join(folder, "taken"), {
    ...options,
    ensembles: ["bagging"],
    seeds: [1, 0],
    flags: ["0/3", "1/47", "0/11"],
    probeFolder: probes,
  });
  const away = join(probes, "bagging");
  const description = JSON.parse(readFileSync(join(away, "probe.json"), "utf8"));
  const [shown, other] = report.ensembles[0]!.runs[0]!.map(({ shift_flagged }) => shift_flagged!.retrained);
  assert.ok(shown && other);
  assert.equal(description.scores.accuracy, shown.accuracy);
  assert.equal(description.scores.worst_group, shown.worst_group);
  assert.deepEqual(description.ablated_features, ["0/3", "0/11", "1/47"]);
  assert.equal(description.scores.cells.y1a1.name, "king · f");
  assert.deepEqual(
    [description.seed, description.command, description.hook_name],
    [1, "test", "blocks.1.hook_resid_post"],
  );
  // One seed's own scores, and beside them what the report shows.
  assert.match(description.scores_are, /^those of this probe, of seed 1, .* show means over seeds 1, 0$/);
  assert.deepEqual(description.over_seeds.seeds, [1, 0]);
  assert.deepEqual(description.over_seeds.accuracy.values, [shown.accuracy, other.accuracy]);
  assert.equal(description.over_seeds.worst_group.mean, (shown.worst_group + other.worst_group) / 2);
  assert.match(
    readFileSync(join(folder, "taken.md"), "utf8"),
    new RegExp(
      `that of seed 1, with ${shown.accuracy.toFixed(3)} right and ${shown.worst_group.toFixed(3)} in its worst`,
    ),
  );
  const { logit, readDebiasedProbe } = (await import(
    pathToFileURL(join(away, "debiasedProbe.ts")).href
  )) as typeof import("../../../media/probe/debiasedProbe.ts");
  const probe = readDebiasedProbe(join(away, "probe.safetensors"));
  const file = await readSafetensors(join(away, "probe.safetensors"));
  const pooledFile = await readSafetensors(description.pooled_texts);
  const pooled = (await loadPooled(description.pooled_texts, pooledFile.metadata["made_from"]!))!;
  const rows = (await tensorData(file, "test.rows")) as Uint32Array;
  const [labels, attributes] = [await tensorData(file, "test.labels"), await tensorData(file, "test.attributes")];
  const dense = codesTable(pooled.codes).columns(rows, probe.features);
  const { d, values } = pooled.activations;
  const found = Float64Array.from(rows, (row, t) =>
    logit(probe, values.subarray(row * d, (row + 1) * d), dense.values.subarray(t * dense.d, (t + 1) * dense.d)),
  );
  const target = labels as Uint8Array;
  assert.deepEqual(cellScores(found, target, target, attributes as Uint8Array), shown);
  await assert.rejects(
    debias(run, join(folder, "none"), { ...options, ensembles: ["bagging"], probeFolder: probes }),
    /no flagged feature, so no debiased probe/,
  );
  assert.equal(existsSync(join(folder, "none.json")), false);
  const python = pythonWithNumpy();
  if (python === null) {
    console.error("SKIPPED: the Python half of the debiased probe; there is no python3 with numpy");
    context.diagnostic("the Python half was skipped: there is no python3 with numpy");
    return;
  }
  const { stdout, stderr } = spawnSync(
    python,
    [join(away, "debiased_probe.py"), join(away, "probe.safetensors"), description.pooled_texts],
    { encoding: "utf8" },
  );
  assert.notEqual(stdout, "", stderr);
  const inPython = JSON.parse(stdout);
  assert.deepEqual(inPython.cells, shown.cells);
  assert.equal(inPython.accuracy, shown.accuracy);
  assert.equal(inPython.worst_group, shown.worst_group);
});

/** Of texts as they were pooled for the single SAE: codes one by one, and accuracies after an ablation by SAEBench's formula in plain loops. */
async function byHand(file: string) {
  const ensemble = await loadEnsemble(join(run, "ensembles", "single"));
  const engine = await openEngine(readExperiment(join(folder, "tiny.sae.jsonc")).settings);
  const encoder = await engine.createEncoder(ensemble);
  const pooled = (await loadPooled(file, (await readSafetensors(file)).metadata["made_from"]!))!;
  const { d, values } = pooled.activations;
  const ofZero = await codesOfZero(encoder, d, 48);
  await encoder.close();
  await engine.close();
  const { W_dec } = ensemble.members[0]!.weights;
  const code = (text: number, feature: number): number => {
    for (let at = pooled.codes.offsets[text]!; at < pooled.codes.offsets[text + 1]!; at++)
      if (pooled.codes.indices[at] === feature) return pooled.codes.values[at]!;
    return 0;
  };
  const right = (
    { rows, labels }: { rows: Uint32Array; labels: Uint8Array },
    features: Iterable<number>,
    { w, b }: Probe,
  ): number =>
    Array.from(rows).filter((row, t) => {
      const n = pooled.tokens[row]!;
      const x = values.slice(row * d, (row + 1) * d);
      for (const i of features)
        for (let j = 0; j < d; j++) x[j]! -= (code(row, i) + ((128 - n) / n) * ofZero[i]!) * W_dec[i * d + j]!;
      return x.reduce((sum, value, j) => sum + value * w[j]!, b) > 0 === (labels[t] === 1);
    }).length / rows.length;
  return { activations: pooled.activations, code, right, W_dec };
}

test("saebench_compatible: probes and every ablation by SAEBench's formula, worked out here from the pooled texts", async () => {
  const chosen = { ...options, ensembles: ["single"], seeds: [0], saebenchCompatible: true, flags: ["0/7", "0/20"] };
  const report = await debias(run, join(folder, "saebench"), chosen);
  const hand = await byHand(join(run, "ensembles", "single", "pooled", pooledFiles("single")[0]!));
  const texts = await readDebiasData(chosen);
  const cells = cellsOf(
    texts.texts.map(({ text }) => text),
    texts.pairs,
  );
  const sets = drawDebiasSets(texts, texts.pairs, cells, 0, chosen);
  const probes = trainDebiasProbes(hand.activations, sets, true);
  // All rows are learnt from, and the epoch is the first that is best on the probe's own, biased test rows.
  assert.deepEqual(probes.biasedPlan.train.rows, sets.biased.train.rows);
  assert.deepEqual(probes.biasedPlan.selection.rows, sets.biased.test.rows);
  assert.equal(probes.biased.epoch, probes.biased.accuracies.indexOf(Math.max(...probes.biased.accuracies)));
  const right = (features: Iterable<number>, probe: Probe): number => hand.right(sets.balanced.test, features, probe);
  const found = report.ensembles[0]!.runs[0]![0]!;
  const biased = probes.biased.probe;
  const room = right([], probes.desired.probe) - right([], biased);
  for (const { n, features, A_ablated_dir1, dir1 } of found.scr.points) {
    assert.equal(features.length, n);
    assert.equal(A_ablated_dir1, right(features, biased));
    assert.ok(Math.abs(dir1 - (room < 0.001 ? 0 : (right(features, biased) - right([], biased)) / room)) < 1e-9);
  }
  for (const shift of [found.shift_suggested, found.shift_random, found.shift_flagged!, found.shift_flagged_random!]) {
    assert.equal(shift.ablated.accuracy, right(shift.flags, biased));
    assert.equal(shift.retrained.accuracy, right(shift.flags, shift.retrained_probe));
  }
  const json = JSON.parse(readFileSync(join(folder, "saebench.json"), "utf8"));
  assert.match(json.saebench_compatible.as_saebench.join(), /padding to 128 zero vectors.*random control, SHIFT/);
  assert.match(json.saebench_compatible.not_saebench.join(), /no part of SAEBench/);
  assert.match(readFileSync(join(folder, "saebench.md"), "utf8"), /Not SAEBench's:\n\n- texts, their draws/);
});

test("pooling: BOS in front and out of the mean, long texts cut to the context", async () => {
  const experiment = readExperiment(join(folder, "tiny.sae.jsonc"));
  const model = await openExperimentModel(experiment, () => {});
  const engine = await openEngine(experiment.settings);
  const ensemble = await loadEnsemble(join(run, "ensembles", "single"));
  const request = {
    ensembles: [{ folder: join(folder, "elsewhere"), ensemble }],
    hookName: experiment.settings.hook_name,
    contextSize: 32,
    prependBos: true,
    modelPath: experiment.paths.model,
    model: async () => model,
    engine: async () => engine,
  };
  const texts = ["the old king", "river ".repeat(100)];
  const { pooled, kept } = await pooledTexts({ ...request, texts });
  assert.equal(kept, 0);
  assert.equal((await pooledTexts({ ...request, texts })).kept, 1);
  assert.equal((await pooledTexts({ ...request, texts, contextSize: 16 })).kept, 0, "made from something else");
  assert.equal(pooled[0]!.tokens[1], 31);
  assert.equal(textsAtTheContext(pooled[0]!.tokens, experiment.settings), 1, "the long one is said to be cut");
  const ids = [model.tokenizer.bosId!, ...model.tokenizer.encode(texts[0]!).map(({ id }) => id)];
  const batch = { rows: 1, length: ids.length, ids: Int32Array.from(ids), lengths: Int32Array.of(ids.length) };
  const values = await model.capture(batch, request.hookName);
  const d = model.info.dModel;
  for (let j = 0; j < d; j++) {
    let mean = 0;
    for (let t = 1; t < ids.length; t++) mean += values[t * d + j]! / (ids.length - 1);
    assert.ok(Math.abs(pooled[0]!.activations.values[j]! - mean) < 1e-5);
  }
  const none = await pooledTexts({ ...request, texts: ["</s>", "a", ""] });
  assert.deepEqual(
    Array.from(none.pooled[0]!.tokens, (n) => n > 0),
    [false, true, false],
  );
  await model.close();
  await engine.close();
});

test("pooling that is stopped goes on from the parts that it kept, to the same bits", async () => {
  const experiment = readExperiment(join(folder, "tiny.sae.jsonc"));
  const model = await openExperimentModel(experiment, () => {});
  const engine = await openEngine(experiment.settings);
  const ensembles = await Promise.all(
    ["single", "boosting"].map(async (name) => ({
      folder: join(folder, "stopped", name),
      ensemble: await loadEnsemble(join(run, "ensembles", name)),
    })),
  );
  let captured = 0;
  const counting = {
    info: model.info,
    tokenizer: model.tokenizer,
    capture: (batch: TokenBatch, hook: string) => {
      captured += batch.rows;
      return model.capture(batch, hook);
    },
  } as LanguageModel;
  const request = {
    ensembles,
    texts: Array.from({ length: 300 }, (_, at) => `river ${at}`),
    hookName: experiment.settings.hook_name,
    contextSize: 32,
    prependBos: true,
    modelPath: experiment.paths.model,
    model: async () => counting,
    engine: async () => engine,
  };
  const stop = new AbortController();
  const onProgress = (done: number) => done > 256 && stop.abort();
  await assert.rejects(pooledTexts({ ...request, signal: stop.signal, onProgress }), { name: "AbortError" });
  assert.ok(captured < 300);
  captured = 0;
  const { pooled, files } = await pooledTexts(request);
  assert.equal(captured, 300 - 256);
  for (const path of files) assert.deepEqual(readdirSync(dirname(path)), [basename(path)], "the parts are gone");
  const elsewhere = ensembles.map((one) => ({ ...one, folder: `${one.folder}-whole` }));
  const whole = await pooledTexts({ ...request, ensembles: elsewhere });
  assert.deepEqual(pooled, whole.pooled);
  await model.close();
  await engine.close();
});

test("fewer texts asked for than there are: the report has the file's counts, and one seed has no deviation", async () => {
  const own = { ...options, ensembles: ["single"], seeds: [0], perCell: { train: 10, test: 5 } };
  const { directions } = await debias(run, join(folder, "thinned"), own);
  for (const { counts, per_cell, warnings } of directions) {
    assert.deepEqual(counts, { train: [60, 60, 60, 60], test: null });
    assert.deepEqual(per_cell, { train: 10, test: 5 });
    assert.match(warnings.join(), /only 10 texts a cell for training, as asked for/);
  }
  const markdown = readFileSync(join(folder, "thinned.md"), "utf8");
  assert.match(markdown, /\. Seed 0\. Left out: 1 empty text\./);
  assert.match(markdown, /\n\| mean difference projected out \| \d/);
  const [{ baselines }] = JSON.parse(readFileSync(join(folder, "thinned.json"), "utf8")).directions;
  assert.equal(typeof baselines.scr_mean_difference.mean, "number");
});

test("a text of special tokens only has no mean: it is left out and counted with the empty ones", async () => {
  const file = join(folder, "special.jsonl");
  const lines = biographies(40, 20) + JSON.stringify({ text: "</s>", job: "king", gender: "m" });
  writeFileSync(file, lines);
  const own = { ...options, trainFile: file, ensembles: ["single"], seeds: [0] };
  const report = await debias(run, join(folder, "special"), own);
  assert.deepEqual([report.data.empty, report.data.texts], [1, 160]);
  for (const { counts } of report.directions) assert.deepEqual(counts, { train: [40, 40, 40, 40], test: null });
  const found = await concepts(run, join(folder, "special-concepts"), {
    trainFile: file,
    columns: { text: "text", label: "job" },
    ensembles: ["single"],
    perClass: { train: 400, test: 200 },
    seeds: [0],
    command: "test",
  });
  assert.deepEqual([found.data.empty, found.data.texts], [1, 160]);
  assert.equal(
    found.texts.reduce((sum, { train, test: held }) => sum + train + held, 0),
    160,
  );
});

test("SAEBench's length is asked of the tokenizer before anything is computed, where the context allows more", async () => {
  const experiment = readExperiment(join(folder, "tiny.sae.jsonc"));
  const model = await openExperimentModel(experiment, () => {});
  const labelled = { dataset_path: data, saebench_compatible: true };
  const sections = readExperiment(
    writeTinyExperiment(mkdtempSync(join(folder, "long-")), {
      context_size: 64,
      debias: { ...labelled, label_column: "job" },
      concepts: { ...labelled, label_column: "gender" },
    }),
  );
  const wide = { ...sections, settings: { ...sections.settings, context_size: 200 } };
  for (const check of [checkDebias, checkConcepts]) {
    await assert.rejects(
      check(wide, async () => model),
      (error: Error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, /bios\.jsonl, line \d+: found a text of 1\d\d tokens, expected at most 128 with/);
        return true;
      },
    );
    await check(sections, async () => assert.fail("no text is longer than 64 tokens here"));
  }
  await model.close();
});

test("too little is refused by name, and nothing is written", async () => {
  const write = (name: string, lines: object[]): string => {
    const path = join(folder, name);
    writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
    return path;
  };
  const row = (at: number, job: string, gender: string) => ({ text: `text ${at}`, job, gender });
  const cases: [object[], RegExp][] = [
    [[row(1, "king", "m"), row(2, "king", "f")], /column job: found one value only: king/],
    [[row(1, "king", "m"), row(2, "nurse", "f"), row(3, "nurse", "x")], /column gender: found 3 values: f, m, x/],
    [[row(1, "king", "m"), row(2, "nurse", "f")], /too few texts for training: king · f 0, king · m 1/],
  ];
  for (const [lines, message] of cases)
    await assert.rejects(
      debias(run, join(folder, "refused"), { ...options, trainFile: write("few.jsonl", lines) }),
      (error: Error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, message);
        return true;
      },
    );
  await assert.rejects(
    debias(run, join(folder, "refused"), { ...options, ensembles: ["bagging-7"] }),
    /no trained ensemble "bagging-7", expected one of single, bagging/,
  );
  assert.ok(!readdirSync(folder).some((name) => name.startsWith("refused")));
});

test("a section that names an ensemble that is not trained, or a probe with SAEBench's padding, is refused before anything is done", async () => {
  const labelled = { dataset_path: data, seeds: [0] };
  const columns = { ...labelled, label_column: "job" };
  const cases: [object, RegExp][] = [
    [
      { debias: { ...columns, ensembles: ["bagging", "boosting-3"] } },
      /debias\.ensembles\.1: found "boosting-3", expected an ensemble that is trained: bagging$/,
    ],
    [{ concepts: { ...columns, ensembles: ["single"] } }, /concepts\.ensembles\.0: found "single"/],
    [
      { debias: { ...columns, probe: "out", saebench_compatible: true } },
      /debias\.probe: found a debiased probe to save with saebench_compatible/,
    ],
    [{ debias: { ...columns, probe: "out" } }, /found no flagged feature, so no debiased probe/],
  ];
  for (const [at, [sections, message]] of cases.entries()) {
    const own = join(folder, `wrong-${at}`);
    mkdirSync(own);
    const file = writeTinyExperiment(own, { ensembles: { methods: ["bagging"], n_members: 2 }, ...sections });
    const experiment = readExperiment(file);
    await assert.rejects(runJobs(experiment, jobsOf(experiment)), (error: Error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, message);
      return true;
    });
    assert.equal(existsSync(experiment.paths.runFolder), false);
  }
  const few = writeTinyExperiment(join(folder, "wrong-0"), { debias: { ...columns, per_cell: 9 } });
  assert.throws(() => readExperiment(few), /debias\.per_cell: .*10/);
});

test("data whose label no attribute can stand in for: the report says that there is no room", async () => {
  const plain = join(folder, "plain.jsonl");
  const lines = Array.from({ length: 240 }, (_, at) => {
    const job = at % 2 === 0 ? "king" : "nurse";
    return JSON.stringify({
      text: `${job} ${job} ${job} ${at}`,
      job,
      gender: at & 2 ? "f" : "m",
    });
  });
  writeFileSync(plain, lines.join("\n"));
  const report = await debias(run, join(folder, "unbiased"), { ...options, trainFile: plain, ensembles: ["single"] });
  assert.equal(report.ensembles[0]!.runs[0]![0]!.scr.dir1.hasRoom, false);
  assert.ok(report.ensembles[0]!.runs[0]![0]!.scr.points.every(({ dir1 }) => dir1 === 0));
  assert.match(
    readFileSync(join(folder, "unbiased.md"), "utf8"),
    /\*\*Note:\*\* there is no room \(A_clean − A_biased < 0\.001\)/,
  );
});

test("concepts: each class by 1, 2 and 5 features beside raw activations", async () => {
  const half = readFileSync(data, "utf8").trim().split("\n").slice(0, 240);
  writeFileSync(join(folder, "a.jsonl"), half.filter((_, at) => at % 3 !== 0).join("\n"));
  writeFileSync(join(folder, "b.jsonl"), half.filter((_, at) => at % 3 === 0).join("\n"));
  const report = await concepts(run, join(folder, "concepts"), {
    trainFile: join(folder, "a.jsonl"),
    testFile: join(folder, "b.jsonl"),
    columns: { text: "text", label: "gender" },
    perClass: { train: 60, test: 30 },
    tpp_n: [1, 20],
    seeds: [1, 2],
    command: "test",
  });
  assert.deepEqual(report.classes, ["f", "m"]);
  assert.deepEqual(report.texts, [
    { train: 60, test: 30, tested: 30 },
    { train: 60, test: 30, tested: 30 },
  ]);
  assert.deepEqual(
    report.detections.map(({ name }) => name),
    ["raw activations", "single", "bagging", "boosting", "expanded"],
  );
  for (const { accuracy, features } of report.detections) {
    assert.deepEqual(
      accuracy.map(({ k }) => k),
      [1, 2, 5, null],
    );
    assert.deepEqual(
      features.map(({ classes }) => classes[0]!.length),
      [1, 2, 5],
    );
    // Two classes differ by the same features, one in the one direction and one in the other.
    const { fires_more } = features[2]!;
    assert.deepEqual(
      fires_more[0],
      fires_more[1]!.map((more) => !more),
    );
    assert.ok(accuracy[3]!.mean.mean > 0.75, "half of the words say it");
  }
  assert.deepEqual(report.detections[0]!.tpp, [], "raw activations have no features to take out");
  for (const { tpp } of report.detections.slice(1)) {
    assert.deepEqual(
      tpp.map(({ n, total }) => [n, total.values.length]),
      [
        [1, 2],
        [20, 2],
      ],
    );
    // With two classes the one's features are the other's too: what hurts one hurts both.
    for (const { total } of tpp) assert.ok(Math.abs(total.mean) < 0.5);
  }
  assert.match(readFileSync(join(folder, "concepts.md"), "utf8"), /\| TPP \| n = 1 \| n = 20 \|/);
  assert.match(readFileSync(join(folder, "concepts.md"), "utf8"), /\| f \(60 \+ 30; 30 \+ 30\) \|/);
  assert.match(readFileSync(join(folder, "concepts.md"), "utf8"), /- f: [▲▼] \d+\/\d+(, [▲▼] \d+\/\d+){4}\n/);
  assert.match(readFileSync(join(folder, "concepts.md"), "utf8"), /\| k = 1 \| k = 2 \| k = 5 \| all features \|/);
});

test("concepts, saebench_compatible: an AdamW probe over all features, TPP padded; what is not SAEBench's is said", async () => {
  const wanted = {
    trainFile: join(folder, "a.jsonl"),
    testFile: join(folder, "b.jsonl"),
    columns: { text: "text", label: "gender" },
    ensembles: ["single"],
    perClass: { train: 50, test: 25 },
    tpp_n: [20],
    seeds: [1],
    command: "test",
  };
  const kept = pooledFiles("single");
  const report = await concepts(run, join(folder, "as-saebench"), { ...wanted, saebenchCompatible: true });
  const plain = await concepts(run, join(folder, "as-default"), wanted);
  const accuracies = (of: typeof report, at: number) => of.detections[at]!.accuracy.map(({ mean }) => mean.mean);
  for (const at of [0, 1]) assert.deepEqual(accuracies(report, at).slice(0, 3), accuracies(plain, at).slice(0, 3));
  // Two classes of as many texts: all of them are in both tasks, the other way round.
  const texts = await readConceptTexts(wanted);
  const before = new Set(kept);
  const hand = await byHand(
    join(run, "ensembles", "single", "pooled", pooledFiles("single").find((name) => !before.has(name))!),
  );
  const classOf = texts.texts.map(({ text }) => texts.classes.indexOf(text.label));
  const rows = (from: number, to: number) => Uint32Array.from({ length: to - from }, (_, at) => from + at);
  const tasks = (part: Uint32Array) =>
    classTasks(
      part,
      Array.from(part, (row) => classOf[row]!),
      2,
      1,
    );
  const [train, held] = [tasks(rows(0, texts.learnt)), tasks(rows(texts.learnt, texts.texts.length))];
  const x = hand.activations;
  const probes = train.map((own, at) =>
    trainProbe(testSelectedPlan({ x, ...own }, { x, ...held[at]! }, 1, `class ${at}`)),
  );
  const chosen = probes.map(({ probe: { w } }, at) => {
    const effects = Array.from({ length: 48 }, (_, i) => {
      const mean = (label: number) => {
        const own = Array.from(train[at]!.rows).filter((_, t) => train[at]!.labels[t] === label);
        return own.reduce((sum, row) => sum + hand.code(row, i), 0) / own.length;
      };
      return (
        Math.max(mean(1) - mean(0), 0) * w.reduce((sum, value, j) => sum + value * hand.W_dec[i * w.length + j]!, 0)
      );
    });
    const order = effects.map((_, i) => i).sort((a, b) => effects[b]! - effects[a]! || a - b);
    return order.slice(0, Math.min(20, effects.filter((effect) => effect !== 0).length));
  });
  const loss = (ablated: number, probe: number) => {
    const after = hand.right(held[probe]!, chosen[ablated]!, probes[probe]!.probe);
    return hand.right(held[probe]!, [], probes[probe]!.probe) - after;
  };
  const total = (loss(0, 0) - loss(0, 1) + loss(1, 1) - loss(1, 0)) / 2;
  assert.ok(Math.abs(report.detections[1]!.tpp[0]!.total.mean - total) < 1e-9);
  // All features at once: AdamW, the epoch that is best on the test rows.
  const full = train.map((own, at) => {
    const plan = testSelectedPlan({ x, ...own }, { x, ...held[at]! }, 1, `full width ${at}`, fullWidthProbeSettings);
    return Math.max(...trainProbe(plan, fullWidthProbeSettings).accuracies);
  });
  assert.ok(Math.abs(accuracies(report, 0)[3]! - (full[0]! + full[1]!) / 2) < 1e-9);
  const json = JSON.parse(readFileSync(join(folder, "as-saebench.json"), "utf8"));
  assert.match(json.saebench_compatible.as_saebench.join(), /AdamW, batch 250/);
  assert.match(readFileSync(join(folder, "as-saebench.md"), "utf8"), /Not SAEBench's:/);
  assert.equal(plain.saebench_compatible, false);
});

test("concepts: a file is not tested on itself", async () => {
  const file = join(folder, "a.jsonl");
  const same = { trainFile: file, testFile: file, columns: { text: "text", label: "gender" } };
  await assert.rejects(
    readConceptTexts({ ...same, perClass: { train: 400, test: 200 }, seeds: [3], command: "test" }),
    /a\.jsonl: found the texts that are learnt from, to test on, expected another file, or none: then 30%/,
  );
});

test("concepts of one file: three tenths of each class are held out, the same ones again", async () => {
  const one = (part: string) =>
    readConceptTexts({
      trainFile: join(folder, "a.jsonl"),
      columns: { text: "text", label: "gender" },
      perClass: { train: 400, test: 200 },
      seeds: [3],
      command: part,
    });
  const { texts, learnt } = await one("first");
  const read = (from: number, to: number) => texts.slice(from, to).map(({ text }) => text);
  assert.equal(new Set(read(0, texts.length).map(({ text }) => text)).size, texts.length);
  for (const gender of ["f", "m"]) {
    const [train, test] = [read(0, learnt), read(learnt, texts.length)].map(
      (part) => part.filter(({ label }) => label === gender).length,
    );
    assert.equal(test, Math.round(0.3 * (train! + test!)));
  }
  assert.deepEqual((await one("again")).texts, texts);
});

test("as jobs of an experiment that names labelled texts; done once, and again when a flag changes", async () => {
  const own = join(folder, "sections");
  mkdirSync(own);
  writeFileSync(join(own, "bios.jsonl"), readFileSync(data));
  const columns = { dataset_path: "bios.jsonl", seeds: [3], ensembles: ["bagging"] };
  const file = writeTinyExperiment(own, {
    training_tokens: 640,
    ensembles: { methods: ["bagging"], n_members: 2 },
    debias: { ...columns, label_column: "job", n: [2], shift: 2 },
    concepts: {
      ...columns,
      dataset_path: "../a.jsonl",
      test_dataset_path: "../b.jsonl",
      label_column: "gender",
      tpp: [],
    },
  });
  const experiment = readExperiment(file);
  assert.deepEqual(jobsOf(experiment), ["harvest", "train", "evaluate", "index", "debias", "concepts"]);
  assert.deepEqual(jobsOf(readExperiment(join(folder, "tiny.sae.jsonc"))).at(-1), "index");
  const stages: string[] = [];
  const watch = { onEvent: (event: RunEvent) => event.type === "progress" && stages.push(event.stage) };
  await runJobs(experiment, ["harvest", "train", "debias", "concepts"], watch);
  assert.ok(stages.includes("pooling") && stages.includes("probing"));
  const { runFolder } = experiment.paths;
  const report = JSON.parse(readFileSync(join(runFolder, "debias.json"), "utf8"));
  assert.match(report.command, /^sae-ensembles debias .*tiny --data .*bios\.jsonl .*--label job --attribute gender/);
  assert.ok(existsSync(join(runFolder, "concepts.md")));
  const time = () => statSync(join(runFolder, "debias.json")).mtimeMs;
  const first = time();
  await runJobs(experiment, ["debias"]);
  assert.equal(time(), first);
  const annotations = await Annotations.open(join(runFolder, "ensembles", "bagging", "annotations.json"));
  annotations.edit([{ feature: "0/1", flagged: true }]);
  await annotations.save();
  await runJobs(experiment, ["debias"]);
  assert.deepEqual(JSON.parse(readFileSync(join(runFolder, "debias.json"), "utf8")).directions[0].ensembles[0].flags, [
    "0/1",
  ]);
  const none = readExperiment(writeTinyExperiment(folder, { training_tokens: 2560 }));
  await assert.rejects(runJobs(none, ["debias"]), /debias: found nothing, expected a section "debias"/);
});

test("from the command line", async () => {
  const args = [
    "--data",
    "bios.jsonl",
    "--label",
    "job",
    "--labels",
    "nurse/king",
    "--seeds",
    "4",
    "--n",
    "2",
    "--shift",
    "2",
  ];
  const good = await runCommand(["debias", run, ...args, "--ensemble", "single", "--json"], folder);
  assert.equal(good.code, 0, good.stderr);
  const json = JSON.parse(good.stdout);
  assert.equal(json.directions[0].pair.label.positive[0], "nurse");
  assert.deepEqual(
    json.directions[0].ensembles[0].scr.points.map(({ n }: { n: number }) => n),
    [2],
  );
  assert.match(json.command, /^sae-ensembles debias /);
  const record = JSON.parse(readFileSync(join(run, "run.json"), "utf8"));
  assert.deepEqual([record.state, record.jobs, record.job], ["done", ["debias"], "debias"]);
  const before = readFileSync(join(run, "run.json"), "utf8");
  const untrained = await runCommand(["debias", run, "--ensemble", "bagging-7"], folder);
  assert.equal(untrained.code, 2);
  assert.match(untrained.stderr, /no trained ensemble "bagging-7", expected one of single, bagging/);
  const bad = await runCommand(["debias", run, "--data", "bios.jsonl", "--label", "work"], folder);
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /^error: bios.jsonl, line 1: found the columns text, job, gender, expected a column work/);
  const single = ["debias", run, ...args, "--ensemble", "single"];
  const refused: [string[], RegExp][] = [
    [["--flags", "0/48"], /--flags: found "0\/48", expected member\/index from 0\/0/],
    [["--probe", "away"], /found no flagged feature, so no debiased probe, expected flags in/],
    [["--per-cell", "9"], /Expected a whole number from 10 on/],
    [["--n", "0"], /option '--n <numbers>' argument '0' is invalid\. Expected whole numbers from 1 on/],
    [["--n", "2,2"], /option '--n <numbers>' .* each once/],
    [["--seeds", "0,0"], /option '--seeds <numbers>' .* from 0 on .* each once/],
    [["--text", ""], /^error: --text: found "", expected at least one character$/m],
    [["--flags", "five"], /^error: --flags: found "five", expected a feature's name, member\/index$/m],
  ];
  const settings = readFileSync(join(run, "experiment.json"), "utf8");
  for (const [more, message] of refused) {
    const { code, stderr } = await runCommand([...single, ...more], folder);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
  const none = await runCommand(["concepts", run, "--tpp", "0"], folder);
  assert.deepEqual([none.code, /option '--tpp <numbers>' argument '0' is invalid/.test(none.stderr)], [2, true]);
  assert.equal(readFileSync(join(run, "experiment.json"), "utf8"), settings);
  assert.equal(existsSync(join(folder, "away")), false);
  assert.equal(readFileSync(join(run, "run.json"), "utf8"), before, "what is refused changes nothing");
  const usage = await runCommand(["debias", run, "--labels", "nurse"], folder);
  assert.equal(usage.code, 2);
  const of = ["--data", "bios.jsonl", "--label", "job", "--ensemble", "single", "--seeds", "1", "--tpp", "2", "--json"];
  const one = await runCommand(["concepts", run, ...of], folder);
  assert.equal(one.code, 0, one.stderr);
  const { data: told, texts } = JSON.parse(one.stdout);
  assert.equal(told.test, null);
  for (const { train, test: held } of texts) assert.equal(held, Math.round(0.3 * (train + held)));
});
