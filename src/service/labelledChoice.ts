// A labelled file as a person chooses from it: its columns, guessed by name and content, and how many texts each pair of values has.
import { stat } from "node:fs/promises";
import { leastTexts } from "../data/fourCells.ts";
import {
  bothLeftOut,
  type LabelledColumns,
  type LabelledTexts,
  leftOut,
  notLearnt,
  readLabelledTexts,
} from "../data/labelledTexts.ts";
import { columnNames, readRecords } from "../data/records.ts";
import { InputError } from "../formats/inputError.ts";
import type { Columns, LabelledData } from "../protocol/labelledData.ts";

export interface LabelledQuestion {
  readonly trainFile: string;
  readonly testFile: string | null;
  readonly columns: Columns | null;
  readonly attribute: boolean;
}

/** Records that a guess looks at. */
const LOOKED_AT = 200;
/** More values than these make no label. */
const MOST_VALUES = 60;
/** Names that people give such columns, the likeliest first. */
const NAMES = {
  text: ["text", "bio", "hard_text", "content", "sentence", "review", "document", "prompt"],
  label: ["profession", "label", "class", "category", "job", "occupation", "topic", "target", "language"],
  attribute: ["gender", "attribute", "sex", "spurious", "group", "race"],
};

/** Throws InputError for a file that isn't there or has no columns; what else is wrong stands beside the columns to choose. */
export async function describeLabelled(question: LabelledQuestion): Promise<LabelledData> {
  const { trainFile, testFile, attribute } = question;
  for (const file of testFile === null ? [trainFile] : [trainFile, testFile])
    await stat(file).catch(() => {
      throw new InputError({ file, found: "no such file", expected: "labelled texts" });
    });
  const names = await columnNames(trainFile);
  const known = question.columns;
  const columns =
    known && [known.text, known.label, ...(attribute ? [known.attribute] : [])].every((name) => names.includes(name))
      ? known
      : await guessed(trainFile, names);
  const { text, label } = columns;
  const hold = testFile === null;
  return {
    trainFile,
    testFile,
    names,
    columns,
    least: { agree: leastTexts(true, hold), differ: leastTexts(false, hold) },
    ...(await readBoth(trainFile, testFile, attribute ? columns : { text, label })),
  };
}

/** What the columns hold, or why they can't be read. */
async function readBoth(
  trainFile: string,
  testFile: string | null,
  columns: LabelledColumns,
): Promise<Pick<LabelledData, "counts" | "leftOut" | "trouble">> {
  try {
    const train = await readLabelledTexts(trainFile, columns);
    const test = testFile === null ? null : await readLabelledTexts(testFile, columns);
    const own = test && { ...test, texts: notLearnt(train.texts, test.texts, ({ text }) => text) };
    const left = bothLeftOut(train, test);
    const shared = test && own ? test.texts.length - own.texts.length : 0;
    return {
      counts: counted(train, own),
      leftOut: leftOut({ ...left, repeated: left.repeated + shared }),
      trouble: "",
    };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { counts: [], leftOut: "", trouble: error.message };
  }
}

function counted(train: LabelledTexts, test: LabelledTexts | null): LabelledData["counts"] {
  const pairs = new Map<string, { label: string; attribute: string; train: number; test: number | null }>();
  const add = (texts: LabelledTexts, part: "train" | "test"): void => {
    for (const { label, attribute } of texts.texts) {
      const key = JSON.stringify([label, attribute]);
      const pair = pairs.get(key) ?? { label, attribute, train: 0, test: test ? 0 : null };
      pair[part] = (pair[part] ?? 0) + 1;
      pairs.set(key, pair);
    }
  };
  add(train, "train");
  if (test) add(test, "test");
  return [...pairs.values()].sort((a, b) => b.train - a.train || (a.label < b.label ? -1 : 1));
}

/** By name where one fits, otherwise the column of the longest words for the text, and those of few values for label and attribute. */
async function guessed(file: string, names: readonly string[]): Promise<Columns> {
  const attributeByName = named(names, "attribute");
  const byName = {
    text: named(names, "text"),
    label: named(
      names.filter((name) => name !== attributeByName),
      "label",
    ),
    attribute: attributeByName,
  };
  if (byName.text && byName.label && byName.attribute) return byName as Columns;
  const { length, values } = await firstRecords(file, names);
  const byLength = [...names].sort((a, b) => length.get(b)! - length.get(a)!);
  const text = byName.text ?? byLength[0]!;
  const few = (taken: readonly string[]): string | undefined =>
    names
      .filter((name) => !taken.includes(name) && values.get(name)!.size > 1 && values.get(name)!.size <= MOST_VALUES)
      .sort((a, b) => values.get(b)!.size - values.get(a)!.size)[0];
  const label =
    byName.label ?? few([text, ...(attributeByName ? [attributeByName] : [])]) ?? few([text]) ?? byLength[1] ?? text;
  const attribute = byName.attribute ?? few([text, label]) ?? label;
  return { text, label, attribute };
}

/** Of each column, how long its words are together and which values it has, in the first records that can be read. */
async function firstRecords(file: string, names: readonly string[]) {
  const length = new Map(names.map((name) => [name, 0]));
  const values = new Map(names.map((name) => [name, new Set<unknown>()]));
  let seen = 0;
  try {
    for await (const { values: record } of readRecords(file, names)) {
      for (const [at, name] of names.entries()) {
        const value = record[at];
        if (typeof value === "string") length.set(name, length.get(name)! + value.length);
        values.get(name)!.add(value);
      }
      if (++seen === LOOKED_AT) break;
    }
  } catch (error) {
    // What is wrong is said when the columns are read.
    if (!(error instanceof InputError)) throw error;
  }
  return { length, values };
}

/** The column of such a name, or, for what is no text, with it as a word of its name, accents and case aside: "Gender (self-described)". */
function named(names: readonly string[], which: keyof typeof NAMES): string | undefined {
  const plain = (name: string): string => name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const holding = (word: string): string | undefined =>
    which === "text"
      ? undefined
      : names.find((name) =>
          plain(name)
            .split(/[^a-z0-9]+/)
            .includes(word),
        );
  for (const word of NAMES[which]) {
    const found = names.find((name) => plain(name) === word) ?? holding(word);
    if (found !== undefined) return found;
  }
  return undefined;
}
