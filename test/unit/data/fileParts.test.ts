// Parts of a large file: together they are the file, lines and characters stay whole, what is no text is refused.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PART_BYTES, readFilePart } from "../../../src/data/fileParts.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();

function written(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function allParts(path: string, bytes: number): Promise<string[]> {
  const { parts } = await readFilePart(path, 1, bytes);
  return Promise.all(Array.from({ length: parts }, async (_, i) => (await readFilePart(path, i + 1, bytes)).text));
}

test("parts begin with lines, and joined they are the file, whatever their size", async () => {
  const text = Array.from(
    { length: 50 },
    (_, i) => `{"id": ${i}, "text": "${"Élan 👩‍⚕️ 日本 ".repeat(i % 4)}"}\r\n`,
  ).join("");
  const path = written("rows.jsonl", text);
  for (const bytes of [137, 200, 1000, 100_000]) {
    const parts = await allParts(path, bytes);
    assert.equal(parts.join(""), text);
    for (const part of parts) assert.match(part, /^(\{"id": |$)/, `parts of ${bytes}`);
  }
});

test("a line longer than a part is cut between characters, and nothing is lost or doubled", async () => {
  for (const text of ["日本語".repeat(40), `${"é👩".repeat(30)}\n${"b".repeat(95)}`]) {
    const path = written("line.txt", text);
    for (const bytes of [7, 10, 31]) assert.equal((await allParts(path, bytes)).join(""), text);
  }
});

test("a part says which it is of how many; the mark of UTF-8 at a file's beginning is no text", async () => {
  const path = written("marked.txt", `\uFEFF${"A line of text.\n".repeat(20)}`);
  const { text, part, parts, bytes } = await readFilePart(path, 1, 100);
  assert.deepEqual([part, parts, bytes], [1, 4, 323]);
  assert.ok(text.startsWith("A line"));
  assert.equal((await readFilePart(written("empty.txt", ""), 1)).text, "");
  assert.equal((await readFilePart(path, 1)).parts, 1, `${PART_BYTES} bytes by default`);
});

test("what is no text, and a part that isn't there, are one error that names the file", async () => {
  await assert.rejects(
    readFilePart(written("image.bin", new Uint8Array(100)), 1),
    /image\.bin: found bytes that are no/,
  );
  await assert.rejects(readFilePart(written("short.txt", "a"), 2), /short\.txt: found part 2, expected 1 to 1/);
  await assert.rejects(readFilePart(join(folder, "gone.txt"), 1), /gone\.txt/);
});
