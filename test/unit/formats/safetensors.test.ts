// Safetensors: round trips of every dtype, agreement with the reference library's files, and refusal of damaged ones.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { InputError } from "../../../src/formats/inputError.ts";
import {
  readSafetensors,
  type TensorSource,
  tensorBytes,
  tensorData,
  tensorFloat32,
  writeSafetensors,
} from "../../../src/formats/safetensors.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();

test("every dtype comes back with the same bytes, shape and metadata", async () => {
  const path = join(folder, "all.safetensors");
  const tensors: Record<string, TensorSource> = {
    f64: { shape: [2], data: Float64Array.of(Math.PI, -0) },
    f32: { shape: [1, 2], data: Float32Array.of(1.5, Number.NaN) },
    f16: { shape: [2], data: Float16Array.of(65504, 6e-8) },
    bf16: { shape: [2], dtype: "BF16", data: Uint16Array.of(0x3f80, 0xff80) },
    i64: { shape: [1], data: BigInt64Array.of(-(2n ** 63n)) },
    u64: { shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
    i32: { shape: [1], data: Int32Array.of(-7) },
    u32: { shape: [1], data: Uint32Array.of(4e9) },
    i16: { shape: [3], data: Int16Array.of(-1, 2, 3) },
    u8: { shape: [], data: Uint8Array.of(9) },
    bool: { shape: [2, 1], dtype: "BOOL", data: Uint8Array.of(0, 1) },
    empty: { shape: [0, 5], data: new Float32Array(0) },
    streamed: { shape: [4], dtype: "F32", data: () => [new Uint8Array(8), new Uint8Array(8).fill(1)] },
    ["__proto__"]: { shape: [1], data: Float32Array.of(3) },
  };
  await writeSafetensors(path, tensors, { note: "ü" });
  const file = await readSafetensors(path);
  assert.deepEqual([...file.tensors.keys()], Object.keys(tensors));
  assert.deepEqual(file.metadata, { note: "ü" });
  for (const [name, source] of Object.entries(tensors)) {
    const entry = file.tensors.get(name)!;
    assert.deepEqual(entry.shape, source.shape);
    if (typeof source.data === "function") continue;
    const bits = new Uint8Array(source.data.buffer, source.data.byteOffset, source.data.byteLength);
    assert.deepEqual(await tensorBytes(file, name), bits, name);
  }
  assert.deepEqual(await tensorFloat32(file, "f16"), Float32Array.of(65504, 2 ** -24));
  assert.deepEqual(await tensorFloat32(file, "bf16"), Float32Array.of(1, -Infinity));
  assert.deepEqual(await tensorFloat32(file, "f64"), Float32Array.of(Math.PI, -0));
  assert.deepEqual(await tensorData(file, "i64"), BigInt64Array.of(-(2n ** 63n)));
  assert.equal((await tensorBytes(file, "streamed"))[8], 1);
  await assert.rejects(tensorFloat32(file, "i32"), { name: "InputError", where: "tensor i32" });
  await assert.rejects(tensorFloat32(file, "f32", [2, 1]), /shape \[1,2\], expected shape \[2,1\]/);
  await assert.rejects(tensorFloat32(file, "nothing"), /expected a tensor nothing/);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

test("a file that can't be written leaves the old one and no temporary file", async () => {
  const inner = join(folder, "inner");
  const path = join(inner, "a.safetensors");
  await writeSafetensors(path, { a: { shape: [1], data: Float32Array.of(1) } });
  const before = await readFile(path);
  const failing = {
    shape: [4],
    dtype: "F32" as const,
    data: function* () {
      yield new Uint8Array(8);
      throw new Error("disk on fire");
    },
  };
  await assert.rejects(writeSafetensors(path, { a: failing }), /disk on fire/);
  await assert.rejects(
    writeSafetensors(path, { a: { shape: [4], dtype: "F32", data: () => [new Uint8Array(8)] } }),
    /chunks end at 8, its shape at 16/,
  );
  await assert.rejects(writeSafetensors(path, { a: { shape: [2], data: new Float32Array(3) } }), /12 bytes for shape/);
  assert.deepEqual(await readFile(path), before);
  assert.deepEqual(await readdir(inner), ["a.safetensors"]);
});

test("a file of the reference library is read", async () => {
  const file = await readSafetensors(golden("saes", "hostile", "control_ok.safetensors"));
  assert.deepEqual(
    await tensorFloat32(file, "W", [4, 4]),
    Float32Array.from({ length: 16 }, (_, i) => i),
  );
});

const refusals: Record<string, RegExp> = {
  header_length_2_60: /header length: found 1152921504606846976 bytes, expected at most 129/,
  header_length_2_64_minus_1: /header length: found 18446744073709551615 bytes/,
  header_200MB_in_100_bytes: /header length: found 200000000 bytes, expected at most 92/,
  offsets_out_of_range: /tensor b: found an end at byte 128 of the data, expected at most 64/,
  offsets_overlap: /tensor b: found bytes that also belong to tensor W/,
  hole: /before tensor b: found bytes 32 to 48 of the data that belong to no tensor/,
  trailing_bytes: /found 100 bytes after the last tensor/,
  reversed_offsets: /tensor W: found data_offsets \[64, 0\]/,
  duplicate_keys: /tensor W: found the name twice/,
  not_json: /header: found .*JSON/,
  header_is_array: /header: found an array, expected a JSON object/,
  shape_does_not_fit: /tensor W: found shape \[4,5\] of F32, which needs 80 bytes, expected 64 bytes/,
  unknown_dtype: /tensor W: found dtype F7, expected F64, F32/,
  negative_shape: /tensor W, shape\.0: found -4, expected at least 0/,
  fractional_offsets: /tensor W, data_offsets\.1: found [\d.]+, expected a whole number/,
  shape_overflow: /tensor W: found shape \[.*which needs [\d.e+]+ bytes, expected 64 bytes/,
  metadata_not_strings: /__metadata__: found .*expected strings only/,
  empty: /found 0 bytes/,
  seven_bytes: /found 7 bytes/,
};

for (const [name, message] of Object.entries(refusals)) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(readSafetensors(golden("saes", "hostile", `st_${name}.safetensors`)), (error) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

/** A file with this header and so many bytes of data. */
async function withHeader(header: string, dataBytes = 0): Promise<string> {
  const path = join(folder, "header.safetensors");
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  await writeFile(path, Buffer.concat([length, Buffer.from(header), Buffer.alloc(dataBytes)]));
  return path;
}

const empty = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
const unparsed: Record<string, [string, RegExp]> = {
  "a list of objects": [`{"a":[${"{},".repeat(9)}{}]}`, /tensor a: found an array at byte 5 of the header/],
  "lists in lists": [`{"b ]\\"{":{"shape":[[],[]]}}`, /tensor b \]\\"\{: found an array at byte 20 of the header/],
  "an object in a tensor": [`{"a":${empty},"c":{"x":{}}}`, /tensor c: found an object at byte 62/],
  "a million names": [`{${`"a":${empty},`.repeat(300_000)}"b":${empty}}`, /header: found more than 1048576 fields/],
};
for (const [what, [header, message]] of Object.entries(unparsed)) {
  test(`refused before it is parsed: ${what}`, async () => {
    await assert.rejects(readSafetensors(await withHeader(header)), (error) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

test("metadata that is no string is named by its key", async () => {
  await assert.rejects(
    readSafetensors(await withHeader('{"__metadata__":{"n":1}}')),
    /__metadata__, n: found 1, expected a string \(strings only\)/,
  );
});

test("a hundred thousand tensors are read", async () => {
  const entries = Array.from({ length: 100_000 }, (_, i) => {
    return `"model.layers.${i}.mlp.experts.up_proj.weight":{"dtype":"U8","shape":[1,2],"data_offsets":[${2 * i},${2 * i + 2}]}`;
  });
  const { tensors } = await readSafetensors(await withHeader(`{${entries.join(",")}}`, 200_000));
  assert.equal(tensors.size, 100_000);
});

test("names of Object.prototype are names like any other", async () => {
  const file = await readSafetensors(golden("saes", "hostile", "st_proto_key.safetensors"));
  assert.deepEqual([...file.tensors.keys()], ["__proto__", "constructor"]);
  assert.equal((await tensorFloat32(file, "__proto__", [4, 2])).length, 8);
});

test("values that are not finite are carried: whoever needs numbers must look", async () => {
  const file = await readSafetensors(golden("saes", "hostile", "st_nan_and_inf.safetensors"));
  const bad = (await tensorFloat32(file, "W_enc")).filter((x) => !Number.isFinite(x));
  assert.equal(bad.length, 2);
});

test("a file cut at any byte is refused", async () => {
  const whole = await readFile(golden("saes", "hostile", "control_ok.safetensors"));
  const path = join(folder, "cut.safetensors");
  for (let bytes = 0; bytes < whole.length; bytes += 3) {
    await writeFile(path, whole.subarray(0, bytes));
    await assert.rejects(readSafetensors(path), InputError, `${bytes} bytes`);
  }
});

test("a missing file and a folder are refused", async () => {
  await assert.rejects(readSafetensors(join(folder, "none.safetensors")), InputError);
  await mkdir(join(folder, "dir.safetensors"));
  await assert.rejects(readSafetensors(join(folder, "dir.safetensors")), InputError);
});
