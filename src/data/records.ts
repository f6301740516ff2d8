// Rows of a data file with named columns (.jsonl, .csv, .tsv, .parquet, each plain or .gz), streamed. What a column means is the caller's business.
import { InputError } from "../formats/inputError.ts";
import { csvColumns, csvRecords } from "./csvRecords.ts";
import type { DataRecord } from "./dataRecord.ts";
import { jsonLinesColumns, jsonLinesRecords } from "./jsonLines.ts";
import { parquetColumns, parquetRecords } from "./parquetRecords.ts";

export type DataFormat = "txt" | "jsonl" | "csv" | "tsv" | "parquet";

const FORMATS: Readonly<Record<string, DataFormat>> = {
  txt: "txt",
  text: "txt",
  jsonl: "jsonl",
  ndjson: "jsonl",
  csv: "csv",
  tsv: "tsv",
  parquet: "parquet",
};

/** By the file's name, ".gz" left aside. */
export function dataFormat(path: string): DataFormat {
  const name = path.toLowerCase().replace(/\.gz$/, "");
  const format = FORMATS[/\.([^./\\]+)$/.exec(name)?.[1] ?? ""];
  if (!format) {
    const expected = "a name that ends in .txt, .jsonl, .csv, .tsv or .parquet, perhaps with .gz behind it";
    throw new InputError({ file: path, found: "a file of unknown format", expected });
  }
  return format;
}

/**
 * Streams a file's records in bounded memory, with the given columns alone.
 * Throws InputError, with the line or row, for whatever is broken or missing, and for a file without any record.
 */
export async function* readRecords(path: string, columns: readonly string[]): AsyncGenerator<DataRecord> {
  let empty = true;
  for await (const record of recordsOf(path, columns)) {
    empty = false;
    yield record;
  }
  if (empty) throw new InputError({ file: path, found: "no records", expected: "at least one" });
}

function recordsOf(path: string, columns: readonly string[]): AsyncGenerator<DataRecord> {
  const format = dataFormat(path);
  switch (format) {
    case "jsonl":
      return jsonLinesRecords(path, columns);
    case "csv":
      return csvRecords(path, columns, ",");
    case "tsv":
      return csvRecords(path, columns, "\t");
    case "parquet":
      return parquetRecords(path, columns);
    case "txt":
      throw withoutColumns(path);
  }
}

/** Names of a file's columns, in its order; of JSON Lines those of the first object. Throws InputError for a file without any. */
export async function columnNames(path: string): Promise<string[]> {
  const names = await columnsOf(path);
  if (names.length > 0) return names;
  throw new InputError({ file: path, found: "no records", expected: "at least one" });
}

function columnsOf(path: string): Promise<string[]> {
  const format = dataFormat(path);
  switch (format) {
    case "jsonl":
      return jsonLinesColumns(path);
    case "csv":
      return csvColumns(path, ",");
    case "tsv":
      return csvColumns(path, "\t");
    case "parquet":
      return parquetColumns(path);
    case "txt":
      throw withoutColumns(path);
  }
}

function withoutColumns(file: string): InputError {
  const expected = "a file with columns: .jsonl, .csv, .tsv, .parquet";
  return new InputError({ file, found: "plain text", expected });
}
