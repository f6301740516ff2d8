// Texts out of a file of any supported format, one after the other. Labels and other columns: see records.ts.
import { InputError } from "../formats/inputError.ts";
import { type DocumentSeparator, plainTextDocuments } from "./plainText.ts";
import { dataFormat, readRecords } from "./records.ts";

export interface ReadTextsOptions {
  /** Column that holds the text; "text" by default. A .txt file has that column alone. */
  readonly column?: string | undefined;
  /** For .txt: what separates documents; "auto" by default. */
  readonly documents?: DocumentSeparator | undefined;
}

export interface SourceText {
  readonly text: string;
  /** Line on which the text begins, from 1; of a Parquet file the row, from 1. */
  readonly line: number;
}

/**
 * Streams the texts of a .txt, .jsonl, .csv, .tsv or .parquet file, plain or gzip, in bounded memory. Empty texts are left out.
 * Throws InputError, naming the line or row, for whatever is broken or missing, and for a file without any text.
 */
export async function* readTexts(path: string, options: ReadTextsOptions = {}): AsyncGenerator<SourceText> {
  const { column = "text", documents = "auto" } = options;
  let empty = true;
  for await (const text of dataFormat(path) === "txt"
    ? plainTexts(path, column, documents)
    : columnTexts(path, column)) {
    empty = false;
    yield text;
  }
  if (empty) throw new InputError({ file: path, found: "no text", expected: "at least one text that isn't empty" });
}

function plainTexts(path: string, column: string, documents: DocumentSeparator): AsyncGenerator<SourceText> {
  if (column !== "text") {
    throw new InputError({
      file: path,
      found: `a .txt file, which has no columns`,
      expected: `a file with a column ${column}`,
    });
  }
  return plainTextDocuments(path, documents);
}

async function* columnTexts(path: string, column: string): AsyncGenerator<SourceText> {
  const unit = ["parquet", "hub"].includes(dataFormat(path)) ? "row" : "line";
  for await (const { values, line } of readRecords(path, [column])) {
    const text = values[0];
    if (typeof text !== "string") {
      const where = `${unit} ${line}, column ${column}`;
      throw new InputError({ file: path, where, found: describe(text), expected: "a text" });
    }
    if (!text.isWellFormed()) {
      const where = `${unit} ${line}, column ${column}`;
      throw new InputError({
        file: path,
        where,
        found: "half of a surrogate pair",
        expected: "text that has a UTF-8 form",
      });
    }
    if (text !== "") yield { text, line };
  }
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof Uint8Array) return "bytes that are not UTF-8";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `the ${typeof value} ${value}`;
}
