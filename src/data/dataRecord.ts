// One row of a data file, and what to say when a column isn't there; every format's reader gives these.
import { InputError } from "../formats/inputError.ts";

export interface DataRecord {
  /** In the order of the columns asked for. CSV gives strings; JSON and Parquet give their own types. */
  readonly values: readonly unknown[];
  /** Line on which the record begins, from 1; of a Parquet file the row, from 1. */
  readonly line: number;
}

/** The error for a column that isn't among those of the file (or of one record, named by `where`). */
export function missingColumn(file: string, column: string, present: readonly string[], where?: string): InputError {
  const names = present.slice(0, 20).map((name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name));
  if (present.length > names.length) names.push("…");
  const found = names.length === 0 ? "no columns" : `the columns ${names.join(", ")}`;
  return new InputError({ file, ...(where ? { where } : {}), found, expected: `a column ${column}` });
}
