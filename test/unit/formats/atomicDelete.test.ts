// A folder that is being deleted is there as a whole or not at all, under its name; what a killed deletion left goes with the next.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { deleteFolderAtomic } from "../../../src/formats/atomicDelete.ts";
import { temporaryFolder } from "../fixtures.ts";

const files = 2000;

function makeFolder(folder: string): string {
  mkdirSync(join(folder, "inner"), { recursive: true });
  for (let i = 0; i < files; i++) writeFileSync(join(folder, "inner", `${i}`), "");
  writeFileSync(join(folder, "run.json"), "{}");
  return folder;
}

/** Whether a file of a folder is missing while the folder is there: looked for in this order, since both go in one step. */
function isPart(folder: string): boolean {
  const whole = ["run.json", join("inner", "0"), join("inner", `${files - 1}`)].every((file) =>
    existsSync(join(folder, file)),
  );
  return !whole && existsSync(folder);
}

test("while a folder is deleted, its name never leads to a part of it", async () => {
  const parent = temporaryFolder();
  const folder = makeFolder(join(parent, "run"));
  let over = false;
  const deletion = deleteFolderAtomic(folder).finally(() => {
    over = true;
  });
  let parts = 0;
  for (; !over; await setImmediate()) if (isPart(folder)) parts++;
  await deletion;
  assert.equal(parts, 0);
  assert.deepEqual(readdirSync(parent), []);
});

test("what a deletion that was killed left is deleted with the next folder there, and nothing else hidden", async () => {
  const parent = temporaryFolder();
  makeFolder(join(parent, ".before.00112233aabbccdd.deleted"));
  for (const name of [".git", ".mine.deleted", "other"]) mkdirSync(join(parent, name));
  await deleteFolderAtomic(makeFolder(join(parent, "run")));
  assert.deepEqual(readdirSync(parent).sort(), [".git", ".mine.deleted", "other"]);
});

test("a folder that can't be renamed stays whole", async () => {
  const parent = temporaryFolder();
  await assert.rejects(deleteFolderAtomic(join(parent, "none")), { code: "ENOENT" });
});
