// What Windows refuses while somebody has a file open: tried again, with who keeps it open for long asked to let go. The refusals are made here, since no other system has them.
import assert from "node:assert/strict";
import { existsSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { isWanted, patiently, removePatiently, renamePatiently } from "../../../src/formats/filesInUse.ts";
import { temporaryFolder } from "../fixtures.ts";

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}

test("what is refused for an instant succeeds", async () => {
  const codes = ["EPERM", "EBUSY", "EACCES"];
  const work = async () => {
    const code = codes.pop();
    if (code) throw refusal(code);
    return "done";
  };
  assert.equal(await patiently(work), "done");
});

test("another error is thrown at once, and one that stays after a while", async () => {
  let tries = 0;
  const missing = patiently(async () => {
    tries++;
    throw refusal("ENOENT");
  });
  await assert.rejects(missing, { code: "ENOENT" });
  assert.equal(tries, 1);
  const refused = patiently(async () => {
    tries++;
    throw refusal("EPERM");
  });
  await assert.rejects(refused, { code: "EPERM" });
  assert.ok(tries > 3);
});

test("a folder is asked for only while it is in the way, and nothing of that is left", async () => {
  const folder = join(temporaryFolder(), "bagging");
  const seen: boolean[] = [];
  await patiently(
    async () => {
      seen.push(isWanted(folder));
      if (seen.length < 3) throw refusal("EBUSY");
    },
    { ask: folder },
  );
  assert.deepEqual(seen, [false, true, true]);
  assert.equal(isWanted(folder), false);
  assert.deepEqual(readdirSync(dirname(folder)), []);
});

test("a mark that a killed process left is no wish any more", () => {
  const above = temporaryFolder();
  const mark = join(above, ".bagging.wanted");
  writeFileSync(mark, "");
  assert.equal(isWanted(join(above, "bagging")), true);
  const before = Date.now() / 1000 - 60;
  utimesSync(mark, before, before);
  assert.equal(isWanted(join(above, "bagging")), false);
});

test("renames and removes as node:fs does", async () => {
  const folder = temporaryFolder();
  const [a, b] = [join(folder, "a"), join(folder, "b")];
  writeFileSync(a, "a");
  writeFileSync(b, "b");
  await renamePatiently(a, b, { ask: folder });
  assert.deepEqual(readdirSync(folder), ["b"]);
  await removePatiently(b);
  await removePatiently(b);
  assert.equal(existsSync(b), false);
});
