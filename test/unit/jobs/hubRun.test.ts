// A run whose model and text are names on a hub (on this machine): fetched inside the run, resumed without the hub, refused with words.
import assert from "node:assert/strict";
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readLabelledTexts } from "../../../src/data/labelledTexts.ts";
import { conceptsOptions } from "../../../src/jobs/conceptsJob.ts";
import { debiasOptions } from "../../../src/jobs/debiasJob.ts";
import { examineExperiment } from "../../../src/jobs/examineExperiment.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { isRemote, obtainExperiment } from "../../../src/jobs/obtain.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { experimentOfRun, readRunStatus } from "../../../src/jobs/runRecord.ts";
import type { RunEvent } from "../../../src/protocol/runEvents.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { localHub, put } from "../localHub.ts";
import { runCommand, writeTinyExperiment } from "./tinyExperiment.ts";

const temporary = temporaryFolder();
const hub = await localHub();
const llama = golden("models", "llama");
put(
  hub,
  "someone/llama",
  Object.fromEntries(readdirSync(llama).map((name) => [name, readFileSync(join(llama, name))])),
);
// What a run reads of its surroundings.
process.env["HF_ENDPOINT"] = hub.url;
process.env["HF_HUB_CACHE"] = join(temporary, "hub");
process.env["XDG_CACHE_HOME"] = join(temporary, "cache");
process.env["LOCALAPPDATA"] = join(temporary, "cache");

const changes = {
  model_name: "someone/llama",
  dataset_path: "someone/text",
  ensembles: { methods: ["single"], n_members: 1 },
};

function experimentIn(name: string, change: object = {}): string {
  const folder = join(temporary, name);
  mkdirSync(folder);
  const file = writeTinyExperiment(folder, { ...changes, ...change });
  const lines = readFileSync(join(folder, "text.txt"), "utf8").split("\n\n");
  put(hub, "datasets/someone/text", { "train.jsonl": lines.map((text) => JSON.stringify({ text })).join("\n") });
  rmSync(join(folder, "text.txt"));
  return file;
}

test("model and text are fetched inside the run; then nobody is asked again", async () => {
  const file = experimentIn("whole");
  const experiment = readExperiment(file);
  assert.ok(isRemote(experiment), "nothing is asked of the hub while the file is read");
  assert.equal(hub.requests.length, 0);
  const events: RunEvent[] = [];
  const end = await runJobs(experiment, ["harvest"], { onEvent: (event) => events.push(event) });
  assert.equal(end, "done");
  const stages = new Set(events.flatMap((event) => (event.type === "progress" ? [event.stage] : [])));
  for (const stage of ["download model", "download text", "harvest"]) assert.ok(stages.has(stage), stage);
  const { runFolder } = experiment.paths;
  assert.ok(!isRemote(experimentOfRun(runFolder)), "the run knows where everything lies");
  const before = hub.requests.length;
  assert.ok(!isRemote(readExperiment(file)), "names are found in the cache");
  assert.equal(await runJobs(experimentOfRun(runFolder), ["train"]), "done");
  assert.equal(await runJobs(readExperiment(file), ["harvest", "train"]), "done");
  assert.equal(hub.requests.length, before);
  const text = (await examineExperiment(readExperiment(file), null)).find(({ name }) => name === "Text");
  assert.match(
    text!.value,
    /can be read; its files, [\d.]+ KiB in all, come into the hub's cache as far as they are read$/,
  );
});

test("doctor on one file of a repository: its size by the config.json beside or above it, or a word that it can't be told yet", async () => {
  const read = (...path: string[]) => readFileSync(golden("models", ...path));
  const small = { "config.json": read("llama", "config.json"), "tokenizer.json": read("llama", "tokenizer.json") };
  const gguf = read("gguf", "llama", "model.gguf");
  put(hub, "someone/exported", { ...small, "onnx/model.onnx": read("onnx", "llama.torch-dynamo.onnx") });
  put(hub, "someone/quantised", { ...small, "tiny.gguf": gguf });
  put(hub, "someone/bare", { "tiny.gguf": gguf });
  const examined = async (model_name: string) => {
    const file = experimentIn(`doctor-${model_name.replaceAll(/\W/g, "-")}`, { model_name, training_tokens: 25_600 });
    const findings = await examineExperiment(readExperiment(file), null);
    const disk = findings.find(({ name }) => name === "Disk needed")?.value;
    return {
      states: new Set(findings.map(({ state }) => state)),
      model: findings.find(({ name }) => name === "Model")!,
      disk,
    };
  };
  const exported = await examined("someone/exported/onnx/model.onnx");
  assert.deepEqual(exported.states, new Set(["ok"]));
  assert.match(exported.model.value, /3 layers of width 32/);
  assert.match(
    exported.disk!,
    /in the run folder \(activations .*\) and [\d.]+ KiB in the hub's cache for the download, /,
  );
  const quantised = await examined("someone/quantised/tiny.gguf");
  assert.match(
    quantised.disk!,
    /[\d.]+ KiB in the cache for the model's weights as float32 and [\d.]+ KiB in the hub's cache/,
  );
  const bare = await examined("someone/bare/tiny.gguf");
  assert.deepEqual(bare.states, new Set(["ok", "warning"]));
  assert.match(
    bare.model.value,
    /^someone\/bare\/tiny\.gguf: found no config\.json beside it, .* before it is downloaded$/,
  );
  assert.equal(bare.disk, undefined);
});

test("doctor refuses what a run would refuse of the hub, with its exit code; without a network it warns", async () => {
  const gguf = readFileSync(golden("models", "gguf", "llama", "model.gguf"));
  put(hub, "someone/only-gguf", { "sub/tiny.gguf": gguf, "README.md": "x" });
  put(hub, "datasets/someone/pictures", { "a.bin": "x" });
  const refused: [string, object, string, RegExp][] = [
    ["model", { model_name: "someone/nobody" }, "Download", /^someone\/nobody: found no such repository/],
    ["file", { model_name: "someone/only-gguf/other.gguf" }, "Download", /found no file other\.gguf among README\.md/],
    ["config", { model_name: "someone/llama/config.json" }, "Download", /config\.json: found a file that is no model/],
    [
      "gguf",
      { model_name: "someone/only-gguf" },
      "Download",
      /or one file by its own name \(someone\/only-gguf\/sub\/tiny/,
    ],
    ["text", { dataset_path: "someone/no-texts" }, "Text", /^someone\/no-texts: found no such repository/],
    ["kind", { dataset_path: "someone/pictures" }, "Text", /^someone\/pictures: found no such file among a\.bin/],
    ["index", { index: { dataset_path: "someone/no-texts" } }, "Text", /^someone\/no-texts: found no such repository/],
    [
      "section",
      { concepts: { dataset_path: "someone/no-texts", text_column: "text", label_column: "label" } },
      "Text",
      /^someone\/no-texts: found no such repository/,
    ],
  ];
  const problemsOf = async (file: string) =>
    (await examineExperiment(readExperiment(file), null)).filter(({ state }) => state === "problem");
  for (const [what, change, name, message] of refused) {
    const file = experimentIn(`refused-${what}`, change);
    const problems = await problemsOf(file);
    assert.deepEqual(
      problems.map((problem) => problem.name),
      [name],
      what,
    );
    assert.match(problems[0]!.value, message);
    await assert.rejects(runJobs(readExperiment(file), ["harvest"]), { message: problems[0]!.value });
  }
  const { code } = await runCommand(["doctor", "tiny.sae.jsonc"], join(temporary, "refused-text"));
  assert.equal(code, 2);

  const file = experimentIn("asked-nobody", { model_name: "someone/llama@other", dataset_path: "someone/other" });
  process.env["HF_HUB_OFFLINE"] = "1";
  try {
    assert.deepEqual(
      (await problemsOf(file)).map(({ name, value }) => `${name}: ${/HF_HUB_OFFLINE set/.exec(value)}`),
      ["Download: HF_HUB_OFFLINE set", "Text: HF_HUB_OFFLINE set"],
    );
  } finally {
    delete process.env["HF_HUB_OFFLINE"];
  }
  process.env["HF_ENDPOINT"] = "http://127.0.0.1:1";
  try {
    const findings = await examineExperiment(readExperiment(file), null);
    const warned = findings.filter(({ state, value }) => state === "warning" && /no way to http/.test(value));
    assert.deepEqual(
      warned.map(({ name }) => name),
      ["Download", "Text", "Model"],
    );
    assert.equal(findings.length, 1 + warned.length);
  } finally {
    process.env["HF_ENDPOINT"] = hub.url;
  }
});

test("labelled texts of a section come by their names, each part by its own", async () => {
  const line = (n: number) => JSON.stringify({ text: `text ${n}`, label: n % 2, gender: n % 3 > 0 });
  const part = (from: number) => Array.from({ length: 6 }, (_, i) => line(from + i)).join("\n");
  put(hub, "datasets/someone/labelled", { "data/train.jsonl": part(0), "data/test.jsonl": part(50) });
  const section = {
    dataset_path: "someone/labelled",
    test_dataset_path: "someone/labelled/test",
    text_column: "text",
    label_column: "label",
  };
  const experiment = readExperiment(
    experimentIn("labelled", { debias: { ...section, attribute_column: "gender" }, concepts: section }),
  );
  assert.ok(isRemote(experiment));
  const obtained = await obtainExperiment(experiment);
  assert.ok(!isRemote(obtained), "nothing is missing any more");
  for (const options of [debiasOptions(obtained), conceptsOptions(obtained)]) {
    assert.match(options.command!, /--data someone\/labelled --test someone\/labelled\/test /);
    const parts = [options.trainFile, options.testFile!].map((file) => readLabelledTexts(file, options.columns));
    const [train, held] = await Promise.all(parts);
    assert.deepEqual([train!.texts[0]!.text, held!.texts[0]!.text], ["text 0", "text 50"]);
  }
  put(hub, "datasets/someone/unlabelled", { "a.bin": "x" });
  const wrong = readExperiment(
    experimentIn("unlabelled", { concepts: { ...section, dataset_path: "someone/unlabelled" } }),
  );
  await assert.rejects(obtainExperiment(wrong), /someone\/unlabelled: found no such file among a\.bin/);
});

test("a run that was stopped in its download goes on with it from its folder", async () => {
  const files = Object.fromEntries(readdirSync(llama).map((name) => [name, readFileSync(join(llama, name))]));
  put(hub, "someone/slow", files);
  const experiment = readExperiment(experimentIn("stopped", { model_name: "someone/slow" }));
  const stop = new AbortController();
  const blobs = join(temporary, "hub", "models--someone--slow", "blobs");
  const come = () => globSync("*.incomplete", { cwd: blobs }).map((name) => statSync(join(blobs, name)).size)[0] ?? 0;
  const part = 20_000;
  hub.misbehave = ({ url }, response) => {
    if (!url!.endsWith("/model.safetensors")) return false;
    response.write(files["model.safetensors"]!.subarray(0, part));
    const stopOnceItCame = () => (come() === part ? stop.abort() : setTimeout(stopOnceItCame, 1));
    stopOnceItCame();
    return true;
  };
  try {
    assert.equal(await runJobs(experiment, ["harvest"], { signal: stop.signal }), "stopped");
  } finally {
    hub.misbehave = () => false;
  }
  const { runFolder } = experiment.paths;
  const resumed = experimentOfRun(runFolder);
  assert.ok(isRemote(resumed));
  hub.requests.length = 0;
  assert.equal(await runJobs(resumed, readRunStatus(runFolder).record.jobs), "done");
  const again = hub.requests.find(({ path }) => path.endsWith("/model.safetensors"));
  assert.equal(again!.range, `bytes=${part}-`, "what had come is not fetched twice");
});

test("a name that the hub doesn't know fails the run and says so, and leaves only a folder that was there before", async () => {
  const experiment = readExperiment(experimentIn("unknown", { model_name: "someone/nobody" }));
  await assert.rejects(runJobs(experiment, ["harvest"]), /someone\/nobody: found no such repository/);
  assert.ok(!existsSync(experiment.paths.runFolder));
  // As when the run is a process of its own, which finds the folder that its output goes to.
  mkdirSync(experiment.paths.runFolder, { recursive: true });
  await assert.rejects(runJobs(experiment, ["harvest"]), /someone\/nobody: found no such repository/);
  const { state, reason } = readRunStatus(experiment.paths.runFolder);
  assert.equal(state, "failed");
  assert.match(reason!, /no such repository/);
});

test("what looks like a path with a mistake in it is not looked for on the hub", () => {
  const file = experimentIn("paths");
  const wrong = (key: string, value: string, pattern: RegExp) => {
    writeFileSync(file, readFileSync(file, "utf8").replace(new RegExp(`"${key}": ".*?"`), `"${key}": "${value}"`));
    assert.throws(() => readExperiment(file), pattern);
  };
  mkdirSync(join(temporary, "paths", "texts"));
  wrong("dataset_path", "texts/nothing", /"texts\/nothing", which is not there .*owner\/name/);
  wrong("dataset_path", "data/reviews.txt", /"data\/reviews\.txt", which is not there/);
});
