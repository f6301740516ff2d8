// The service's answers to the debias and the concept view on a real tiny run: the numbers are the job's, flags come from annotations.json, cancelling and wrong data change nothing.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { debias } from "../../../src/jobs/debias.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { spread } from "../../../src/probing/spread.ts";
import type { DebiasChoice } from "../../../src/protocol/debias.ts";
import type { Columns, ProbingProgress } from "../../../src/protocol/labelledData.ts";
import { jobOptions } from "../../../src/service/debiasSession.ts";
import { annotationFile, OpenEnsemble } from "../../../src/service/openEnsembles.ts";
import { Probing } from "../../../src/service/probing.ts";
import { temporaryFolder } from "../fixtures.ts";
import { biographies } from "../jobs/biographies.ts";
import { runCommand, writeTinyExperiment } from "../jobs/tinyExperiment.ts";
import { localHub, put } from "../localHub.ts";

const folder = temporaryFolder();
const hub = await localHub();
// What the service reads of its surroundings.
process.env["HF_ENDPOINT"] = hub.url;
process.env["HF_HUB_CACHE"] = join(folder, "hub");
process.env["XDG_CACHE_HOME"] = join(folder, "cache");
process.env["LOCALAPPDATA"] = join(folder, "cache");
const data = join(folder, "bios.jsonl");
let run = "";
let ensemble = "";
let open: Promise<OpenEnsemble>;
const told: ProbingProgress[] = [];
/** What a save waits for, let go when someone waits for the save. */
let held = "";
const probing = new Probing({
  opened: () => open,
  saved: async () => {
    if (held !== "") rmSync(held);
    await (await open).saved();
  },
  tell: (_, progress) => told.push(progress),
});
const { answers } = probing;
const never = new AbortController().signal;

const choice: DebiasChoice = {
  trainFile: data,
  testFile: null,
  columns: { text: "text", label: "job", attribute: "gender" },
  label: { positive: ["king"], negative: ["nurse"] },
  attribute: { positive: ["f"], negative: ["m"] },
  seeds: [0, 1],
  perCell: null,
};

before(async () => {
  writeFileSync(data, biographies(60, 30));
  const experiment = readExperiment(writeTinyExperiment(folder, { training_tokens: 2560 }));
  await runJobs(experiment, ["harvest", "train", "index"]);
  run = experiment.paths.runFolder;
  ensemble = join(run, "ensembles", "bagging");
  open = OpenEnsemble.open(ensemble);
});

test("a file is described by its columns and the texts of each pair of values", async () => {
  const question = { ensemble, trainFile: data, testFile: null, columns: null, attribute: true };
  const described = await answers.describeLabelled(question, never);
  assert.deepEqual(described.names, ["text", "job", "gender"]);
  assert.deepEqual(described.columns, choice.columns);
  assert.deepEqual(
    described.counts.map(({ train, test: held }) => [train, held]),
    Array(4).fill([60, null]),
  );
  await assert.rejects(
    async () => answers.describeLabelled({ ...question, trainFile: join(folder, "none.csv") }, never),
    /none\.csv.*no such file/s,
  );
});

test("columns are guessed by their names, the gender as attribute; what can't be read is said beside the columns", async () => {
  const described = async (name: string, text: string, columns: Columns | null = null) => {
    const trainFile = join(folder, name);
    writeFileSync(trainFile, text);
    return answers.describeLabelled({ ensemble, trainFile, testFile: null, columns, attribute: true }, never);
  };
  const csv = ",Gendér,Occupation (ISCO),the text!\n1,f,king,one two\n2,m,nurse,three four\n3,,king,five six\n";
  const odd = await described("odd.csv", csv);
  assert.deepEqual(odd.columns, { text: "the text!", label: "Occupation (ISCO)", attribute: "Gendér" });
  assert.deepEqual([odd.leftOut, odd.trouble], ["1 unlabelled text", ""]);
  const sex = await described("sex.csv", "sex,work,words\nf,king,one two\nm,nurse,three four\n");
  assert.deepEqual(sex.columns, { text: "words", label: "work", attribute: "sex" });
  const none = await described("none.csv", "text,label,gender\none,,f\ntwo,,m\n");
  assert.deepEqual([none.names, none.counts], [["text", "label", "gender"], []]);
  assert.match(none.trouble, /found 2 unlabelled texts alone, expected a text with a value in column label/);
  const other = await described("none.csv", "text,label,gender\none,,f\ntwo,,m\n", { ...none.columns, label: "text" });
  assert.equal(other.trouble, "");
  const uneven = await described(
    "uneven.jsonl",
    '{"text":"one","job":"king","sex":"f"}\n{"text":"two","job":"king"}\n',
  );
  assert.deepEqual(uneven.columns, { text: "text", label: "job", attribute: "sex" });
  assert.match(uneven.trouble, /line 2: found the columns text, job, expected a column sex/);
  const odd2 = await described("odd2.jsonl", '{"a":"one two","b":"king"}\n{"a":"two three"}\n');
  assert.match(odd2.trouble, /line 2: found the columns a, expected a column b/);
});

test("an ensemble whose run was deleted is said to be gone", async () => {
  await assert.rejects(
    OpenEnsemble.open(join(run, "ensembles", "deleted")),
    /^Error: This ensemble is gone: .*deleted/,
  );
});

test("cancelled while it pools: nothing is prepared", async () => {
  const stop = new AbortController();
  stop.abort(new Error("stopped"));
  await assert.rejects(async () => answers.debiasPrepare({ ensemble, choice }, stop.signal), /stopped/);
  assert.equal(probing.verdict(ensemble, []), null);
  await assert.rejects(async () => answers.debiasRetrain({ ensemble }, never), /Nothing is prepared yet/);
});

test("the state is the job's: base, oracle, controls, curves; then flags and retraining", async () => {
  const state = await answers.debiasPrepare({ ensemble, choice }, never);
  assert.ok(told.some(({ stage, unit }) => stage === "pooling" && unit === "texts"));
  const names = ["0/3", "1/47"];
  const report = await debias(run, join(folder, "job"), {
    ...jobOptions(choice, run),
    ensembles: ["bagging"],
    shift_n: 4,
    flags: names,
    command: "test",
  });
  const bySeed = report.baselines[0]!;
  const mean = (values: readonly number[]) => spread(values).mean;
  for (const key of ["base", "oracle", "mean_difference", "mean_difference_retrained"] as const) {
    assert.equal(state[key].worst_group.mean, mean(bySeed.map((one) => one[key].worst_group)));
    assert.equal(state[key].accuracy.mean, mean(bySeed.map((one) => one[key].accuracy)));
    assert.deepEqual(
      state[key].cells.map((cell) => cell.mean),
      [0, 1, 2, 3].map((cell) => mean(bySeed.map((one) => one[key].cells[cell]!))),
    );
  }
  const runs = report.ensembles[0]!.runs[0]!;
  assert.deepEqual(
    state.curves[0]!.points.map(({ n, scr, random }) => [n, scr.mean, random.mean]),
    runs[0]!.scr.points.map(({ n }, at) => [
      n,
      mean(runs.map(({ scr }) => scr.points[at]!.dir1)),
      mean(runs.map(({ scr_random }) => scr_random[at]!)),
    ]),
  );
  assert.deepEqual(state.verdict.flags, []);
  assert.deepEqual(state.verdict.ablated, state.base);

  await (await open).annotate({ features: [3, 95], flagged: true });
  const verdict = probing.verdict(ensemble, (await open).flagged())!;
  assert.deepEqual(verdict.flags, [3, 95]);
  assert.deepEqual(
    verdict.ablated.cells.map((cell) => cell.mean),
    [0, 1, 2, 3].map((cell) => mean(runs.map(({ shift_flagged }) => shift_flagged!.ablated.cells[cell]!))),
  );
  const retrained = await answers.debiasRetrain({ ensemble }, never);
  assert.deepEqual(retrained.retrained!.flags, [3, 95]);
  assert.equal(
    retrained.retrained!.scores.worst_group.mean,
    mean(runs.map(({ shift_flagged }) => shift_flagged!.retrained.worst_group)),
  );
});

test("suggestions come by effect, with their tokens, and flag nothing", async () => {
  const before = readFileSync(join(ensemble, annotationFile), "utf8");
  const { rows, total, largest } = await answers.debiasSuggestions({ ensemble, offset: 0, limit: 10 }, never);
  assert.ok(total >= rows.length && rows.length > 2);
  assert.equal(rows[0]!.effect, largest);
  assert.deepEqual(
    rows.map(({ effect }) => effect),
    rows.map(({ effect }) => effect).sort((a, b) => b - a),
  );
  assert.ok(rows.some(({ row }) => row.tokens.length > 0));
  assert.equal(readFileSync(join(ensemble, annotationFile), "utf8"), before);
});

test("flags that someone else writes to annotations.json are those that are scored", async () => {
  writeFileSync(
    join(ensemble, annotationFile),
    '{ "format_version": 1, "features": { "0/5": { "flagged": true } } }\n',
  );
  assert.equal(await (await open).refresh(), true);
  assert.deepEqual(probing.verdict(ensemble, (await open).flagged())!.flags, [5]);
});

test("every trained ensemble gets its curve; the report names data, seeds and flags", async () => {
  const state = await answers.debiasCompare({ ensemble }, never);
  assert.deepEqual(
    state.curves.map(({ points, leftOut }) => [points.at(-1)!.n, leftOut]),
    [[20, [50, 100, 500]], ...Array(3).fill([50, [100, 500]])],
  );
  assert.deepEqual(
    state.curves.map((curve) => [curve.ensemble, curve.own]),
    ["single", "bagging", "boosting", "expanded"].map((name) => [name, name === "bagging"]),
  );
  const { file } = await answers.debiasReport({ ensemble }, never);
  const saved = join(run, "reports", "bagging");
  assert.equal(file, join(saved, "debias.md"));
  const json = JSON.parse(readFileSync(join(saved, "debias.json"), "utf8"));
  assert.deepEqual(json.seeds, [0, 1]);
  assert.equal(json.data.train, data);
  assert.match(json.command, /--labels king\/nurse --attributes f\/m/);
  assert.match(readFileSync(file, "utf8"), /Flagged features of bagging.*0\/5/);
});

interface Direction {
  readonly baselines: unknown;
  readonly ensembles: readonly { readonly flags: unknown; readonly scr: unknown }[];
}

test("the debiased probe is saved with its report; what was saved before stays", async () => {
  const before = readFileSync(join(run, "reports", "bagging", "debias.json"), "utf8");
  const { file } = await answers.debiasProbe({ ensemble }, never);
  assert.equal(file, join(run, "reports", "bagging", "debiased-probe", "bagging", "probe.json"));
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")).ablated_features, ["0/5"]);
  // The command that the report names makes the same again, though another feature is flagged by then.
  await (await open).annotate({ features: [9], flagged: true });
  const saved = join(run, "reports", "bagging", "debiased-probe");
  const report = JSON.parse(readFileSync(join(saved, "debias.json"), "utf8"));
  assert.match(
    report.command,
    / --flags 0\/5 .*--shift 20 --report \S+debiased-probe\/debias --probe \S+debiased-probe$/,
  );
  const probe = readFileSync(file, "utf8");
  const ended = await runCommand(report.command.split(" ").slice(1), temporaryFolder());
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stderr, /debiased-probe is there already and stays: this goes to \S+debiased-probe-2$/m);
  const other = join(run, "reports", "bagging", "debiased-probe-2");
  const [made, named] = [JSON.parse(readFileSync(join(other, "debias.json"), "utf8")), report].map(({ directions }) =>
    directions.map(({ baselines, ensembles: [own] }: Direction) => [baselines, own!.flags, own!.scr]),
  );
  assert.deepEqual(made, named);
  assert.equal(readFileSync(file, "utf8"), probe);
  assert.deepEqual(
    JSON.parse(readFileSync(join(other, "bagging", "probe.json"), "utf8")).scores,
    JSON.parse(probe).scores,
  );
  await (await open).undo();
  const again = await answers.debiasProbe({ ensemble }, never);
  assert.equal(again.file, join(run, "reports", "bagging", "debiased-probe-3", "bagging", "probe.json"));
  assert.match(readFileSync(join(run, "reports", "bagging", "debiased-probe", "debias.md"), "utf8"), /0\/5/);
  assert.equal(readFileSync(join(run, "reports", "bagging", "debias.json"), "utf8"), before);
});

test("a report has the flags that were set just before, though they are not on disk yet", async () => {
  // Whoever saves waits for this file to go.
  held = join(ensemble, `${annotationFile}.lock`);
  writeFileSync(held, "");
  const saving = (await open).annotate({ features: [7], flagged: true });
  const { file } = await answers.debiasReport({ ensemble }, never);
  held = "";
  assert.match(readFileSync(file, "utf8"), /Flagged features of bagging.*0\/5, 0\/7\./);
  await saving;
  await (await open).undo();
});

test("too few texts in a cell are refused by name, and what was prepared stays", async () => {
  const few = { ...choice, trainFile: join(folder, "few.jsonl") };
  writeFileSync(few.trainFile, biographies(4, 30));
  await assert.rejects(async () => answers.debiasPrepare({ ensemble, choice: few }, never), /too few texts.*king · f/s);
  assert.equal((await answers.debiasOpen({ ensemble }, never)).state!.choice.trainFile, data);
  probing.forget(run);
  assert.equal((await answers.debiasOpen({ ensemble }, never)).state, null);
});

test("what was prepared is let go with its view, also where that is closed while it is prepared", async () => {
  await answers.debiasPrepare({ ensemble, choice }, never);
  assert.notEqual(probing.verdict(ensemble, []), null);
  await answers.debiasClose({ ensemble }, never);
  assert.equal(probing.verdict(ensemble, []), null);
  const closed = new AbortController();
  const preparing = answers.debiasPrepare({ ensemble, choice }, closed.signal);
  closed.abort();
  await answers.debiasClose({ ensemble }, never);
  await assert.rejects(async () => preparing, { name: "AbortError" });
  assert.equal(probing.verdict(ensemble, []), null);
});

test("concepts: each class with its features, beside raw activations; the report is written", async () => {
  const held = join(folder, "held.jsonl");
  writeFileSync(held, biographies(60, 30).replaceAll(" ran ", " sang "));
  const wanted = {
    trainFile: data,
    testFile: held,
    columns: { text: "text", label: "job" },
    seeds: [0],
    perClass: 40,
  };
  const result = await answers.conceptsDetect({ ensemble, choice: wanted }, never);
  assert.deepEqual(
    result.classes.map(({ name }) => name),
    ["king", "nurse"],
  );
  assert.deepEqual(result.k, [1, 2, 5, null]);
  assert.deepEqual(
    result.means.map(({ name }) => name),
    ["raw activations", "bagging"],
  );
  assert.equal(result.classes[0]!.features.length, 5);
  const { file } = await answers.conceptsReport({ ensemble }, never);
  assert.equal(file, join(run, "reports", "bagging", "concepts.md"));
  assert.match(readFileSync(file, "utf8"), /\| king \(/);
  // The report names the same five as the view, with where they fire.
  const listed = result.classes[0]!.features.map(
    ({ row, firesMore }) => `${firesMore ? "▲" : "▼"} ${row.member}/${row.index}`,
  );
  const [line = ""] = /^- king: .*$/m.exec(readFileSync(file, "utf8")) ?? [];
  for (const one of listed) assert.ok(line.includes(one), `${one} in ${line}`);
  assert.match(line, /\d \(`/);
  assert.match(
    readFileSync(file, "utf8"),
    /Command: `sae-ensembles concepts .*--report \S+reports\/bagging\/concepts`/,
  );
  // Its command makes it again, from any folder, and leaves it as it is.
  const saved = readFileSync(file.replace(/md$/, "json"), "utf8");
  const { command, date: _, ...rest } = JSON.parse(saved);
  const ended = await runCommand([...command.split(" ").slice(1), "--json"], temporaryFolder());
  assert.equal(ended.code, 0, ended.stderr);
  const { command: own, date: __, ...made } = JSON.parse(ended.stdout);
  assert.deepEqual(made, rest);
  assert.equal(own.replace("concepts-2", "concepts"), command);
  assert.equal(readFileSync(file.replace(/md$/, "json"), "utf8"), saved);
});

test("data sets of the hub by their names: fetched whole, with progress, then described and probed as files are", async () => {
  const [train, held] = [biographies(60, 30), biographies(60, 90)];
  put(hub, "datasets/someone/bios", { "data/train.jsonl": train, "data/test.jsonl": held });
  const named = { trainFile: "someone/bios", testFile: "someone/bios/test" };
  const question = { ensemble, ...named, columns: null, attribute: true };
  told.length = 0;
  const described = await answers.describeLabelled(question, never);
  assert.deepEqual([described.trainFile, described.testFile], [named.trainFile, named.testFile], "names stay names");
  assert.deepEqual(
    described.counts.map(({ train, test: held }) => [train, held]),
    Array(4).fill([60, 60]),
  );
  assert.ok(told.some(({ stage, unit }) => stage === "download labelled texts" && unit === "MiB"));
  const requests = hub.requests.length;
  assert.ok(requests > 0);
  const chosen = { columns: { text: "text", label: "job" }, seeds: [0], perClass: 20 };
  const { choice: kept, classes } = await answers.conceptsDetect({ ensemble, choice: { ...chosen, ...named } }, never);
  assert.equal(classes.length, 2);
  assert.deepEqual([kept.trainFile, kept.testFile], [named.trainFile, named.testFile]);
  assert.equal(hub.requests.length, requests, "it is here and nobody is asked again");
  const { file } = await answers.conceptsReport({ ensemble }, never);
  assert.match(readFileSync(file, "utf8"), /--data someone\/bios --test someone\/bios\/test /);
  await assert.rejects(
    async () => answers.describeLabelled({ ...question, trainFile: "someone/nothing" }, never),
    /someone\/nothing: found no such repository/,
  );
  const stop = new AbortController();
  stop.abort();
  put(hub, "datasets/someone/others", { "train.jsonl": train });
  await assert.rejects(
    async () => answers.describeLabelled({ ...question, trainFile: "someone/others" }, stop.signal),
    { name: "AbortError" },
  );
});
