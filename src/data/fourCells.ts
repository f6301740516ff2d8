// Label and attribute make four cells of texts; from them come the sets that debiasing needs: one where they agree (biased) and one with all four alike (balanced), drawn with a seed, training and test apart.
import { InputError } from "../formats/inputError.ts";
import { type LabelledText, type LabelledTexts, valueCounts } from "./labelledTexts.ts";
import { SeededRandom } from "./seededRandom.ts";

/** Values that stand for 1 and those that stand for 0; texts with any other value are left out. */
export interface ValuePair {
  readonly positive: readonly string[];
  readonly negative: readonly string[];
}

export interface CellPairs {
  readonly label: ValuePair;
  /** The biased set holds label and attribute both 1 or both 0; swap the attribute's sides for the other direction. */
  readonly attribute: ValuePair;
}

/** In this order everywhere: label 1 with attribute 1, 1 with 0, 0 with 1, 0 with 0. */
export type CellCounts = readonly [number, number, number, number];

/** Below these a set can be drawn but says little: a cell's accuracy moves by one in so many. */
export const FEW_TRAIN = 100;
export const FEW_TEST = 50;
/** Below these there is nothing to draw. */
export const LEAST_TRAIN = 10;
export const LEAST_TEST = 5;

/** Share of one file's texts that are for testing, where no file of its own is given for that. */
export const TEST_SHARE = 0.3;

/** Of a cell's texts, those that are held out. */
const heldOut = (texts: number): number => Math.round(texts * TEST_SHARE);

/** Texts that a cell must have so that anything can be drawn, in the file to train on and in that to test on. */
export interface LeastTexts {
  readonly train: number;
  readonly test: number;
}

/** `agree`: for the two cells that the biased set takes twice as many from. `hold`: one file, of which a share is held out. */
export function leastTexts(agree: boolean, hold: boolean): LeastTexts {
  const [train, test] = agree ? [2 * LEAST_TRAIN, 2 * LEAST_TEST] : [LEAST_TRAIN, LEAST_TEST];
  if (!hold) return { train, test };
  let all = train + test;
  while (heldOut(all) < test || all - heldOut(all) < train) all++;
  return { train: all, test: 0 };
}

/**
 * The pair to use where a person named none: the column's two values, in alphabetical order. Throws InputError where the
 * column has one value only or more than two, naming them.
 */
export function onlyPair(data: LabelledTexts, which: "label" | "attribute"): ValuePair {
  const values = [...valueCounts(data.texts, which).keys()].sort();
  const column = data.columns[which] ?? which;
  if (values.length === 2) return { positive: [values[0]!], negative: [values[1]!] };
  const listed = values.slice(0, 12).join(", ") + (values.length > 12 ? ", …" : "");
  throw new InputError({
    file: data.file,
    where: `column ${column}`,
    found: values.length === 1 ? `one value only: ${listed}` : `${values.length} values: ${listed}`,
    expected:
      values.length === 1
        ? "two at least"
        : `two, or a word on which stand for 1 and which for 0: ${which}s of the experiment, on the command line --${which}s a,b/c`,
  });
}

/** Throws InputError where a value of a pair isn't in the data, or stands on both sides. */
export function checkPair(data: LabelledTexts, which: "label" | "attribute", pair: ValuePair): void {
  const counts = valueCounts(data.texts, which);
  const where = `column ${data.columns[which] ?? which}`;
  for (const value of [...pair.positive, ...pair.negative]) {
    if (counts.has(value)) continue;
    const listed = [...counts.keys()].slice(0, 12).join(", ") + (counts.size > 12 ? ", …" : "");
    throw new InputError({ file: data.file, where, found: `no "${value}"`, expected: `one of ${listed}` });
  }
  const both = pair.positive.find((value) => pair.negative.includes(value));
  if (both === undefined && pair.positive.length > 0 && pair.negative.length > 0) return;
  const found = both === undefined ? "no value for one of the sides" : `"${both}" on both sides`;
  throw new InputError({ file: data.file, where, found, expected: "different values for 1 and for 0" });
}

/** Cell of each text, 0 to 3 in the order of CellCounts; −1 for a text of other values. */
export function cellsOf(texts: readonly LabelledText[], { label, attribute }: CellPairs): Int8Array {
  const side = (value: string, pair: ValuePair): number =>
    pair.positive.includes(value) ? 0 : pair.negative.includes(value) ? 1 : -1;
  return Int8Array.from(texts, (text) => {
    const [y, a] = [side(text.label, label), side(text.attribute, attribute)];
    return y < 0 || a < 0 ? -1 : 2 * y + a;
  });
}

export function countCells(cells: Int8Array): CellCounts {
  const counts: [number, number, number, number] = [0, 0, 0, 0];
  for (const cell of cells) if (cell >= 0) counts[cell]!++;
  return counts;
}

/** Rows of a set in a shuffled order, with label and attribute of each, 0 or 1. */
export interface CellSet {
  readonly rows: Uint32Array;
  readonly labels: Uint8Array;
  readonly attributes: Uint8Array;
}

export interface FourCellSets {
  readonly seed: number;
  /** m: rows that each cell gives to the balanced set. */
  readonly perCell: { readonly train: number; readonly test: number };
  /** 2m rows of each cell in which label and attribute agree. */
  readonly biased: { readonly train: CellSet; readonly test: CellSet };
  /** m rows of each cell. */
  readonly balanced: { readonly train: CellSet; readonly test: CellSet };
  /** What is doubtful about them, for people. */
  readonly warnings: readonly string[];
}

export interface DrawOptions {
  readonly seed: number;
  /** At most so many rows a cell in the balanced sets; as many as there are where left out. */
  readonly perCell?: { readonly train?: number; readonly test?: number };
  /** What errors and warnings call the cells; "y1a1", … where left out. */
  readonly cellNames?: readonly string[];
}

/**
 * Draws the sets as SAEBench does: with m rows a cell, the balanced set has the first m of each shuffled cell, the biased one
 * the first 2m of the two agreeing cells, so that both are 4m rows and as many steps of training.
 * `train` and `test`: the rows that may be drawn, each with its cell; a row stands in one of them only (splitRows).
 * Throws RangeError, with the counts, where a cell has too few.
 */
export function drawFourCells(
  train: ReadonlyMap<number, number>,
  test: ReadonlyMap<number, number>,
  { seed, perCell = {}, cellNames = ["y1a1", "y1a0", "y0a1", "y0a0"] }: DrawOptions,
): FourCellSets {
  for (const row of test.keys()) if (train.has(row)) throw new RangeError(`row ${row} is in training and test`);
  const warnings: string[] = [];
  const draw = (part: "train" | "test", rows: ReadonlyMap<number, number>, least: number, few: number) => {
    const cells: number[][] = [[], [], [], []];
    for (const [row, cell] of rows) if (cell >= 0) cells[cell]!.push(row);
    const random = SeededRandom.derive(seed, "four cells", part);
    for (const cell of cells) random.shuffle(cell);
    const room = cells.map((cell, at) => (at === 0 || at === 3 ? Math.floor(cell.length / 2) : cell.length));
    const m = Math.min(perCell[part] ?? Number.POSITIVE_INFINITY, ...room);
    const listed = cells.map((cell, at) => `${cellNames[at]} ${cell.length}`).join(", ");
    const purpose = part === "train" ? "training" : "testing";
    if (m < least)
      throw new RangeError(
        `too few texts for ${purpose}: ${listed}; ${least} a cell are needed, and ${2 * least} where label and attribute agree`,
      );
    if (m < few)
      warnings.push(
        `only ${m} texts a cell for ${purpose}${m === perCell[part] ? ", as asked for" : ` (${listed})`}; under ${few} the results say little`,
      );
    const set = (chosen: number[][]): CellSet => {
      const all = chosen.flatMap((own, cell) => own.map((row) => [row, cell] as const));
      random.shuffle(all);
      return {
        rows: Uint32Array.from(all, ([row]) => row),
        labels: Uint8Array.from(all, ([, cell]) => (cell < 2 ? 1 : 0)),
        attributes: Uint8Array.from(all, ([, cell]) => (cell % 2 === 0 ? 1 : 0)),
      };
    };
    return {
      m,
      balanced: set(cells.map((cell) => cell.slice(0, m))),
      biased: set(cells.map((cell, at) => (at === 0 || at === 3 ? cell.slice(0, 2 * m) : []))),
    };
  };
  const drawn = { train: draw("train", train, LEAST_TRAIN, FEW_TRAIN), test: draw("test", test, LEAST_TEST, FEW_TEST) };
  return {
    seed,
    perCell: { train: drawn.train.m, test: drawn.test.m },
    biased: { train: drawn.train.biased, test: drawn.test.biased },
    balanced: { train: drawn.train.balanced, test: drawn.test.balanced },
    warnings,
  };
}

/** Splits rows with a seed, cell by cell, so that training and test have the same make-up. */
export function splitRows(
  cells: Int8Array,
  seed: number,
): { readonly train: Map<number, number>; readonly test: Map<number, number> } {
  const random = SeededRandom.derive(seed, "split");
  const train = new Map<number, number>();
  const test = new Map<number, number>();
  for (const cell of [0, 1, 2, 3]) {
    const rows = Array.from(cells.keys()).filter((row) => cells[row] === cell);
    random.shuffle(rows);
    const held = heldOut(rows.length);
    for (const [at, row] of rows.entries()) (at < held ? test : train).set(row, cell);
  }
  return { train, test };
}
