// Records of a CSV or TSV file whose first row names the columns (RFC 4180 quoting; line ends inside fields allowed).
import { Readable } from "node:stream";
import { type CsvError, type Info, parse } from "csv-parse";
import { InputError } from "../formats/inputError.ts";
import { type DataRecord, missingColumn } from "./dataRecord.ts";
import { LONGEST_TEXT, lineBlocks } from "./lineBlocks.ts";

/** Every row's values of the given columns, as strings; empty lines are passed over. "\r\n" is read as "\n", in fields too. */
export async function* csvRecords(
  path: string,
  columns: readonly string[],
  delimiter: "," | "\t",
): AsyncGenerator<DataRecord> {
  const source = Readable.from(unixLineEnds(path));
  const parser = parse({
    delimiter,
    record_delimiter: "\n",
    info: true,
    skip_empty_lines: true,
    max_record_size: LONGEST_TEXT,
  });
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  let indices: number[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      if (!indices) {
        indices = indicesOf(path, record, columns, info.lines);
        continue;
      }
      // csv-parse counts up to the record's end.
      const line = info.lines - record.reduce((sum, field) => sum + field.split("\n").length - 1, 0);
      yield { values: indices.map((index) => record[index]), line };
    }
  } catch (error) {
    throw asRowError(error, path);
  } finally {
    source.destroy();
  }
}

/** Names of the columns, as the first row has them. */
export async function csvColumns(path: string, delimiter: "," | "\t"): Promise<string[]> {
  const source = Readable.from(unixLineEnds(path));
  const parser = parse({ delimiter, record_delimiter: "\n", skip_empty_lines: true, to: 1 });
  source.on("error", (error) => parser.destroy(error));
  source.pipe(parser);
  try {
    for await (const header of parser as AsyncIterable<string[]>) return header;
    return [];
  } catch (error) {
    throw asRowError(error, path);
  } finally {
    source.destroy();
  }
}

async function* unixLineEnds(path: string): AsyncGenerator<Buffer> {
  for await (const { bytes } of lineBlocks(path)) {
    // A block ends with a line, so no "\r\n" is cut in two.
    yield bytes.includes("\r\n") ? Buffer.from(bytes.toString("utf8").replaceAll("\r\n", "\n")) : bytes;
  }
}

function indicesOf(path: string, header: string[], columns: readonly string[], line: number): number[] {
  return columns.map((column) => {
    const index = header.indexOf(column);
    if (index < 0) throw missingColumn(path, column, header, `line ${line}`);
    if (header.indexOf(column, index + 1) >= 0) {
      const found = `the column ${column} twice`;
      throw new InputError({ file: path, where: `line ${line}`, found, expected: "every column once" });
    }
    return index;
  });
}

function asRowError(error: unknown, path: string): unknown {
  const { code, message, lines } = error as CsvError & { lines?: number };
  if (error instanceof InputError || typeof code !== "string" || !/^CSV_|^INVALID_/.test(code)) return error;
  const where = typeof lines === "number" ? { where: `line ${lines}` } : {};
  return new InputError({
    file: path,
    ...where,
    found: `a broken row (${message})`,
    expected: "rows of comma-separated values as the header has them",
  });
}
