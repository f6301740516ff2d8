// What is harvested again when an experiment or its texts change, and what is said when there is nothing to harvest. The tiny golden Llama, in this process.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { harvestIdentity } from "../../../src/jobs/harvest.ts";
import { RunFolder } from "../../../src/jobs/runFolder.ts";
import { jobsOf, runJobs } from "../../../src/jobs/runJobs.ts";
import { readRunRecord } from "../../../src/jobs/runRecord.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "./tinyExperiment.ts";

const root = temporaryFolder();
const fresh = () => mkdtempSync(join(root, "h-"));

const harvest = (file: string) => runJobs(readExperiment(file), ["harvest"]);
const runAll = (file: string) => {
  const experiment = readExperiment(file);
  return runJobs(experiment, jobsOf(experiment));
};

/** The checksums of a part's shards. */
function shards(folder: string, part: "train" | "test"): number[] {
  const manifest = readFileSync(join(folder, "runs/tiny/activations", part, "manifest.json"), "utf8");
  return (JSON.parse(manifest) as { shards: { crc32: number }[] }).shards.map(({ crc32 }) => crc32);
}

const lines = (texts: readonly object[]) => texts.map((text) => `${JSON.stringify(text)}\n`).join("");

test("another column of the held-out file is harvested anew, the training part stays", async () => {
  const folder = fresh();
  writeFileSync(
    join(folder, "test.jsonl"),
    lines([{ text: "a nurse saw the king ".repeat(40), b: "river ".repeat(200) }]),
  );
  const evaluation = { dataset_path: "test.jsonl", test_tokens: 100, model_metrics_tokens: 0 };
  await harvest(writeTinyExperiment(folder, { evaluation: { ...evaluation, column: "text" } }));
  const before = [shards(folder, "train"), shards(folder, "test")];
  await harvest(writeTinyExperiment(folder, { evaluation: { ...evaluation, column: "b" } }));
  assert.deepEqual(shards(folder, "train"), before[0]);
  assert.notDeepEqual(shards(folder, "test"), before[1]);
});

test("texts that are shorter than what was asked for say how long they are, and what that means", async () => {
  const every = { activations: { tokens: 1_000_000 }, evaluation: { test_share: 0.5, test_tokens: 1_000_000 } };
  const said: string[] = [];
  await runJobs(readExperiment(writeTinyExperiment(fresh(), every, 40)), ["harvest"], {
    onEvent: (event) => event.type === "log" && said.push(event.message),
  });
  assert.match(
    said[0]!,
    /^harvest held-out: the text has [\d,]+ tokens, fewer than the 1,000,000 asked for; metrics are/,
  );
  assert.match(said[1]!, /^harvest: the text has [\d,]+ tokens, fewer than the 1,000,000 asked for; training reads/);
  assert.equal(said.length, 2);
});

test("a list of tokens to exclude leaves out these alone, in training alone; one that there can't be is refused", async () => {
  const folder = fresh();
  const rows = (part: string) =>
    JSON.parse(readFileSync(join(folder, "runs/tiny/activations", part, "manifest.json"), "utf8")) as { rows: number };
  const every = { activations: { tokens: 1_000_000 }, evaluation: { test_share: 0.5, test_tokens: 1_000_000 } };
  const harvested = async (exclude_special_tokens: boolean | number[]) => {
    rmSync(join(folder, "runs"), { recursive: true, force: true });
    await harvest(writeTinyExperiment(folder, { ...every, exclude_special_tokens }, 40));
    return [rows("train").rows, rows("test").rows] as const;
  };
  const [all, test] = await harvested(false);
  // BOS is 1 and the only special token in a text, and 261 is "the".
  const [withoutSpecial] = await harvested(true);
  const [withoutBos] = await harvested([1]);
  const [withoutWord, testWithoutWord] = await harvested([261]);
  const [withoutBoth] = await harvested([1, 261]);
  assert.ok(withoutSpecial < all && withoutWord < all);
  assert.deepEqual([withoutBos, withoutBoth], [withoutSpecial, withoutSpecial + withoutWord - all]);
  assert.equal(testWithoutWord, test);
  await assert.rejects(harvested([1, 431]), /exclude_special_tokens\.1: found 431, expected a token's id, below 431/);
});

test("activations.dtype float16 is of what is trained on; what is measured on stays float32", async () => {
  const folder = fresh();
  await harvest(writeTinyExperiment(folder, { activations: { tokens: 4000, dtype: "float16" } }));
  const dtype = (part: string) =>
    JSON.parse(readFileSync(join(folder, "runs/tiny/activations", part, "manifest.json"), "utf8")).dtype as string;
  assert.deepEqual([dtype("train"), dtype("test")], ["float16", "float32"]);
});

test("a held-out part of before, in activations.dtype, is made anew", async () => {
  const folder = fresh();
  const experiment = readExperiment(writeTinyExperiment(folder, { activations: { tokens: 4000, dtype: "float16" } }));
  await runJobs(experiment, ["harvest"]);
  const run = await RunFolder.open(experiment, ["harvest"]);
  const { dtype: _, ...before } = harvestIdentity(experiment, "test") as Record<string, unknown>;
  await run.finishStage("harvest held-out", before);
  await run.close();
  const manifest = join(folder, "runs/tiny/activations/test/manifest.json");
  const now = readFileSync(manifest, "utf8");
  writeFileSync(manifest, now.replace('"float32"', '"float16"'));
  await runJobs(experiment, ["harvest"]);
  assert.equal(readFileSync(manifest, "utf8"), now);
});

test("a held-out or indexed text that changed in place is noticed", async () => {
  const folder = fresh();
  const held = join(folder, "held.txt");
  const indexed = join(folder, "indexed.txt");
  writeFileSync(held, "a nurse saw the king ".repeat(40));
  writeFileSync(indexed, "the river ran under the house ".repeat(40));
  const file = writeTinyExperiment(folder, {
    training_tokens: 256,
    ensembles: { methods: ["single"] },
    evaluation: { dataset_path: "held.txt", test_tokens: 100, model_metrics_tokens: 0 },
    index: { dataset_path: "indexed.txt", tokens: 100 },
  });
  await runAll(file);
  const stages = () => readRunRecord(join(folder, "runs/tiny")).stages;
  const before = stages();
  await runAll(file);
  assert.deepEqual(stages(), before);
  // Only touched, as by a copy.
  for (const text of [held, indexed]) utimesSync(text, 1e9, 1e9);
  await runAll(file);
  assert.deepEqual(stages(), before);
  // As long as before.
  writeFileSync(held, "a queen saw the king ".repeat(40));
  writeFileSync(indexed, "the river ran under the horse ".repeat(40));
  await runAll(file);
  const changed = Object.keys(before).filter((stage) => stages()[stage]!.fingerprint !== before[stage]!.fingerprint);
  assert.deepEqual(changed.sort(), ["evaluate", "harvest held-out", "index single"]);
});

test("a text that cannot be read is refused before anything is written", async () => {
  const folder = fresh();
  for (const [name, content, change, message] of [
    ["empty.jsonl", "", { dataset_path: "empty.jsonl" }, /empty\.jsonl: found/],
    ["broken.jsonl", "{", { evaluation: { dataset_path: "broken.jsonl" } }, /broken\.jsonl, line 1/],
    ["a.jsonl", '{"a":"b"}\n', { index: { dataset_path: "a.jsonl", column: "c" } }, /a\.jsonl.*column c/],
    ["one.txt", "One document.\n", { dataset_path: "one.txt" }, /none is held out.*at least 5 documents .*blank lines/],
  ] as const) {
    writeFileSync(join(folder, name), content);
    const file = writeTinyExperiment(folder, change);
    await assert.rejects(runAll(file), message);
    assert.equal(existsSync(join(folder, "runs")), false, name);
  }
});

test("held-out text that fills no window is said so before training text is harvested, and can be repaired", async () => {
  const folder = fresh();
  const file = writeTinyExperiment(folder, { evaluation: { test_tokens: 100 } });
  const texts = Array.from({ length: 20 }, () => "a nurse");
  writeFileSync(join(folder, "text.txt"), texts.join("\n\n"));
  const message = /held-out text of \d tokens in 1 document, which fills no window of context_size 32.*blank lines/;
  await assert.rejects(harvest(file), message);
  assert.equal(existsSync(join(folder, "runs/tiny/activations/train")), false);
  await harvest(writeTinyExperiment(folder));
  assert.ok(shards(folder, "train").length > 0);
});
