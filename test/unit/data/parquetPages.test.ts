// Page headers that lie, made by hand: refused by what they promise, before anything is unpacked.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ColumnMetaData } from "hyparquet";
import { checkPages, MOST_ROWS } from "../../../src/data/parquetPages.ts";

/** Thrift's variable-length number of a non-negative integer. */
function integer(n: number): number[] {
  const bytes: number[] = [];
  for (let left = 2 * n; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) | 128);
  }
}

/** A page of `stored` zero bytes that says that it unpacks to `unpacked` bytes and has `values` values. */
function page(kind: "data" | "dictionary", unpacked: number, stored: number, values: number): number[] {
  const fields = [0x15, ...integer(0), 0x15, ...integer(unpacked), 0x15, ...integer(stored)];
  // Fields 5 and 7 are the structs of the two kinds; a text of three bytes, a list and a number are passed over.
  const more = [0x18, 3, 97, 98, 99, 0x19, 0x25, 1, 2, 0x15, ...integer(8)];
  return [...fields, kind === "data" ? 0x2c : 0x4c, 0x15, ...integer(values), ...more, 0, 0, ...Array(stored).fill(0)];
}

function check(bytes: readonly number[], rows: number | null): Promise<void> {
  const { buffer } = Uint8Array.from(bytes);
  const chunk = { data_page_offset: 0n, total_compressed_size: BigInt(bytes.length) } as ColumnMetaData;
  return checkPages((start, end) => buffer.slice(start, end), chunk, rows, "a.parquet", "column text");
}

const dictionary = page("dictionary", 20, 10, 4);
const five = page("data", 40, 9, 5);

test("pages that keep their word", async () => {
  await check([...dictionary, ...five, ...five], 10);
  await check([...page("dictionary", 20, 10, 7), ...five], 5);
  await check([...five, ...five], null);
});

const lies: Record<string, [number[], number | null, RegExp]> = {
  "fewer values than rows": [[...dictionary, ...five], 6, /column text: found 5 values, expected 6, as many as rows/],
  "more values than rows": [[...five, ...five], 9, /found 10 values, expected 9/],
  "a page of more values than rows": [
    page("data", 40, 9, 1e9),
    5,
    /found a page of 1000000000 values, expected at most 5/,
  ],
  "a list of more values than any": [
    page("data", 40, 9, 1e9),
    null,
    new RegExp(`1000000000 values, expected at most ${MOST_ROWS}`),
  ],
  "a dictionary of more values than bytes": [[...page("dictionary", 20, 10, 21), ...five], 5, /a page of 21 values/],
  "pages that unpack to more than memory": [
    [...page("data", 1.5e9, 9, 5), ...page("data", 1.5e9, 9, 5)],
    10,
    /found over 2147483648 bytes of values, expected smaller row groups/,
  ],
  "a page without sizes": [[0x15, 0, 0, 0, 0], 5, /found a page without its size/],
};
for (const [what, [bytes, rows, message]] of Object.entries(lies)) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(check(bytes, rows), { name: "InputError", file: "a.parquet", message });
  });
}

test("a header that never ends, or goes ever deeper, is no header", async () => {
  await assert.rejects(check(Array(1 << 17).fill(0x15), 5), RangeError);
  await assert.rejects(check(Array(1 << 17).fill(0x1c), 5), RangeError);
});
