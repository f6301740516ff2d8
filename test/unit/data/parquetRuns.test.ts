// Runs and deltas of Parquet pages, made by hand: their ends and sums are found, and those that are longer than their page are refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkDeltas, checkRuns } from "../../../src/data/parquetRuns.ts";

const view = (...bytes: number[]) => new DataView(Uint8Array.from(bytes).buffer);

test("ones are counted in runs of one value and in those packed by bits, up to the last value", () => {
  // Five ones; three zeros; eight bits, of which the last two only fill the byte.
  assert.equal(checkRuns(view(5 << 1, 1, 3 << 1, 0, (1 << 1) | 1, 0b11000111), 0, 1, 14), 5 + 3);
});

test("values of many bits are passed over", () => {
  assert.equal(checkRuns(view(9, 9, 4 << 1, 255, 1, (1 << 1) | 1, ...Array(9).fill(255)), 2, 9, 10), 0);
});

const tooLong: Record<string, DataView> = {
  "a run of two thousand million": view(0xfe, 0xff, 0xff, 0xff, 0x0f, 1),
  "a run of one more than there are": view(11 << 1, 1),
  "bits of two thousand million": view(0xff, 0xff, 0xff, 0xff, 0x0f, 1),
  "no end": view(4 << 1, 1),
  "runs of nothing": view(...Array(100).fill(0)),
};
for (const [what, page] of Object.entries(tooLong))
  test(`refused: ${what}`, () => {
    assert.throws(() => checkRuns(page, 0, 1, 10), RangeError);
  });

/** Blocks of 128 in four parts: 1, then differences of 2 and, packed in two bits above that, 0 to 3. */
const deltas = [0x80, 0x01, 4, 10, 2, 4, 2, 0, 0, 0, 0b11100100, 0b11100100, ...Array(6).fill(0)];

test("deltas: their sum and their end", () => {
  const values = [1, 3, 6, 10, 15, 17, 20, 24, 29, 31];
  assert.deepEqual(checkDeltas(view(7, ...deltas), 1, values.length), {
    end: 1 + deltas.length,
    sum: values.reduce((sum, value) => sum + value, 0),
  });
});

test("refused: deltas in no parts, or that end before the last", () => {
  assert.throws(() => checkDeltas(view(0, 0, 10, 2, ...Array(100).fill(0)), 0, 10), /blocks of 0 in 0 parts/);
  assert.throws(() => checkDeltas(view(0x80, 0x01, 0x80, 0x80, 0x80, 0x80, 0x08, 10, 2, 4), 0, 10), /blocks of 128 in/);
  assert.throws(() => checkDeltas(view(...deltas.slice(0, 8)), 0, 10), RangeError);
});
