// Records of a JSON Lines file: one JSON object a line. Not a file that is one JSON array.
import { InputError } from "../formats/inputError.ts";
import { type DataRecord, missingColumn } from "./dataRecord.ts";
import { lines } from "./lineBlocks.ts";

/** Every object's values of the given columns; lines that are blank are passed over. Each object must have every column. */
export async function* jsonLinesRecords(path: string, columns: readonly string[]): AsyncGenerator<DataRecord> {
  for await (const { text, line } of lines(path)) {
    if (text.trim() === "") continue;
    const where = `line ${line}`;
    const object = parsed(path, text, where);
    const values = columns.map((column) => {
      if (!Object.hasOwn(object, column)) throw missingColumn(path, column, Object.keys(object), where);
      return object[column];
    });
    yield { values, line };
  }
}

/** Keys of the first object. */
export async function jsonLinesColumns(path: string): Promise<string[]> {
  for await (const { text, line } of lines(path))
    if (text.trim() !== "") return Object.keys(parsed(path, text, `line ${line}`));
  return [];
}

function parsed(file: string, text: string, where: string): Readonly<Record<string, unknown>> {
  let object: unknown;
  try {
    object = JSON.parse(text);
  } catch (error) {
    const found = `broken JSON (${(error as Error).message})`;
    throw new InputError({ file, where, found, expected: "one JSON object a line" });
  }
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    const found = Array.isArray(object) ? "an array" : `${object === null ? "null" : `a ${typeof object}`}`;
    throw new InputError({ file, where, found, expected: "one JSON object a line" });
  }
  return object as Record<string, unknown>;
}
