// A run whose model and text are names on a hub (on this machine): fetched inside the run, resumed without the hub, refused with words.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readLabelledTexts } from "../../../src/data/labelledTexts.ts";
import { conceptsOptions } from "../../../src/jobs/conceptsJob.ts";
import { debiasOptions } from "../../../src/jobs/debiasJob.ts";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { isRemote, obtainExperiment } from "../../../src/jobs/obtain.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import { experimentOfRun, readRunStatus } from "../../../src/jobs/runRecord.ts";
import type { RunEvent } from "../../../src/protocol/runEvents.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { localHub, put } from "../localHub.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

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
