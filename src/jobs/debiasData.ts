// The labelled texts of a debiasing: read, thinned to what can be drawn, told apart by cell, and drawn with a seed. Neither model nor ensemble here.
import {
  type CellPairs,
  cellsOf,
  checkPair,
  countCells,
  drawFourCells,
  type FourCellSets,
  onlyPair,
  splitRows,
  TEST_SHARE,
  type ValuePair,
} from "../data/fourCells.ts";
import {
  bothLeftOut,
  type LabelledColumns,
  type LabelledText,
  type LabelledTexts,
  type LeftOut,
  notLearnt,
  readLabelledTexts,
} from "../data/labelledTexts.ts";
import { SeededRandom } from "../data/seededRandom.ts";
import { InputError } from "../formats/inputError.ts";
import type { TextSource } from "./probeRun.ts";

export interface DebiasDataOptions {
  readonly trainFile: string;
  /** Where left out, a share of `trainFile` is held out with each seed. */
  readonly testFile?: string;
  readonly columns: Required<LabelledColumns>;
  /** The column's only two values where left out. */
  readonly label?: ValuePair;
  readonly attribute?: ValuePair;
  readonly seeds: readonly number[];
  /** At most so many texts a cell in the balanced sets. */
  readonly perCell?: { readonly train?: number; readonly test?: number };
}

/** Texts of a cell that are pooled for each one that a balanced set takes: a biased set takes two, and seeds must differ. */
const POOLED_PER_DRAWN = 3;

export interface DebiasData {
  /** Training texts, then those for testing. */
  readonly texts: readonly TextSource[];
  /** Texts of the first file. */
  readonly first: number;
  /** Of the pairs' values, all that either file has; those of `texts` are drawn from them. */
  readonly found: { readonly train: readonly LabelledText[]; readonly test: readonly LabelledText[] | null };
  readonly pairs: CellPairs;
  readonly left: LeftOut;
}

/** Throws InputError for whatever the data lacks. */
export async function readDebiasData(options: DebiasDataOptions): Promise<DebiasData> {
  const { trainFile, testFile, columns } = options;
  const train = await readLabelledTexts(trainFile, columns);
  const test: LabelledTexts | null = testFile === undefined ? null : await readLabelledTexts(testFile, columns);
  const pairs = {
    label: options.label ?? onlyPair(train, "label"),
    attribute: options.attribute ?? onlyPair(train, "attribute"),
  };
  for (const part of test ? [train, test] : [train]) {
    checkPair(part, "label", pairs.label);
    checkPair(part, "attribute", pairs.attribute);
  }
  const used = (data: LabelledTexts): TextSource[] => {
    const cells = cellsOf(data.texts, pairs);
    return data.texts.filter((_, t) => cells[t]! >= 0).map((text) => ({ file: data.file, text }));
  };
  const thin = (sources: TextSource[], drawn: number | undefined): TextSource[] =>
    drawn === undefined ? sources : thinned(sources, pairs, POOLED_PER_DRAWN * drawn, options.seeds[0]!);
  const share = testFile === undefined ? 1 - TEST_SHARE : 1;
  const perCell = options.perCell?.train;
  const own = used(train);
  const learnt = thin(own, perCell === undefined ? undefined : Math.ceil(perCell / share));
  const held = test ? used(test) : [];
  const unknown = notLearnt(learnt, held, ({ text }) => text.text);
  const apart = thin(unknown, options.perCell?.test);
  const left = bothLeftOut(train, test);
  return {
    texts: [...learnt, ...apart],
    first: learnt.length,
    found: { train: own.map(({ text }) => text), test: test && unknown.map(({ text }) => text) },
    pairs,
    left: { ...left, repeated: left.repeated + held.length - unknown.length },
  };
}

/** At most `most` texts of each cell, drawn with the seed, in the order of the file. */
function thinned(sources: readonly TextSource[], pairs: CellPairs, most: number, seed: number): TextSource[] {
  const cells = cellsOf(
    sources.map(({ text }) => text),
    pairs,
  );
  const random = SeededRandom.derive(seed, "texts to pool");
  const kept = [0, 1, 2, 3].flatMap((cell) => {
    const own = Array.from(sources.keys()).filter((at) => cells[at] === cell);
    return random.shuffle(own).slice(0, most);
  });
  return kept.sort((a, b) => a - b).map((at) => sources[at]!);
}

/** Takes texts of no token but special ones, which have no mean, out of the cells; how many they are. `tokens`: of each text. */
export function leaveTokenlessOut(cells: Int8Array, tokens: Uint32Array): number {
  let count = 0;
  for (let t = 0; t < tokens.length; t++)
    if (tokens[t] === 0) {
      cells[t] = -1;
      count++;
    }
  return count;
}

/** Texts of each cell to train on and to test on; `test` is null where the tests are held out of the first. */
export interface TextCounts {
  readonly train: readonly number[];
  readonly test: readonly number[] | null;
}

/** How many texts the files have in each cell, less those that `leaveTokenlessOut` took out of `cells`. */
export function textCounts({ texts, first, found }: DebiasData, pair: CellPairs, cells: Int8Array): TextCounts {
  const of = (all: readonly LabelledText[], from: number, to: number): number[] => {
    const read = texts.slice(from, to).map(({ text }) => text);
    const [file, pooled, left] = [cellsOf(all, pair), cellsOf(read, pair), cells.slice(from, to)].map(countCells);
    return file!.map((count, cell) => count - pooled![cell]! + left![cell]!);
  };
  return {
    train: of(found.train, 0, first),
    test: found.test && of(found.test, first, texts.length),
  };
}

/** The sets of one seed. `pair`: that of the data or its other direction; `cells`: of each text by that pair. */
export function drawDebiasSets(
  data: DebiasData,
  pair: CellPairs,
  cells: Int8Array,
  seed: number,
  options: Pick<DebiasDataOptions, "trainFile" | "testFile" | "perCell">,
): FourCellSets {
  const numbered = (from: number, to: number): Map<number, number> =>
    new Map(Array.from({ length: to - from }, (_, at) => [from + at, cells[from + at]!]));
  const parts =
    options.testFile === undefined
      ? splitRows(cells, seed)
      : { train: numbered(0, data.first), test: numbered(data.first, cells.length) };
  try {
    return drawFourCells(parts.train, parts.test, {
      seed,
      cellNames: cellNames(pair),
      ...(options.perCell && { perCell: options.perCell }),
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError({
      file: options.trainFile,
      found: error.message,
      expected: "more texts, or other groups of values",
    });
  }
}

/** The other direction of a bias. */
export function swapped({ positive, negative }: ValuePair): ValuePair {
  return { positive: negative, negative: positive };
}

/** In the order of CellCounts. */
export function cellNames({ label, attribute }: CellPairs): string[] {
  const side = ({ positive, negative }: ValuePair): string[] => [positive.join("+"), negative.join("+")];
  return side(label).flatMap((y) => side(attribute).map((a) => `${y} · ${a}`));
}
