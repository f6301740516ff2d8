// The mixing buffer: every row once, well mixed, and the same bits after a break at any point.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ActivationCursor } from "../../../src/data/activationSource.ts";
import {
  type ActivationProducer,
  createMixingBuffer,
  type MixingBufferOptions,
} from "../../../src/data/mixingBuffer.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { temporaryFolder } from "../fixtures.ts";
import { drain, numberedRows } from "./activationFixtures.ts";

const ROWS = 1000;
const folder = temporaryFolder();
let folders = 0;

/** Numbered rows in chunks of changing size, up to 90; stands in for a model that reads texts. */
async function openProducer(cursor: unknown): Promise<ActivationProducer> {
  let { row, chunk } = (cursor as { row: number; chunk: number } | null) ?? { row: 0, chunk: 0 };
  return {
    next: async () => {
      const rows = Math.min(ROWS - row, [90, 13, 40, 1, 77][chunk % 5]!);
      if (rows === 0) return null;
      const x = numberedRows(row, rows, 3);
      row += rows;
      chunk++;
      return { x, rows };
    },
    cursor: () => ({ row, chunk }),
    close: async () => {},
  };
}

function options(more: Partial<MixingBufferOptions> = {}): MixingBufferOptions {
  return { d_in: 3, openProducer, seed: 1, bufferRows: 200, folder: join(folder, `${folders++}`), ...more };
}

const sorted = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
const all = Array.from({ length: ROWS }, (_, i) => i);

test("every row comes once, whatever the buffer, the share kept and the batch", async () => {
  for (const more of [
    {},
    { bufferRows: 1 },
    { bufferRows: 5000 },
    { mixFraction: 0 },
    { mixFraction: 0.9 },
    { bufferRows: 50, mixFraction: 0.99 },
  ]) {
    for (const batch of [1, 37, 3000]) {
      assert.deepEqual(
        sorted(await drain(await createMixingBuffer(options(more)), batch)),
        all,
        JSON.stringify({ more, batch }),
      );
    }
  }
});

test("the order is the seed's alone", async () => {
  const order = async (seed: number, batch: number) => drain(await createMixingBuffer(options({ seed })), batch);
  const first = await order(1, 37);
  assert.deepEqual(await order(1, 64), first);
  assert.notDeepEqual(await order(2, 37), first);
  assert.notDeepEqual(first, all);
});

test("rows are kept across fillings: the first batch holds rows of the first filling, later ones a mix of several", async () => {
  const numbers = await drain(await createMixingBuffer(options()), 10);
  // 90 + 13 + 40 + 1 + 77 = 221 rows fill the buffer of 200 the first time.
  assert.ok(numbers.slice(0, 121).every((number) => number < 221));
  const second = numbers.slice(121, 221);
  assert.ok(second.some((number) => number < 221) && second.some((number) => number >= 221));
  const places = Float64Array.from({ length: ROWS });
  for (const [place, number] of numbers.entries()) places[number] = place;
  const gaps = all.slice(1).map((number) => Math.abs(places[number]! - places[number - 1]!));
  const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
  assert.ok(mean > 40, `neighbours come ${mean} rows apart`);
});

test("a cursor taken at any row goes on with the same bits", async () => {
  for (const more of [{}, { mixFraction: 0.25, bufferRows: 300 }, { bufferRows: 20 }, { bufferRows: 5000 }]) {
    const whole = await drain(await createMixingBuffer(options(more)), 50);
    for (let stop = 0; stop <= ROWS; stop += 43) {
      const shared = options(more);
      const source = await createMixingBuffer(shared);
      for (let left = stop; left > 0; left -= 100) await source.next(Math.min(left, 100));
      const cursor: ActivationCursor = JSON.parse(JSON.stringify(await source.cursor()));
      await source.close();
      const resumed = await createMixingBuffer({ ...shared, cursor });
      assert.deepEqual(await drain(resumed, 31), whole.slice(stop), `${JSON.stringify(more)}, ${stop}`);
    }
  }
});

test("a run that is interrupted again and again, and falls back to an older cursor, gives the same bits", async () => {
  const whole = await drain(await createMixingBuffer(options()), 10);
  const shared = options();
  const numbers: number[] = [];
  let cursor: ActivationCursor | undefined;
  for (let round = 0; ; round++) {
    const source = await createMixingBuffer({ ...shared, ...(cursor && { cursor }) });
    const got = await source.next(60);
    if (!got) break;
    const later = await source.cursor();
    // Every third time the kill falls between the writing of the buffer and the storing of the cursor.
    if (round % 3 !== 2) {
      cursor = JSON.parse(JSON.stringify(later));
      for (let row = 0; row < got.rows; row++) numbers.push(got.x[row * 3]!);
    }
    await source.close();
  }
  assert.deepEqual(numbers, whole);
});

test("the folder holds the buffers of the last two cursors, no more", async () => {
  const shared = options();
  const source = await createMixingBuffer(shared);
  const { file: none } = await source.cursor();
  assert.equal(none, null);
  const names: unknown[] = [];
  while (await source.next(30)) {
    const { file } = await source.cursor();
    if (names.at(-1) !== file) names.push(file);
    assert.deepEqual(readdirSync(shared.folder).sort(), names.slice(-2).sort());
  }
  assert.ok(names.length > 5);
});

test("a second source in the folder, as of the next member of a boosting run, leaves the first one's cursor usable until its own is stored", async () => {
  const whole = await drain(await createMixingBuffer(options()), 50);
  const shared = options();
  const first = await createMixingBuffer(shared);
  await first.next(60);
  await first.cursor();
  await first.next(540);
  const stored: ActivationCursor = JSON.parse(JSON.stringify(await first.cursor()));
  await first.close();
  // At the same filling, from a model on another device: nearly the same numbers.
  const otherDevice = async (cursor: unknown) => {
    const producer = await openProducer(cursor);
    const next = async () => {
      const chunk = await producer.next();
      return chunk && { ...chunk, x: chunk.x.map((value) => value + 0.25) };
    };
    return { ...producer, next };
  };
  const second = await createMixingBuffer({ ...shared, openProducer: otherDevice });
  await second.next(600);
  const own = await second.cursor();
  // A kill here: the second source's cursor was taken and never stored.
  assert.deepEqual(await drain(await createMixingBuffer({ ...shared, cursor: stored }), 50), whole.slice(600));
  await second.next(200);
  const later = await second.cursor();
  assert.deepEqual(readdirSync(shared.folder).sort(), [own["file"], later["file"]].sort());
  await second.close();
});

test("a cursor of other settings, a lost buffer and a changed one are refused", async () => {
  const shared = options();
  const source = await createMixingBuffer(shared);
  await source.next(10);
  const cursor = await source.cursor();
  const refuse = (more: Partial<MixingBufferOptions>, message: RegExp) =>
    assert.rejects(createMixingBuffer({ ...shared, cursor, ...more }), (error: unknown) => {
      assert.ok(error instanceof InputError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  await refuse({ seed: 2 }, /cursor.seed: found 1, expected 2/);
  await refuse({ bufferRows: 100 }, /cursor.buffer_rows/);
  await refuse({ d_in: 4 }, /cursor.d_in/);
  await refuse({ cursor: { ...cursor, file: "../elsewhere" } }, /cursor.file/);
  await refuse({ folder: join(folder, "nowhere") }, /ENOENT|readable/);
  const { file } = cursor;
  const path = join(shared.folder, file as string);
  const bytes = readFileSync(path);
  bytes[bytes.length - 2]! ^= 1;
  writeFileSync(path, bytes);
  await refuse({}, /another checksum/);
});
