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
function page(
  kind: "data" | "dictionary",
  unpacked: number,
  stored: number,
  values: number,
  encoding = 0,
  contents: number[] = Array(stored).fill(0),
): number[] {
  const fields = [
    0x15,
    ...integer(kind === "data" ? 0 : 2),
    0x15,
    ...integer(unpacked),
    0x15,
    ...integer(contents.length),
  ];
  // Fields 5 and 7 are the structs of the two kinds; a text of three bytes, a list and a number are passed over.
  const more = [0x15, ...integer(encoding), 0x18, 3, 97, 98, 99, 0x19, 0x25, 1, 2, 0x15, ...integer(8)];
  return [...fields, kind === "data" ? 0x2c : 0x4c, 0x15, ...integer(values), ...more, 0, 0, ...contents];
}

function check(bytes: readonly number[], rows: number | null): Promise<void> {
  const { buffer } = Uint8Array.from(bytes);
  const chunk = {
    data_page_offset: 0n,
    total_compressed_size: BigInt(bytes.length),
    codec: "UNCOMPRESSED",
  } as ColumnMetaData;
  const column = { name: "text", repetition_type: rows === null ? "REPEATED" : "REQUIRED" } as const;
  return checkPages((start, end) => buffer.slice(start, end), chunk, column, rows ?? 10, "a.parquet", "column text");
}

const dictionary = page("dictionary", 20, 10, 4);
const five = page("data", 40, 9, 5);

test("pages that keep their word", async () => {
  await check([...dictionary, ...five, ...five], 10);
  await check([...page("dictionary", 20, 10, 7), ...five], 5);
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

test("refused: a run of values that is longer than its page, and values that grow out of one another without end", async () => {
  // No dictionary is needed to see it: one bit a value, and a run of 2³¹ − 1.
  await assert.rejects(check(page("data", 7, 0, 5, 8, [1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1]), 5), /a run of 2147483647/);
  // Each value begins with all of the one before: a hundred thousand lengths that grow by as many bytes each.
  const prefixes = [
    0x80,
    0x01,
    4,
    ...[0xa0, 0x8d, 0x06],
    0,
    ...Array(782)
      .fill([...integer(100_000), 0, 0, 0, 0])
      .flat(),
  ];
  await assert.rejects(check(page("data", prefixes.length, 0, 100_000, 7, prefixes), 100_000), /values of \d+ bytes/);
});

test("a header that never ends, or goes ever deeper, is no header", async () => {
  await assert.rejects(check(Array(1 << 17).fill(0x15), 5), RangeError);
  await assert.rejects(check(Array(1 << 17).fill(0x1c), 5), RangeError);
});
