// The order "clearest first" that an index keeps, against a ranking computed from everything it answers; and an index of before it was kept.
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { buildSyntheticIndex } from "../../../bench/syntheticIndex.ts";
import { clarityRanking } from "../../../src/features/clearestFeatures.ts";
import { openFeatureIndex } from "../../../src/features/openFeatureIndex.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
const path = join(folder, "index.sqlite");
await buildSyntheticIndex(path, { members: 3, d_sae: 150, k: 12, tokens: 6000, seed: 3 });
const index = openFeatureIndex(path);
after(() => index.close());
const { features, tokens, members } = index.info;
const every = Array.from({ length: features }, (_, id) => id);

function changed(name: string, sql: string): string {
  const copy = join(folder, name);
  copyFileSync(path, copy);
  const database = new DatabaseSync(copy);
  database.exec(sql);
  database.close();
  return copy;
}

/** From each feature's full answer, by comparisons. */
function expectedOrder(): { clearest: number[]; order: number[] } {
  const summaries = index.summaries(every);
  const gists = summaries.map((row) => ({ ...row, foundIn: row.found.filter((is) => is).length }));
  const clearest = clarityRanking(gists, tokens, members.length).map(({ id }) => id);
  const others = summaries
    .filter(({ id }) => !clearest.includes(id))
    .sort((a, b) => b.density - a.density || a.id - b.id)
    .map(({ id }) => id);
  return { clearest, order: [...clearest, ...others] };
}

test("an index keeps the ranking of its features, and lists all of them by it", () => {
  const { clearest, order } = expectedOrder();
  assert.ok(clearest.length >= 20 && clearest.length < features);
  assert.deepEqual([...index.clearest()], clearest);
  assert.deepEqual([...index.ids({ sort: "clarity", descending: true })], order);
  assert.deepEqual([...index.ids({ sort: "clarity" })], order.toReversed());
  const database = new DatabaseSync(path, { readOnly: true });
  const stored = database.prepare("SELECT data FROM feature_columns WHERE name = 'clearest'").get();
  database.close();
  assert.equal((stored!["data"] as Uint8Array).byteLength, 4 * clearest.length);
});

test("pages and filters keep the order", () => {
  const { order } = expectedOrder();
  const page = index.page({ sort: "clarity", descending: true, offset: 15, limit: 20 });
  assert.deepEqual(
    page.rows.map(({ id }) => id),
    order.slice(15, 35),
  );
  assert.equal(page.total, features);
  const second = { member: 1, alive: true } as const;
  const alive = new Set(index.ids({ filter: second }));
  assert.deepEqual(
    [...index.ids({ sort: "clarity", descending: true, filter: second })],
    order.filter((id) => alive.has(id)),
  );
});

test("an index of before the order was kept opens as ever and gives the same one", () => {
  const old = openFeatureIndex(changed("old.sqlite", "DELETE FROM feature_columns WHERE name = 'clearest'"));
  try {
    assert.deepEqual(old.clearest(), index.clearest());
    const query = { sort: "clarity", descending: true } as const;
    assert.deepEqual(old.ids(query), index.ids(query));
  } finally {
    old.close();
  }
});

test("an order that names a feature twice, none that exists, or half a number is damage", () => {
  for (const [name, bytes] of [
    ["twice", "0100000001000000"],
    ["foreign", "ffff0000"],
    ["half", "010000"],
  ]) {
    const damaged = changed(`${name}.sqlite`, `UPDATE feature_columns SET data = x'${bytes}' WHERE name = 'clearest'`);
    assert.throws(() => openFeatureIndex(damaged), InputError, name);
  }
});
