// Files that are no index, another version's, unfinished, cut short or damaged: each is said in one line, none crashes.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { buildFeatureIndex } from "../../../src/features/buildFeatureIndex.ts";
import { openFeatureIndex } from "../../../src/features/openFeatureIndex.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { temporaryFolder } from "../fixtures.ts";
import { makeEncoder, makeEnsemble, makeRows, model, streamed } from "./tinyWorld.ts";

const folder = temporaryFolder();
const good = join(folder, "good.sqlite");
const ensemble = makeEnsemble();
await buildFeatureIndex({
  path: good,
  ensemble,
  encoder: makeEncoder(ensemble),
  model,
  rows: streamed(makeRows(12, 20)),
});
const bytes = await readFile(good);

async function file(name: string, contents: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, contents);
  return path;
}

async function changed(name: string, sql: string): Promise<string> {
  const path = await file(name, bytes);
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
  return path;
}

function refused(path: string, found: RegExp): void {
  assert.throws(
    () => openFeatureIndex(path),
    (error) => error instanceof InputError && error.file === path && found.test(error.message),
  );
}

test("what is not an index", async () => {
  refused(join(folder, "missing.sqlite"), /no such file/);
  mkdirSync(join(folder, "a-folder"));
  refused(join(folder, "a-folder"), /found/);
  refused(await file("empty", ""), /another kind/);
  refused(await file("text", "SQLite format 3? no, a text"), /another kind/);
  refused(await file("header", "SQLite format 3\0"), /found/);
  refused(await changed("foreign", "PRAGMA application_id = 7"), /another program/);
  refused(await changed("version", "PRAGMA user_version = 999"), /version 999.*build the index again/);
  refused(await changed("unfinished", "DELETE FROM meta"), /not finished/);
  refused(await changed("table", "DROP TABLE features"), /no table features/);
  refused(await changed("meta", "UPDATE meta SET value = '{\"method\": 1}'"), /damaged meta/);
  refused(await changed("json", "UPDATE meta SET value = '{'"), /damage/);
  refused(await changed("column", "UPDATE feature_columns SET data = x'0011' WHERE name = 'max'"), /column max/);
});

test("an index of before, which says besides that it has logits, opens", async () => {
  const before = await changed("before", "UPDATE meta SET value = json_insert(value, '$.hasLogits', json('true'))");
  const index = openFeatureIndex(before);
  assert.equal(index.detail(3).logits.top.length, 10);
  index.close();
});

test("cut short anywhere", async () => {
  for (const part of [0.1, 0.5, 0.9, 0.999]) {
    refused(await file(`cut${part}`, bytes.subarray(0, Math.floor(part * bytes.length))), /cut short|damage|kind/);
  }
});

test("a missing record is damage, and so is a record that ends too early", async () => {
  const index = openFeatureIndex(await changed("record", "DELETE FROM feature_sequences WHERE id = 3"));
  assert.throws(() => index.detail(3), InputError);
  assert.equal(index.detail(2).id, 2);
  index.close();
  const short = openFeatureIndex(await changed("short", "UPDATE features SET tokens = x'05' WHERE id = 2"));
  assert.throws(() => short.page({}), InputError);
  short.close();
});

test("random damage never gives anything but an answer or an InputError", async () => {
  const random = SeededRandom.derive(9, "damage");
  for (let trial = 0; trial < 60; trial++) {
    const damaged = Uint8Array.from(bytes);
    const at = random.integer(damaged.length - 64);
    for (let b = 0; b < 64; b++) damaged[at + b] = random.integer(256);
    const path = await file("damaged", damaged);
    try {
      const index = openFeatureIndex(path);
      try {
        index.page({ sort: "density" });
        index.count({ text: "nurse", token: { text: "she", match: "word" } });
        for (let id = 0; id < index.info.features; id++) index.detail(id);
      } finally {
        index.close();
      }
    } catch (error) {
      assert.ok(error instanceof InputError, `${at}: ${(error as Error).stack}`);
    }
  }
});
