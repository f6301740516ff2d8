// What a run remembers of a file: a touch is no change, one byte anywhere is.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { contentState, wholeState } from "../../../src/jobs/fileStates.ts";

const folder = mkdtempSync(join(tmpdir(), "sae-states-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("a byte between the samples of a large file changes the state of the whole of it; a touch does not", () => {
  const path = join(folder, "labels.csv");
  const bytes = Buffer.alloc(8 * 2 ** 20, "0");
  writeFileSync(path, bytes);
  const [whole, samples] = [wholeState(path), contentState(path)];
  utimesSync(path, new Date(0), new Date(0));
  assert.equal(wholeState(path), whole);
  bytes[200_000] = "1".charCodeAt(0);
  writeFileSync(path, bytes);
  assert.equal(contentState(path), samples, "the byte lies between two samples");
  assert.notEqual(wholeState(path), whole);
});
