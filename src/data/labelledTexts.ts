// Texts with a label, and for debiasing an attribute, read from named columns of a data file. Which values stand for 1 and 0 is fourCells.ts.
import { InputError } from "../formats/inputError.ts";
import { dataFormat, readRecords } from "./records.ts";

/** Names of the columns. */
export interface LabelledColumns {
  readonly text: string;
  readonly label: string;
  readonly attribute?: string;
}

export interface LabelledText {
  readonly text: string;
  /** As the file has it; numbers and booleans in their usual spelling. */
  readonly label: string;
  /** "" where no attribute was asked for. */
  readonly attribute: string;
  /** Line of the file, from 1; of a Parquet file the row. */
  readonly line: number;
}

export interface LabelledTexts {
  readonly file: string;
  readonly columns: LabelledColumns;
  /** In the order of the file, each text once. */
  readonly texts: readonly LabelledText[];
  /** Records left out because their text is empty or white space. */
  readonly empty: number;
  /** Records left out because their text came before in the file (sameText). */
  readonly repeated: number;
  /** Records left out because a label or an attribute is missing or white space. */
  readonly unlabelled: number;
}

/** Counts of records that were left out. */
export type LeftOut = Pick<LabelledTexts, "empty" | "repeated" | "unlabelled">;

/** What two texts share that are one for a classifier: case, white space and ways to write a character aside. No such text may be in training and test. */
export function sameText(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();
}

/** Those of `held` whose texts (sameText) are not among `learnt`: what is in both files is for training alone. */
export function notLearnt<T>(learnt: readonly T[], held: readonly T[], textOf: (one: T) => string): T[] {
  const known = new Set(learnt.map((one) => sameText(textOf(one))));
  return held.filter((one) => !known.has(sameText(textOf(one))));
}

/** "3 empty texts, 4 unlabelled texts and 2 texts that repeat another", or "" where nothing was left out. */
export function leftOut({ empty, repeated, unlabelled }: LeftOut): string {
  const texts = (count: number): string => (count === 1 ? "text" : "texts");
  const parts = [
    empty > 0 ? `${empty} empty ${texts(empty)}` : "",
    unlabelled > 0 ? `${unlabelled} unlabelled ${texts(unlabelled)}` : "",
    repeated > 0 ? `${repeated} ${texts(repeated)} that ${repeated === 1 ? "repeats" : "repeat"} another` : "",
  ].filter(Boolean);
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** What was left out of two files together. */
export function bothLeftOut(one: LeftOut, other: LeftOut | null): LeftOut {
  return {
    empty: one.empty + (other?.empty ?? 0),
    repeated: one.repeated + (other?.repeated ?? 0),
    unlabelled: one.unlabelled + (other?.unlabelled ?? 0),
  };
}

/**
 * Reads a .jsonl, .csv, .tsv or .parquet file (plain or .gz) whole. Records without a text, a label or an attribute are left
 * out and counted. Throws InputError, naming line and column, for a column that isn't there, a text or a label that is none;
 * and for a file of which no text is left.
 */
export async function readLabelledTexts(file: string, columns: LabelledColumns): Promise<LabelledTexts> {
  const unit = dataFormat(file) === "parquet" ? "row" : "line";
  const names = [columns.text, columns.label, ...(columns.attribute === undefined ? [] : [columns.attribute])];
  const texts: LabelledText[] = [];
  const seen = new Set<string>();
  let [empty, repeated, unlabelled] = [0, 0, 0];
  for await (const { values, line } of readRecords(file, names)) {
    const where = (column: string): string => `${unit} ${line}, column ${column}`;
    const [text, ...labels] = values;
    if (missing(text)) {
      empty++;
      continue;
    }
    if (typeof text !== "string" || !text.isWellFormed()) {
      const found = typeof text === "string" ? "half of a surrogate pair" : describe(text);
      throw new InputError({ file, where: where(columns.text), found, expected: "a text" });
    }
    if (labels.some(missing)) {
      unlabelled++;
      continue;
    }
    const key = sameText(text);
    if (seen.has(key)) {
      repeated++;
      continue;
    }
    seen.add(key);
    const value = (found: unknown, column: string): string => {
      const name = nameOf(found);
      if (name !== null) return name;
      throw new InputError({
        file,
        where: where(column),
        found: describe(found),
        expected: "a label: a word, a whole number, true or false",
      });
    };
    texts.push({
      text,
      label: value(labels[0], columns.label),
      attribute: columns.attribute === undefined ? "" : value(labels[1], columns.attribute),
      line,
    });
  }
  const left = { empty, repeated, unlabelled };
  if (texts.length === 0) {
    const wanted = names.slice(1).map((name) => `a value in column ${name}`);
    throw new InputError({ file, found: `${leftOut(left)} alone`, expected: `a text with ${wanted.join(" and ")}` });
  }
  return { file, columns, texts, ...left };
}

/** How often each value occurs, the most frequent first. */
export function valueCounts(texts: readonly LabelledText[], which: "label" | "attribute"): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text[which], (counts.get(text[which]) ?? 0) + 1);
  return new Map([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

const missing = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === "string" && value.trim() === "");

function nameOf(value: unknown): string | null {
  if (typeof value === "string") return value.trim();
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  return typeof value === "number" && Number.isInteger(value) ? String(value) : null;
}

function describe(value: unknown): string {
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return `the ${typeof value} ${value}`;
}
