// Rows of a data file with named columns (.jsonl, .csv, .tsv, .parquet, each plain or .gz), streamed. What a column means is the caller's business.
import { InputError } from "../formats/inputError.ts";
import { csvColumns, csvRecords } from "./csvRecords.ts";
import type { DataRecord } from "./dataRecord.ts";
import { datasetFiles, HUB_DATASET } from "./hub/dataset.ts";
import { jsonLinesColumns, jsonLinesRecords } from "./jsonLines.ts";
import { parquetColumns, parquetRecords } from "./parquetRecords.ts";

/** "hub": a list of a data set's files, which come from the hub when they are read. */
export type DataFormat = "txt" | "jsonl" | "csv" | "tsv" | "parquet" | "hub";

const FORMATS: Readonly<Record<string, DataFormat>> = {
  txt: "txt",
  text: "txt",
  jsonl: "jsonl",
  ndjson: "jsonl",
  csv: "csv",
  tsv: "tsv",
  parquet: "parquet",
  [HUB_DATASET.slice(1)]: "hub",
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
    case "hub":
      return datasetRecords(path, columns);
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

async function columnsOf(path: string): Promise<string[]> {
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
    case "hub":
      for await (const file of datasetFiles(path)) return columnsOf(file);
      return [];
    case "txt":
      throw withoutColumns(path);
  }
}

function withoutColumns(file: string): InputError {
  const expected = "a file with columns: .jsonl, .csv, .tsv, .parquet";
  return new InputError({ file, found: "plain text", expected });
}

/** Those of all the list's files, counted on from one to the next. */
async function* datasetRecords(path: string, columns: readonly string[]): AsyncGenerator<DataRecord> {
  let before = 0;
  for await (const file of datasetFiles(path)) {
    let last = 0;
    for await (const { values, line } of recordsOf(file, columns)) {
      last = line;
      yield { values, line: before + line };
    }
    before += last;
  }
}
