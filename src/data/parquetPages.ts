// What the pages of a Parquet column promise, added up from their headers before one is unpacked: a few bytes can promise gigabytes.
import type { AsyncBuffer, ColumnMetaData } from "hyparquet";
import { InputError } from "../formats/inputError.ts";

/** Values that a page of a few bytes may stand for: a run is a number and a value. */
export const MOST_ROWS = 1 << 24;

/** Bytes of a column's values in one row group, unpacked; all of them are in memory at a time. */
const MOST_BYTES = 2 ** 31;

/** Writers keep statistics in a header to 4 KiB a value. */
const LONGEST_HEADER = 1 << 16;
const DEEPEST_HEADER = 8;

/** Field numbers of PageHeader, and of the three kinds that it has one of. */
const UNCOMPRESSED_SIZE = 2;
const COMPRESSED_SIZE = 3;
const DATA_PAGE = 5;
const DICTIONARY_PAGE = 7;
const DATA_PAGE_V2 = 8;
const VALUE_COUNT = 1;

/**
 * Throws an InputError, of `file` and `where`, for a column's pages that promise more than they may hold, or another number of
 * values than there are rows. `rows`: null where a row may have several values.
 */
export async function checkPages(
  read: AsyncBuffer["slice"],
  chunk: ColumnMetaData,
  rows: number | null,
  file: string,
  where: string,
): Promise<void> {
  const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
  const end = start + Number(chunk.total_compressed_size);
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file, where, found, expected });
  };
  const most = rows ?? MOST_ROWS;
  let [values, bytes] = [0, 0];
  for (let at = start; at < end - 1 && (rows === null || values < rows); ) {
    const reader = new HeaderReader(new DataView(await read(at, Math.min(end, at + LONGEST_HEADER))));
    const header = reader.struct();
    const size = (field: number) => {
      const n = header.get(field);
      return typeof n === "number" && n >= 0 ? n : refuse("a page without its size", "whole Parquet data");
    };
    bytes += size(UNCOMPRESSED_SIZE);
    if (bytes > MOST_BYTES) refuse(`over ${MOST_BYTES} bytes of values`, "smaller row groups");
    const page = header.get(DATA_PAGE) ?? header.get(DATA_PAGE_V2) ?? header.get(DICTIONARY_PAGE);
    const count = page instanceof Map ? page.get(VALUE_COUNT) : undefined;
    const isDictionary = header.has(DICTIONARY_PAGE);
    // A dictionary may hold values that no row has, but none without a byte.
    const bound = isDictionary ? size(UNCOMPRESSED_SIZE) : most;
    if (typeof count !== "number" || count < 0 || count > bound) {
      return refuse(`a page of ${typeof count === "number" ? count : "unknown many"} values`, `at most ${bound}`);
    }
    if (!isDictionary) values += count;
    at += reader.at + size(COMPRESSED_SIZE);
  }
  if (rows === null ? values > most : values !== rows) refuse(`${values} values`, `${most}, as many as rows`);
}

type Fields = Map<number, number | Fields>;

/** Thrift's compact protocol, for integers and structs; what else there is, is passed over. */
class HeaderReader {
  at = 0;
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  struct(depth = 0): Fields {
    if (depth > DEEPEST_HEADER) throw new RangeError("a page header nested too deep");
    const fields: Fields = new Map();
    for (let field = 0; ; ) {
      const head = this.#byte();
      if ((head & 15) === 0) return fields;
      field = head >> 4 ? field + (head >> 4) : this.#integer();
      const value = this.#value(head & 15, depth);
      if (value !== null) fields.set(field, value);
    }
  }

  #value(type: number, depth: number): number | Fields | null {
    switch (type) {
      case 1:
      case 2:
        return null;
      case 3:
        return this.#byte();
      case 4:
      case 5:
      case 6:
        return this.#integer();
      case 7:
        this.#skip(8);
        return null;
      case 8:
        this.#skip(this.#varint());
        return null;
      case 9: {
        const head = this.#byte();
        const element = head & 15;
        for (let left = head >> 4 === 15 ? this.#varint() : head >> 4; left > 0; left--) {
          if (element <= 2) this.#skip(1);
          else this.#value(element, depth + 1);
        }
        return null;
      }
      case 12:
        return this.struct(depth + 1);
      default:
        throw new RangeError(`a page header with a field of type ${type}`);
    }
  }

  #byte(): number {
    return this.#view.getUint8(this.at++);
  }

  #skip(bytes: number): void {
    this.at += bytes;
  }

  /** Without wrapping: a number that is too large stays one. */
  #varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  #integer(): number {
    const zigzag = this.#varint();
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  }
}
