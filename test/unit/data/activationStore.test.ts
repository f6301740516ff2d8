// The activation store: what is read back, in which order, and how a shuffle goes on after a break.
import assert from "node:assert/strict";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readActivationStore } from "../../../src/data/activationManifest.ts";
import { activationStatistics, holdOut, readActivations, verifyActivations } from "../../../src/data/activationRows.ts";
import type { ActivationCursor } from "../../../src/data/activationSource.ts";
import { type OpenActivationStoreOptions, openActivationStore } from "../../../src/data/activationStore.ts";
import { createActivationWriter } from "../../../src/data/activationWriter.ts";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { drain, numberedRows, numberedStore, provenance } from "./activationFixtures.ts";

const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const sorted = (numbers: number[]) => numbers.toSorted((a, b) => a - b);

async function order(folder: string, options: OpenActivationStoreOptions, batch = 10): Promise<number[]> {
  const source = await openActivationStore(folder, options);
  const numbers = await drain(source, batch);
  await source.close();
  return numbers;
}

for (const dtype of ["float32", "float16"] as const) {
  test(`${dtype}: rows come back as they went in, and the manifest says what made them`, async () => {
    const folder = await numberedStore({ rows: 100, d: 3, shardRows: 30, dtype });
    const { manifest } = await readActivationStore(folder);
    assert.deepEqual(
      manifest.shards.map(({ rows }) => rows),
      [35, 35, 30],
    ); // closed at the end of a chunk of 7
    assert.deepEqual(manifest.provenance, provenance);
    assert.deepEqual(manifest.cursor, { row: 100 });
    for (const range of [{}, { from: 33, to: 71 }, { from: 99 }]) {
      const chunks = await Array.fromAsync(readActivations(folder, { ...range, chunkRows: 13 }));
      const { from = 0, to = 100 } = range as { from?: number; to?: number };
      assert.deepEqual(
        chunks.flatMap(({ x }) => [...x]),
        [...numberedRows(from, to - from, 3)],
      );
      assert.deepEqual(
        chunks.map(({ from }) => from),
        upTo(0, Math.ceil((to - from) / 13)).map((i) => from + i * 13),
      );
    }
  });
}

test("statistics are those of the rows, over whole and partial shards", async () => {
  const d = 4;
  for (const dtype of ["float32", "float16"] as const) {
    const folder = await numberedStore({ rows: 100, d, shardRows: 30, dtype });
    const store = await readActivationStore(folder);
    for (const { from, to } of [
      { from: 0, to: 100 },
      { from: 10, to: 80 },
      { from: 35, to: 70 },
    ]) {
      const found = await activationStatistics(store, { from, to });
      const x = numberedRows(from, to - from, d);
      const n = to - from;
      // Two passes over the rows, an independent route to the same numbers.
      const columns = upTo(0, d).map((j) => upTo(0, n).map((t) => x[t * d + j]!));
      const mean = columns.map((column) => column.reduce((a, b) => a + b, 0) / n);
      const variance = columns.map((column, j) => column.reduce((a, b) => a + (b - mean[j]!) ** 2, 0) / n);
      const norm = upTo(0, n).reduce((sum, t) => sum + Math.hypot(...x.subarray(t * d, t * d + d)), 0) / n;
      assert.equal(found.rows, n);
      assert.ok(Math.abs(found.meanNorm / norm - 1) < 1e-13);
      for (let j = 0; j < d; j++) {
        assert.ok(Math.abs(found.mean[j]! / mean[j]! - 1) < 1e-13);
        assert.ok(Math.abs(found.variance[j]! / variance[j]! - 1) < 1e-10);
      }
    }
    assert.equal(store.manifest.mean_norm, (await activationStatistics(store)).meanNorm);
  }
});

// d 1024 in float32: blocks of 256 rows; a buffer of 4 MiB holds two groups of two blocks.
const wide = await numberedStore({ rows: 2000, d: 1024, shardRows: 300 });
const layouts = [
  { name: "all rows in memory", bufferBytes: 2 ** 30 },
  { name: "in groups of blocks", bufferBytes: 4 * 2 ** 20 },
];

for (const { name, bufferBytes } of layouts) {
  test(`${name}: each pass is a permutation, its own for each pass and seed, the same for each opening`, async () => {
    const options = { seed: 1, passes: 3, bufferBytes };
    const numbers = await order(wide, options, 97);
    assert.equal(numbers.length, 6000);
    const passes = [0, 1, 2].map((pass) => numbers.slice(pass * 2000, pass * 2000 + 2000));
    for (const pass of passes) assert.deepEqual(sorted(pass), upTo(0, 2000));
    assert.equal(new Set([...passes, upTo(0, 2000)].map((pass) => pass.join())).size, 4);
    assert.deepEqual(await order(wide, options, 64), numbers, "whatever the batch");
    assert.notDeepEqual((await order(wide, { ...options, seed: 2 }, 97)).slice(0, 2000), passes[0]);
  });

  test(`${name}: neighbours are torn apart`, async () => {
    const numbers = await order(wide, { seed: 3, passes: 1, bufferBytes });
    const places = new Float64Array(2000);
    for (const [place, number] of numbers.entries()) places[number] = place;
    const gaps = upTo(0, 1999).map((row) => Math.abs(places[row + 1]! - places[row]!));
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
    // Uniform within a window of w rows: w/3. All 2000 rows, or groups of two blocks (up to 512 rows).
    assert.ok(mean > (bufferBytes === 2 ** 30 ? 600 : 90), `mean distance ${mean}`);
  });

  test(`${name}: a cursor taken anywhere goes on with the same bits`, async () => {
    const options = { seed: 4, passes: 2, bufferBytes, range: { from: 123, to: 1777 } };
    const whole = await order(wide, options, 50);
    assert.deepEqual(sorted(whole.slice(0, 1654)), upTo(123, 1777));
    const random = new SeededRandom(5);
    const stops = [0, 1, 1653, 1654, 1655, 3307, 3308, ...Array.from({ length: 12 }, () => random.integer(3308))];
    for (const stop of stops) {
      const source = await openActivationStore(wide, options);
      for (let left = stop; left > 0; left -= 500) await source.next(Math.min(left, 500));
      const cursor: ActivationCursor = JSON.parse(JSON.stringify(await source.cursor()));
      await source.close();
      // The buffer that the shuffle began with decides, not the one that is offered now.
      assert.deepEqual(
        await order(wide, { ...options, bufferBytes: 2 ** 25, cursor }, 41),
        whole.slice(stop),
        `${stop}`,
      );
    }
  });
}

test("a batch at the end of the last pass is short, then null for good; across passes it is full", async () => {
  const folder = await numberedStore({ rows: 10, d: 2, shardRows: 5 });
  const source = await openActivationStore(folder, { seed: 1, passes: 2 });
  const counts = [];
  for (let i = 0; i < 5; i++) counts.push((await source.next(8))?.rows ?? null);
  assert.deepEqual(counts, [8, 8, 4, null, null]);
  await source.close();
  await assert.rejects(source.next(1), /closed/);
});

test("a batch is the caller's to keep", async () => {
  const source = await openActivationStore(wide, { seed: 1, passes: 1, bufferBytes: 4 * 2 ** 20 });
  const first = (await source.next(10))!;
  const kept = first.x.slice();
  await drain(source, 100);
  assert.deepEqual(first.x, kept);
});

test("float16 rows are shuffled as float32 rows are", async () => {
  const options = { seed: 7, passes: 1 };
  const [narrow, full] = await Promise.all(
    (["float16", "float32"] as const).map((dtype) => numberedStore({ rows: 400, d: 5, shardRows: 90, dtype })),
  );
  assert.deepEqual(await order(narrow!, options), await order(full!, options));
});

test("the part held out shares no row and no document with the training part", async () => {
  const store = await readActivationStore(await numberedStore({ rows: 100, d: 2, shardRows: 30, documents: true }));
  // Documents have five rows. The cut moves up to a border.
  assert.deepEqual(await holdOut(store, { rows: 22 }), { train: { from: 0, to: 80 }, test: { from: 80, to: 100 } });
  assert.deepEqual(await holdOut(store, { share: 0.1 }), { train: { from: 0, to: 90 }, test: { from: 90, to: 100 } });
  assert.deepEqual(await holdOut(store, { rows: 1 }), { train: { from: 0, to: 95 }, test: { from: 95, to: 100 } });
  const plain = await readActivationStore(await numberedStore({ rows: 100, d: 2, shardRows: 30 }));
  const split = await holdOut(plain, { rows: 22 });
  assert.deepEqual(split, { train: { from: 0, to: 78 }, test: { from: 78, to: 100 } });
  assert.deepEqual(sorted(await order(plain.folder, { seed: 1, passes: 1, range: split.train })), upTo(0, 78));
  for (const rows of [0, 100, 1000]) await assert.rejects(holdOut(plain, { rows }), InputError);
  const single = await readActivationStore(await numberedStore({ rows: 5, d: 2, shardRows: 30, documents: true }));
  await assert.rejects(holdOut(single, { rows: 2 }), /a single document/);
});

test("a damaged shard is found: by its checksum, by its length, by verifyActivations", async () => {
  const folder = await numberedStore({ rows: 100, d: 3, shardRows: 30 });
  const store = await readActivationStore(folder);
  await verifyActivations(store);
  const path = store.shards[1]!.path;
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  const damaged = (error: unknown) =>
    error instanceof InputError && error.file === path && /damaged/.test(error.message);
  await assert.rejects(verifyActivations(store), damaged);
  const source = await openActivationStore(folder, { seed: 1, passes: 1 });
  await assert.rejects(source.next(10), damaged);
  await source.close();
  truncateSync(path, bytes.length - 4);
  await assert.rejects(
    openActivationStore(folder, { seed: 1, passes: 1 }),
    (error: unknown) => error instanceof InputError && error.file === path,
  );
});

test("an error while the next group is read ahead reaches the caller, and only there", async () => {
  const folder = await numberedStore({ rows: 2000, d: 1024, shardRows: 300 });
  const source = await openActivationStore(folder, { seed: 1, passes: 1, bufferBytes: 4 * 2 ** 20 });
  const { shards } = await readActivationStore(folder);
  await source.next(1);
  for (const { path } of shards) truncateSync(path, 100);
  await assert.rejects(drain(source, 100), InputError);
  await source.close();
});

test("what is not a complete store, not a range of it, or not its cursor is refused", async () => {
  const folder = await numberedStore({ rows: 100, d: 3, shardRows: 30 });
  const refuse = (options: Partial<OpenActivationStoreOptions>, message: RegExp, at = folder) =>
    assert.rejects(openActivationStore(at, { seed: 1, passes: 1, ...options }), (error: unknown) => {
      assert.ok(error instanceof InputError, `${error}`);
      assert.match(error.message, message);
      return true;
    });
  await refuse({}, /no such file, expected a folder of harvested activations/, golden("data"));
  await refuse({ range: { from: 0, to: 101 } }, /rows 0 to 101, expected a range within 0 to 100/);
  await refuse({ range: { from: 5, to: 5 } }, /rows 5 to 5/);
  const cursor = await (await openActivationStore(folder, { seed: 1, passes: 1 })).cursor();
  await refuse({ seed: 2, cursor }, /cursor.seed: found 1, expected 2/);
  await refuse({ range: { from: 0, to: 50 }, cursor }, /cursor.to/);
  await refuse({ cursor: { source: "mixing_buffer" } }, /cursor.source/);
  await assert.rejects(openActivationStore(folder, { seed: 1, passes: 0 }), RangeError);
  const partial = join(temporaryFolder(), "partial");
  const writer = await createActivationWriter(partial, { d_in: 2, dtype: "float32", shardRows: 5, provenance });
  await writer.append(numberedRows(0, 5, 2), 5, { cursor: 1 });
  await refuse({}, /stopped after 5 rows, expected a complete one/, partial);
  writeFileSync(
    join(partial, "manifest.json"),
    readFileSync(join(partial, "manifest.json"), "utf8").replace('"d_in": 2', '"d_in": "2"'),
  );
  await refuse({}, /manifest.json, d_in/, partial);
});
