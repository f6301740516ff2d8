// Matrices turned whole and in parts, and tensors given piece by piece: every size that doesn't divide, every dtype.
import assert from "node:assert/strict";
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readSafetensors, tensorFloat32, writeSafetensors } from "../../../src/formats/safetensors.ts";
import { eachPiece } from "../../../src/formats/tensorPieces.ts";
import { transposed, turnRows } from "../../../src/formats/transpose.ts";
import { turnedTensor } from "../../../src/formats/turnedTensor.ts";
import { temporaryFolder } from "../fixtures.ts";

const counting = (n: number) => Float32Array.from({ length: n }, (_, at) => at);

test("a matrix is turned, whatever its sides", () => {
  for (const [rows, columns] of [
    [1, 1],
    [7, 5],
    [8, 8],
    [65, 33],
    [130, 17],
    [64, 24],
    [3, 100],
    [100, 3],
  ] as const) {
    const values = counting(rows * columns);
    const wanted = values.map((_, at) => (at % rows) * columns + Math.floor(at / rows));
    assert.deepEqual(transposed(values, rows, columns), wanted, `${rows} × ${columns}`);
    const result = new Float32Array(values.length);
    for (let row = 0; row < rows; row += 5)
      turnRows(values.subarray(row * columns, Math.min(rows, row + 5) * columns), columns, result, rows, row);
    assert.deepEqual(result, wanted, `${rows} × ${columns}, five rows at a time`);
  }
});

test("a large matrix is turned in a thread of its own: the same numbers, and what is wrong is said as elsewhere", async () => {
  const file = join(temporaryFolder(), "large.safetensors");
  const shape = [1031, 17_000] as const;
  const data = counting(shape[0] * shape[1]);
  await writeSafetensors(file, { large: { shape, data }, small: { shape: [3, 2], data: counting(6) } });
  const opened = await readSafetensors(file);
  const { values, finite } = await turnedTensor(opened, "large");
  assert.ok(finite);
  assert.equal(Buffer.compare(bytesOf(values), bytesOf(transposed(data, ...shape))), 0);
  assert.deepEqual((await turnedTensor(opened, "small")).values, Float32Array.of(0, 2, 4, 1, 3, 5));

  data[data.length - 3] = Number.NaN;
  await writeSafetensors(file, { large: { shape, data } });
  const damaged = await readSafetensors(file);
  assert.equal((await turnedTensor(damaged, "large")).finite, false);
  truncateSync(file, 40_000_000);
  await assert.rejects(
    turnedTensor(damaged, "large"),
    (error) => error instanceof InputError && /large\.safetensors: found the end at byte 40000000/.test(error.message),
  );
});

test("a tensor of many pieces comes in order, in place or not, from every float type", async () => {
  const file = join(temporaryFolder(), "long.safetensors");
  const random = SeededRandom.derive(3, "pieces");
  // Over two pieces of 16 MiB, and not a multiple of them.
  const n = 9_000_011;
  const half = Float16Array.from({ length: n }, () => random.normal());
  await writeSafetensors(file, {
    float32: { shape: [n], data: Float32Array.from(half) },
    float16: { shape: [n], data: half },
    rows: { shape: [3, 3_000_003], data: Float32Array.from(half.subarray(0, 9_000_009)) },
  });
  const opened = await readSafetensors(file);
  const wanted = await tensorFloat32(opened, "float32");
  for (const name of ["float32", "float16"]) {
    for (const into of [undefined, new Float32Array(n)]) {
      let at = 0;
      let same = true;
      await eachPiece(opened, name, into ? { into } : {}, (values) => {
        same &&= Buffer.compare(bytesOf(values), bytesOf(wanted.subarray(at, at + values.length))) === 0;
        at += values.length;
      });
      assert.ok(same && at === n, name);
      if (into) assert.equal(Buffer.compare(bytesOf(into), bytesOf(wanted)), 0);
    }
  }
  const lengths: number[] = [];
  await eachPiece(opened, "rows", { row: 3_000_003 }, (values) => lengths.push(values.length));
  assert.deepEqual(lengths, [3_000_003, 3_000_003, 3_000_003]);
});

test("a wish to stop ends the reading between pieces", async () => {
  const file = join(temporaryFolder(), "stopped.safetensors");
  await writeSafetensors(file, { long: { shape: [9_000_000], data: new Float32Array(9_000_000) } });
  const abort = new AbortController();
  let pieces = 0;
  const reading = eachPiece(await readSafetensors(file), "long", { signal: abort.signal }, () => {
    pieces++;
    abort.abort();
  });
  await assert.rejects(reading, { name: "AbortError" });
  assert.equal(pieces, 1);
});

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
