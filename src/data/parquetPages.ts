// What the pages of a Parquet column promise, added up before hyparquet believes it: a few bytes can promise gigabytes, or a run without end.
import type { AsyncBuffer, ColumnMetaData, SchemaElement } from "hyparquet";
import { InputError } from "../formats/inputError.ts";
import { compressors } from "./parquetCompressors.ts";
import { checkDeltas, checkRuns, varint } from "./parquetRuns.ts";

/** Rows of a row group: a run of few bytes may stand for all of them. */
export const MOST_ROWS = 1 << 24;

/** Bytes of a column's values in one row group, unpacked; all of them are in memory at a time. */
const MOST_BYTES = 2 ** 31;

/** Writers keep statistics in a header to 4 KiB a value. */
const LONGEST_HEADER = 1 << 16;
const DEEPEST_HEADER = 8;

/** Field numbers of PageHeader. */
const TYPE = 1;
const UNCOMPRESSED_SIZE = 2;
const COMPRESSED_SIZE = 3;
/** By the header's type, the number of the field that is of it. */
const [DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2] = [0, 2, 3];
const FIELD_OF_TYPE: Readonly<Record<number, number>> = { [DATA_PAGE]: 5, [DICTIONARY_PAGE]: 7, [DATA_PAGE_V2]: 8 };
/** Field numbers of all three, then of data pages. */
const VALUE_COUNT = 1;
const ENCODING = 2;
/** Of the second version alone. */
const NULL_COUNT_V2 = 2;
const ENCODING_V2 = 4;
const DEFINITION_BYTES_V2 = 5;
const REPETITION_BYTES_V2 = 6;
const IS_COMPRESSED_V2 = 7;

/** Encodings that are runs: of a dictionary's entries, or of bits. */
const RUNS: readonly number[] = [2, 3, 8];

/** A column that is no group of others. */
export type PlainColumn = Pick<SchemaElement, "name" | "repetition_type">;

/**
 * Throws an InputError, of `file` and `where`, for a column's pages that promise more than they may hold, or another number of
 * values than the row group has rows; a RangeError or what unpacking throws for what is no page.
 */
export async function checkPages(
  read: AsyncBuffer["slice"],
  chunk: ColumnMetaData,
  column: PlainColumn,
  rows: number,
  file: string,
  where: string,
): Promise<void> {
  const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
  const end = start + Number(chunk.total_compressed_size);
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file, where, found, expected });
  };
  // A row of a repeated column has any number of values.
  const isRepeated = column.repetition_type === "REPEATED";
  const most = isRepeated ? MOST_ROWS : rows;
  let [values, bytes] = [0, 0];
  for (let at = start; at < end - 1 && (isRepeated || values < rows); ) {
    const reader = new HeaderReader(new DataView(await read(at, Math.min(end, at + LONGEST_HEADER))));
    const header = reader.struct();
    const size = (field: number) => {
      const n = header.get(field);
      return typeof n === "number" && n >= 0 ? n : refuse("a page without its size", "whole Parquet data");
    };
    bytes += size(UNCOMPRESSED_SIZE);
    if (bytes > MOST_BYTES) refuse(`over ${MOST_BYTES} bytes of values`, "smaller row groups");
    const kind = header.get(TYPE) as number;
    const page = header.get(FIELD_OF_TYPE[kind] ?? 0);
    const count = page instanceof Map ? page.get(VALUE_COUNT) : undefined;
    const isDictionary = kind === DICTIONARY_PAGE;
    // A dictionary may hold values that no row has, but none without a byte.
    const bound = isDictionary ? size(UNCOMPRESSED_SIZE) : most;
    if (typeof count !== "number" || count < 0 || count > bound) {
      return refuse(`a page of ${typeof count === "number" ? count : "unknown many"} values`, `at most ${bound}`);
    }
    at += reader.at;
    if (!isDictionary) {
      values += count;
      const packed = new Uint8Array(await read(at, Math.min(end, at + size(COMPRESSED_SIZE))));
      checkContents(packed, header, chunk, column);
    }
    at += size(COMPRESSED_SIZE);
  }
  if (isRepeated ? values > most : values !== rows) refuse(`${values} values`, `${most}, as many as rows`);
}

/** Throws RangeError for runs of levels or values that are longer than the page. */
function checkContents(
  packed: Uint8Array<ArrayBuffer>,
  header: Fields,
  { codec, type }: ColumnMetaData,
  { repetition_type }: PlainColumn,
): void {
  const unpack = (bytes: Uint8Array<ArrayBuffer>, length: number) => {
    const unpacked = codec === "UNCOMPRESSED" ? bytes : (compressors[codec]?.(bytes, length) ?? bytes);
    return new DataView(unpacked.buffer, unpacked.byteOffset, unpacked.byteLength);
  };
  const size = header.get(UNCOMPRESSED_SIZE) as number;
  const isFirstVersion = header.get(TYPE) === DATA_PAGE;
  const page = header.get(FIELD_OF_TYPE[header.get(TYPE) as number]!) as Fields;
  const field = (number: number) => {
    const value = page.get(number);
    return typeof value === "number" ? value : 0;
  };
  const count = field(VALUE_COUNT);
  const [hasRepetitions, hasNulls] = [repetition_type === "REPEATED", repetition_type !== "REQUIRED"];
  if (isFirstVersion) {
    const view = unpack(packed, size);
    let at = 0;
    let present = count;
    // Levels have their length before them.
    if (hasRepetitions) {
      checkRuns(view, 4, 1, count);
      at = 4 + view.getUint32(0, true);
    }
    if (hasNulls) {
      present = checkRuns(view, at + 4, 1, count);
      at += 4 + view.getUint32(at, true);
    }
    const encoding = field(ENCODING);
    // One entry is all that indices of no bits can mean, and no run of them need be there.
    const isOneEntry = RUNS.includes(encoding) && type !== "BOOLEAN" && present > 0 && view.getUint8(at) === 0;
    if (!isOneEntry) checkValues(view, at, encoding, present, type === "BOOLEAN" ? RUNS : []);
  } else {
    const levels = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
    const [repetitions, definitions] = [field(REPETITION_BYTES_V2), field(DEFINITION_BYTES_V2)];
    if (hasRepetitions) checkRuns(levels, 0, 1, count);
    if (hasNulls) checkRuns(levels, repetitions, 1, count);
    const present = count - field(NULL_COUNT_V2);
    if (!(present >= 0 && present <= count)) throw new RangeError(`${present} of ${count} values`);
    const rest = packed.subarray(repetitions + definitions);
    const isPacked = page.get(IS_COMPRESSED_V2) !== 0;
    const view = isPacked
      ? unpack(rest, size - repetitions - definitions)
      : new DataView(rest.buffer, rest.byteOffset, rest.byteLength);
    checkValues(view, 0, field(ENCODING_V2), present, [3]);
  }
}

/** Those encodings whose values take their bytes can promise nothing. `ofBits`: those that are runs of single bits here. */
function checkValues(view: DataView, at: number, encoding: number, count: number, ofBits: readonly number[]): void {
  if (count === 0) return;
  if (ofBits.includes(encoding)) checkRuns(view, at + 4, 1, count);
  else if (RUNS.includes(encoding)) checkRuns(view, at + 1, view.getUint8(at), count);
  else if (encoding === 5 || encoding === 6) checkDeltas(view, at, count);
  else if (encoding === 7) {
    // Each value takes a part of the one before it and some bytes of its own: lengths of both.
    const { end, sum } = checkDeltas(view, at, count);
    if (sum > MOST_BYTES) throw new RangeError(`values of ${sum} bytes`);
    checkDeltas(view, end, count);
  }
}

type Fields = Map<number, number | Fields>;

/** Thrift's compact protocol, for integers, booleans and structs; what else there is, is passed over. */
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
        return 1;
      case 2:
        return 0;
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

  #varint(): number {
    const { value, end } = varint(this.#view, this.at);
    this.at = end;
    return value;
  }

  #integer(): number {
    const zigzag = this.#varint();
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  }
}
