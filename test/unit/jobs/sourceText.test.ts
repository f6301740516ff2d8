// From a token of the index back to its text: the place in the file, or in a document of a packed one.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { parseExperiment } from "../../../src/jobs/experiment.ts";
import { RunFolder } from "../../../src/jobs/runFolder.ts";
import { sourcePlace } from "../../../src/jobs/sourceText.ts";
import { temporaryFolder } from "../fixtures.ts";

/** A run folder over a text file. */
async function runOver(file: string, contents: string | Buffer): Promise<{ run: string; path: string }> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "model"));
  const path = join(folder, file);
  writeFileSync(path, contents);
  const settings = {
    model_name: "model",
    hook_name: "blocks.1.hook_resid_post",
    dataset_path: file,
    sae: { architecture: "topk", d_sae: 64, k: 4 },
  };
  const experiment = parseExperiment(JSON.stringify(settings), join(folder, "tiny.sae.jsonc"));
  const run = await RunFolder.open(experiment, ["index"]);
  await run.close();
  return { run: run.folder, path };
}

/** The bytes of `word` in `text`. */
function bytesOf(text: string, word: string): { start: number; end: number } {
  const start = Buffer.from(text.slice(0, text.indexOf(word))).length;
  return { start, end: start + Buffer.from(word).length };
}

const second = "Sœur Anne,\nma sœur, ne vois-tu rien venir ?";
const plain = `The nurse ran.\n\n\n${second}\n\nEnd.\n`;

test("in a plain text file: line and column of the token, without the space before it", async () => {
  const { run, path } = await runOver("text.txt", plain);
  const place = await sourcePlace(run, { document: 1, ...bytesOf(second, " vois"), token: " vois" });
  assert.deepEqual([place.file, place.plain, place.line, place.changed], [path, true, 4, false]);
  const lines = plain.split("\n");
  assert.deepEqual(place.from, { line: 4, character: lines[4]!.indexOf("vois") });
  assert.equal(lines[4]!.slice(place.from.character, place.to.character), "vois");
});

for (const [file, contents] of [
  ["text.txt.gz", gzipSync(plain)],
  ["text.jsonl", `${JSON.stringify({ text: "The nurse ran." })}\n${JSON.stringify({ text: second })}\n`],
] as const)
  test(`in ${file}: the document, and the place in it`, async () => {
    const { run } = await runOver(file, contents);
    const place = await sourcePlace(run, { document: 1, ...bytesOf(second, " sœur"), token: " sœur" });
    assert.deepEqual([place.plain, place.text, place.changed], [false, second, false]);
    assert.deepEqual(
      [place.from, place.to],
      [
        { line: 1, character: 3 },
        { line: 1, character: 7 },
      ],
    );
  });

test("a text that changed since says so, one that lost the document is an error", async () => {
  const { run, path } = await runOver("text.txt", plain);
  writeFileSync(path, plain.replace("vois-tu", "dis-moi"));
  const question = { document: 1, ...bytesOf(second, " vois"), token: " vois" };
  assert.equal((await sourcePlace(run, question)).changed, true);
  writeFileSync(path, "The nurse ran.\n");
  await assert.rejects(sourcePlace(run, question), /found 1 documents, expected a document 2/);
});
