// Flags, labels and notes on disk: merged with what others wrote, undone, refused when damaged.
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Annotations } from "../../../src/features/annotations.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();

test("a line a feature, in order, and nothing for a feature without anything", async () => {
  const path = join(folder, "order.json");
  const annotations = await Annotations.open(path);
  annotations.edit([
    { feature: "10/2", flagged: true },
    { feature: "2/1047", label: 'says "she"', note: "line\nbreak" },
    { feature: "2/9", flagged: true, label: "x" },
    { feature: "0/1", label: "gone" },
    { feature: "0/1", label: null },
  ]);
  await annotations.save();
  assert.equal(
    await readFile(path, "utf8"),
    `{
  "format_version": 1,
  "features": {
    "2/9": {"flagged":true,"label":"x"},
    "2/1047": {"label":"says \\"she\\"","note":"line\\nbreak"},
    "10/2": {"flagged":true}
  }
}
`,
  );
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name !== "order.json"),
    [],
  );
});

test("two windows on one file: both keep what they wrote, field by field", async () => {
  const path = join(folder, "shared.json");
  const [one, two] = [await Annotations.open(path), await Annotations.open(path)];
  one.edit([{ feature: "0/1", flagged: true }]);
  two.edit([
    { feature: "0/1", label: "pronouns" },
    { feature: "1/5", note: "check" },
  ]);
  await Promise.all([one.save(), two.save()]);
  await one.reload();
  assert.deepEqual(one.get("0/1"), { flagged: true, label: "pronouns" });
  assert.deepEqual(one.get("1/5"), { note: "check" });
});

test("an unsaved edit survives a reload, and an edit made during a save is saved by the next", async () => {
  const path = join(folder, "pending.json");
  const mine = await Annotations.open(path);
  mine.edit([{ feature: "0/1", label: "mine" }]);
  await writeFile(path, '{"format_version": 1, "features": {"0/1": {"label": "theirs", "flagged": true}, "0/2": {}}}');
  await mine.reload();
  assert.deepEqual(mine.get("0/1"), { label: "mine", flagged: true });
  assert.equal(mine.dirty, true);
  const saving = mine.save();
  mine.edit([{ feature: "0/3", flagged: true }]);
  await saving;
  assert.deepEqual(mine.get("0/3"), { flagged: true });
  await mine.save();
  assert.equal(mine.dirty, false);
  assert.deepEqual((await Annotations.open(path)).get("0/3"), { flagged: true });
});

test("every edit can be undone", async () => {
  const annotations = await Annotations.open(join(folder, "undo.json"));
  annotations.edit([{ feature: "0/1", label: "first" }]);
  const undo = annotations.edit([
    { feature: "0/1", label: "second", flagged: true },
    { feature: "0/1", label: "third" },
    { feature: "0/2", note: "n" },
  ]);
  annotations.edit(undo);
  assert.deepEqual(annotations.get("0/1"), { label: "first" });
  assert.deepEqual(annotations.get("0/2"), {});
});

test("keys of a later version are kept", async () => {
  const path = join(folder, "later.json");
  await writeFile(
    path,
    '{"format_version": 1, "ensemble": "abc", "features": {"0/1": {"label": "a", "colour": "red"}}}',
  );
  const annotations = await Annotations.open(path);
  annotations.edit([{ feature: "0/1", label: "b" }]);
  await annotations.save();
  assert.deepEqual(JSON.parse(await readFile(path, "utf8")), {
    format_version: 1,
    ensemble: "abc",
    features: { "0/1": { label: "b", colour: "red" } },
  });
});

test("names become ids; names outside the members are left out", async () => {
  const annotations = await Annotations.open(join(folder, "ids.json"));
  annotations.edit([
    { feature: "0/1", flagged: true },
    { feature: "1/2", label: "b" },
    { feature: "1/5", label: "c" },
    { feature: "7/0", label: "d" },
  ]);
  assert.deepEqual(
    annotations.byId([
      { first: 0, size: 4 },
      { first: 4, size: 5 },
    ]),
    new Map([
      [1, { flagged: true }],
      [6, { label: "b" }],
    ]),
  );
  assert.deepEqual(annotations.get("__proto__"), {});
  assert.throws(() => annotations.edit([{ feature: "__proto__", label: "x" }]), RangeError);
});

test("a damaged file is refused and never written over", async () => {
  const cases: [string, RegExp][] = [
    ["<<<<<<< HEAD\n{}", /conflict/],
    ['{"format_version": 2, "features": {}}', /format_version/],
    ['{"format_version": 1, "features": {"she": {}}}', /features/],
    ['{"format_version": 1, "features": {"0/1": {"flagged": "yes"}}}', /flagged/],
    ["[]", /found/],
  ];
  for (const [number, [text, message]] of cases.entries()) {
    const path = join(folder, `bad${number}.json`);
    const annotations = await Annotations.open(path);
    annotations.edit([{ feature: "0/1", flagged: true }]);
    await writeFile(path, text);
    const refused = (error: unknown) => error instanceof InputError && message.test(error.message);
    await assert.rejects(annotations.save(), refused);
    await assert.rejects(Annotations.open(path), refused);
    assert.equal(await readFile(path, "utf8"), text);
    assert.equal(annotations.dirty, true);
  }
});
