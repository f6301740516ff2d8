// GGUF: agreement with the gguf Python package, versions 1 to 3, and refusal of damaged files.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ggufChunks, ggufFloat32, readGguf } from "../../../src/formats/gguf.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
const types = golden("formats", "types.gguf");

test("metadata of every type", async () => {
  const { version, metadata } = await readGguf(types);
  assert.equal(version, 3);
  const { "general.architecture": architecture, ...rest } = Object.fromEntries(metadata);
  assert.equal(architecture, "llama");
  assert.deepEqual(rest, {
    "a.u8": 200,
    "a.i8": -3,
    "a.u16": 60000,
    "a.i16": -300,
    "a.u32": 4000000000,
    "a.i32": -5,
    "a.f32": Math.fround(1e-5),
    "a.bool": true,
    "a.string": "größe",
    "a.strings": ["a", "", "ü"],
    "a.ints": [1, -2, 3],
    "a.floats": [0.5, -1.5],
    "a.u64": 2n ** 63n + 1n,
    "a.i64": -(2 ** 40),
    "a.f64": 1 / 3,
  });
});

const kinds = {
  types: ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"],
  lowBits: ["Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS"],
};
for (const [of, name] of Object.entries(kinds).flatMap(([of, names]) => names.map((name) => [of, name] as const))) {
  test(`${name} is dequantised as the gguf package does it`, async () => {
    const file = await readGguf(golden("formats", `${of}.gguf`));
    const reference = await readSafetensors(golden("formats", `${of}.safetensors`));
    const { shape } = reference.tensors.get(name)!;
    const expected = await tensorFloat32(reference, name);
    const values = await ggufFloat32(file, name, shape);
    let worst = 0;
    // One rounding apart at most: the package's order of multiplications is not promised.
    for (const [i, x] of expected.entries()) worst = Math.max(worst, Math.abs(values[i]! - x) / (Math.abs(x) + 1e-3));
    assert.ok(worst < 3e-7, `relative difference ${worst}`);
    const chunks: number[] = [];
    for await (const chunk of ggufChunks(file, name)) chunks.push(...chunk);
    assert.deepEqual(Float32Array.from(chunks), values);
  });
}

test("a type that can't be converted is named", async () => {
  const file = await readGguf(golden("formats", "lowBits.gguf"));
  await assert.rejects(ggufFloat32(file, "IQ3_XXS"), {
    name: "InputError",
    where: "tensor IQ3_XXS",
    found: "type IQ3_XXS",
    message: /expected F32, F16, Q4_0.*Q2_K.*Q6_K.*BF16/,
  });
});

/** A file by hand: sizes are 4 bytes in version 1 and 8 after. */
function file(
  version: number,
  parts: (string | { size: number } | { u32: number } | { u64: number } | Uint8Array)[],
): Buffer {
  const size = (n: number) => (version === 1 ? u32(n) : u64(n));
  return Buffer.concat([
    Buffer.from("GGUF"),
    u32(version),
    ...parts.map((part) => {
      if (typeof part === "string") return Buffer.concat([size(Buffer.byteLength(part)), Buffer.from(part)]);
      if (part instanceof Uint8Array) return Buffer.from(part);
      if ("size" in part) return size(part.size);
      return "u32" in part ? u32(part.u32) : u64(part.u64);
    }),
  ]);
}

function u32(n: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
}

function u64(n: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(n));
  return bytes;
}

async function write(bytes: Uint8Array): Promise<string> {
  const path = join(folder, "made.gguf");
  await writeFile(path, bytes);
  return path;
}

const tensor = (name: string, offset: number, values = 4) => [
  name,
  { u32: 1 },
  { size: values },
  { u32: 0 },
  { u64: offset },
];

for (const version of [1, 2, 3]) {
  test(`version ${version}`, async () => {
    const head = file(version, [
      { size: 1 },
      { size: 1 },
      "n.words",
      { u32: 9 },
      { u32: 8 },
      { size: 2 },
      "ab",
      "",
      ...tensor("x", 0),
    ]);
    const padding = Buffer.alloc((32 - (head.length % 32)) % 32);
    const data = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    const read = await readGguf(await write(Buffer.concat([head, padding, data])));
    assert.deepEqual(read.metadata.get("n.words"), ["ab", ""]);
    assert.deepEqual(await ggufFloat32(read, "x", [4]), Float32Array.of(1, 2, 3, 4));
  });
}

/** A value that is an array of so many bytes. */
const bytesArray = (length: number) => [{ u32: 9 }, { u32: 0 }, { size: length }, Buffer.alloc(length)];

const damaged: Record<string, [Buffer, RegExp]> = {
  "other bytes": [Buffer.from("PK\x03\x04 and some more of it"), /expected the letters GGUF/],
  "an unknown version": [file(4, [{ size: 0 }, { size: 0 }]), /found GGUF version 4/],
  "a big-endian file": [file(0x03000000, [{ size: 0 }, { size: 0 }]), /big-endian/],
  "more tensors than bytes": [file(3, [{ size: 2 ** 40 }, { size: 0 }]), /tensor count: found 1099511627776/],
  "a string longer than the file": [
    file(3, [{ size: 0 }, { size: 1 }, { size: 2 ** 50 }, Buffer.alloc(16)]),
    /string length/,
  ],
  "an array longer than the file": [
    file(3, [{ size: 0 }, { size: 1 }, "k", { u32: 9 }, { u32: 10 }, { size: 2 ** 33 }, Buffer.alloc(9)]),
    /metadata k, array length: found 8589934592/,
  ],
  "a length beyond 2^53": [
    file(3, [{ size: 0 }, { size: 1 }, Buffer.alloc(8, 0xff), Buffer.alloc(16)]),
    /found the number 18446744073709551615/,
  ],
  "an array of arrays": [
    file(3, [{ size: 0 }, { size: 1 }, "k", { u32: 9 }, { u32: 9 }, { size: 1 }, Buffer.alloc(13)]),
    /metadata k: found an array of arrays/,
  ],
  "arrays that are small alone and many together": [
    file(3, [{ size: 0 }, { size: 3 }, ...["a", "b", "c"].flatMap((key) => [key, ...bytesArray(1 << 21)])]),
    /metadata c: found 6291456 values in arrays up to here, expected at most 4194304/,
  ],
  "metadata entries without end": [
    file(3, [{ size: 0 }, { size: 1 << 20 }, Buffer.alloc(9 << 20)]),
    /metadata count: found 1048576, expected at most 65536/,
  ],
  "tensors without end": [
    file(3, [{ size: 1 << 20 }, { size: 0 }, Buffer.alloc(24 << 20)]),
    /tensor count: found 1048576, expected at most 65536/,
  ],
  "an unknown value type": [file(3, [{ size: 0 }, { size: 1 }, "k", { u32: 13 }, Buffer.alloc(9)]), /value type 13/],
  "a key twice": [
    file(3, [{ size: 0 }, { size: 2 }, "k", { u32: 7 }, Buffer.of(1), "k", { u32: 7 }, Buffer.of(1), Buffer.alloc(9)]),
    /metadata k: found the key twice/,
  ],
  "a tensor outside": [
    file(3, [{ size: 1 }, { size: 0 }, ...tensor("x", 0, 400), Buffer.alloc(64)]),
    /tensor x: found an end/,
  ],
  "a tensor of 2^60 values": [
    file(3, [
      { size: 1 },
      { size: 0 },
      "x",
      { u32: 2 },
      { u64: 2 ** 30 },
      { u64: 2 ** 30 },
      { u32: 0 },
      { u64: 0 },
      Buffer.alloc(64),
    ]),
    /tensor x: found an end/,
  ],
  "tensors that overlap": [
    file(3, [{ size: 2 }, { size: 0 }, ...tensor("x", 0, 16), ...tensor("y", 32, 16), Buffer.alloc(200)]),
    /tensor y: found bytes that also belong to tensor x/,
  ],
  "a tensor out of line": [
    file(3, [{ size: 1 }, { size: 0 }, ...tensor("x", 4), Buffer.alloc(96)]),
    /offset 4, expected a multiple/,
  ],
  "a tensor of unknown type": [
    file(3, [{ size: 1 }, { size: 0 }, "x", { u32: 1 }, { size: 32 }, { u32: 99 }, { u64: 0 }, Buffer.alloc(64)]),
    /type number 99/,
  ],
  "a row that is not whole blocks": [
    file(3, [{ size: 1 }, { size: 0 }, "x", { u32: 1 }, { size: 31 }, { u32: 8 }, { u64: 0 }, Buffer.alloc(64)]),
    /rows of 31 values of Q8_0/,
  ],
};

for (const [what, [bytes, message]] of Object.entries(damaged)) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(readGguf(await write(bytes)), (error) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  });
}

test("a file cut anywhere is refused", async () => {
  const whole = await readFile(types);
  for (let bytes = 0; bytes < whole.length - 32; bytes += 97) {
    await assert.rejects(readGguf(await write(whole.subarray(0, bytes))), InputError, `${bytes} bytes`);
  }
});
