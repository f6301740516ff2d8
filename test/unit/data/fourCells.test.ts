// The four cells: counting, drawing with a seed, no text in training and test, and every way in which there is too little.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cellsOf,
  checkPair,
  countCells,
  drawFourCells,
  type FourCellSets,
  leastTexts,
  onlyPair,
  splitRows,
} from "../../../src/data/fourCells.ts";
import type { LabelledTexts } from "../../../src/data/labelledTexts.ts";

function data(rows: readonly (readonly [string, string])[]): LabelledTexts {
  return {
    file: "bios.csv",
    columns: { text: "bio", label: "job", attribute: "sex" },
    texts: rows.map(([label, attribute], at) => ({ text: `text ${at}`, label, attribute, line: at + 2 })),
    empty: 0,
    repeated: 0,
    unlabelled: 0,
  };
}

/** `counts` texts of each cell, in the order of CellCounts. */
function cells(counts: readonly number[]): Int8Array {
  return Int8Array.from(counts.flatMap((n, cell) => Array.from({ length: n }, () => cell)));
}

const pairs = {
  label: { positive: ["writer", "actor"], negative: ["chef"] },
  attribute: { positive: ["m"], negative: ["f"] },
};

test("groups of values stand for 1 and 0; other values are left out", () => {
  const { texts } = data([
    ["writer", "m"],
    ["actor", "f"],
    ["chef", "m"],
    ["chef", "f"],
    ["pilot", "m"],
    ["chef", "x"],
  ]);
  const found = cellsOf(texts, pairs);
  assert.deepEqual(Array.from(found), [0, 1, 2, 3, -1, -1]);
  assert.deepEqual(countCells(found), [1, 1, 1, 1]);
});

test("a column with two values needs no pair; one or three are refused by name", () => {
  const two = data([
    ["b", "m"],
    ["a", "m"],
    ["a", "f"],
    ["a", "x"],
  ]);
  assert.deepEqual(onlyPair(two, "label"), { positive: ["a"], negative: ["b"] });
  assert.throws(() => onlyPair(two, "attribute"), /bios.csv, column sex: found 3 values: f, m, x, expected two/);
  assert.throws(
    () => onlyPair(data([["a", "m"]]), "label"),
    /column job: found one value only: a, expected two at least/,
  );
});

test("pairs are held against the data", () => {
  const some = data([
    ["writer", "m"],
    ["chef", "f"],
  ]);
  assert.throws(
    () => checkPair(some, "label", pairs.label),
    /column job: found no "actor", expected one of chef, writer/,
  );
  const twice = { positive: ["chef"], negative: ["chef"] };
  assert.throws(() => checkPair(some, "label", twice), /"chef" on both sides/);
  assert.throws(() => checkPair(some, "label", { positive: [], negative: ["chef"] }), /no value for one of the sides/);
});

test("sets: biased where label and attribute agree, balanced over four cells, of one size, training and test apart", () => {
  const all = cells([900, 500, 480, 1000]);
  const { train, test: held } = splitRows(all, 4);
  assert.equal(held.size, 270 + 150 + 144 + 300);
  const sets = drawFourCells(train, held, { seed: 4 });
  assert.deepEqual(sets.perCell, { train: 315, test: 135 });
  check(sets, all);
  assert.deepEqual(sets.warnings, []);
  const learnt = new Set([...sets.biased.train.rows, ...sets.balanced.train.rows]);
  for (const part of [sets.biased.test, sets.balanced.test]) for (const row of part.rows) assert.ok(!learnt.has(row));
  assert.deepEqual(drawFourCells(train, held, { seed: 4 }), sets);
  assert.notDeepEqual(drawFourCells(train, held, { seed: 5 }).biased.train.rows, sets.biased.train.rows);
  assert.deepEqual(drawFourCells(train, held, { seed: 4, perCell: { train: 40 } }).perCell, { train: 40, test: 135 });
});

function check(sets: FourCellSets, all: Int8Array): void {
  for (const part of ["train", "test"] as const) {
    const m = sets.perCell[part];
    for (const [kind, expected] of [
      ["balanced", [m, m, m, m]],
      ["biased", [2 * m, 0, 0, 2 * m]],
    ] as const) {
      const { rows, labels, attributes } = sets[kind][part];
      assert.equal(new Set(rows).size, rows.length);
      const counts = [0, 0, 0, 0];
      for (const [at, row] of rows.entries()) {
        assert.equal(2 * (1 - labels[at]!) + (1 - attributes[at]!), all[row]);
        counts[all[row]!]!++;
      }
      assert.deepEqual(counts, expected);
    }
    const biased = new Set(sets.biased[part].rows);
    const shared = sets.balanced[part].rows.filter((row) => biased.has(row));
    assert.equal(shared.length, 2 * m, "the balanced rows of the agreeing cells are part of the biased ones");
  }
}

test("too few in a cell is said with the counts; few is a warning", () => {
  const names = ["writers, men", "writers, women", "chefs, men", "chefs, women"];
  const draw = (counts: number[]) => {
    const { train, test: held } = splitRows(cells(counts), 1);
    return drawFourCells(train, held, { seed: 1, cellNames: names });
  };
  assert.throws(
    () => draw([100, 100, 9, 100]),
    /too few texts for training: writers, men 70, writers, women 70, chefs, men 6, chefs, women 70; 10 a cell/,
  );
  assert.throws(() => draw([20, 100, 100, 100]), /too few texts for training: writers, men 14/);
  assert.match(draw([100, 60, 60, 100]).warnings[0]!, /only 35 texts a cell for training .*under 100/);
  const { train, test: held } = splitRows(cells([100, 60, 60, 100]), 1);
  const asked = drawFourCells(train, held, { seed: 1, cellNames: names, perCell: { train: 10, test: 60 } });
  assert.match(asked.warnings[0]!, /^only 10 texts a cell for training, as asked for; under 100/);
});

test("the least that a cell must have, held out or with a file to test on: one text fewer and nothing is drawn", () => {
  const least = (hold: boolean) => [true, false, false, true].map((agree) => leastTexts(agree, hold));
  const drawn = (counts: readonly { train: number; test: number }[], hold: boolean): boolean => {
    const [train, held] = [cells(counts.map((one) => one.train)), cells(counts.map((one) => one.test))];
    const rows = (own: Int8Array, from: number) => new Map(Array.from(own, (cell, at) => [from + at, cell]));
    const parts = hold ? splitRows(train, 1) : { train: rows(train, 0), test: rows(held, 1000) };
    try {
      drawFourCells(parts.train, parts.test, { seed: 1 });
      return true;
    } catch {
      return false;
    }
  };
  for (const hold of [true, false]) {
    assert.equal(drawn(least(hold), hold), true);
    for (const short of [0, 1, 2, 3])
      for (const part of hold ? (["train"] as const) : (["train", "test"] as const)) {
        const counts = least(hold).map((one, cell) => (cell === short ? { ...one, [part]: one[part] - 1 } : one));
        assert.equal(drawn(counts, hold), false, `${hold} ${short} ${part}`);
      }
  }
});

test("a row in training and test is refused", () => {
  const both = new Map([[3, 0]]);
  assert.throws(() => drawFourCells(both, both, { seed: 1 }), /row 3 is in training and test/);
});
