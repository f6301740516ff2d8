// Exact pair counting against a dense count.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { FiringPairs, firingPairsWithin } from "../../../src/evaluation/firingPairs.ts";
import { sparse } from "./goldenEnsembles.ts";

test("counts the pairs that a dense CᵀC counts, at widths around a word's edges and over several batches", () => {
  const random = new SeededRandom(7);
  for (const width of [1, 31, 32, 33, 64, 65, 150]) {
    const rows = 40;
    const codes = new Float32Array(rows * width).map(() => (random.uniform() < 0.08 ? 1e-30 : 0));
    let expected = 0;
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) {
        let together = false;
        for (let t = 0; t < rows; t++) together ||= codes[t * width + i]! > 0 && codes[t * width + j]! > 0;
        if (together) expected++;
      }
    }
    const pairs = new FiringPairs(width);
    for (let from = 0; from < rows; from += 9) {
      const part = codes.subarray(from * width, (from + 9) * width);
      pairs.add(sparse(part, part.length / width, width));
    }
    assert.equal(pairs.nonzeroPairs(), expected, `width ${width}`);
  }
});

test("memory is what it says, and too little of it is refused by name", () => {
  for (const width of [1, 32, 33, 1000]) {
    const words = (new FiringPairs(width) as unknown as { bits: Uint32Array }).bits;
    assert.equal(FiringPairs.bytes(width), words.byteLength, `width ${width}`);
  }
  assert.ok(FiringPairs.bytes(65_536) < 270 * 2 ** 20);
  assert.ok(firingPairsWithin(1000, FiringPairs.bytes(1000)) instanceof FiringPairs);
  const refused = firingPairsWithin(200_000, 2 ** 30);
  assert.ok(
    "reason" in refused && refused.reason.includes("200,000 features needs 2,385 MiB"),
    JSON.stringify(refused),
  );
});
