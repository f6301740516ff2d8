// Pooled texts on disk: the same again, another making isn't mistaken for it, damage is refused; parts join under one numbering.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readSafetensors, tensorData, writeSafetensors } from "../../../src/formats/safetensors.ts";
import type { PooledTexts } from "../../../src/probing/pool.ts";
import { loadPooled, savePooled } from "../../../src/probing/pooledFile.ts";
import { joinPooled } from "../../../src/probing/pooledTexts.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();

const texts: PooledTexts = {
  activations: { rows: 3, d: 2, values: Float64Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 1e-300) },
  codes: {
    rows: 3,
    width: 9,
    offsets: Uint32Array.of(0, 2, 2, 3),
    indices: Uint32Array.of(1, 8, 4),
    values: Float32Array.of(0.5, 2, 3),
  },
  tokens: Uint32Array.of(4, 1, 7),
};

test("what is saved is loaded, bit for bit, by what it was made from", async () => {
  const path = join(folder, "deep", "a.safetensors");
  assert.equal(await loadPooled(path, "x"), null);
  await savePooled(path, texts, "x");
  assert.deepEqual(await loadPooled(path, "x"), texts);
  assert.equal(await loadPooled(path, "y"), null);
});

test("a damaged file is refused, with what to do", async () => {
  const path = join(folder, "b.safetensors");
  await savePooled(path, texts, "x");
  const file = await readSafetensors(path);
  const damage = async (name: string, data: Uint32Array): Promise<void> => {
    const tensors = Object.fromEntries(
      await Promise.all(
        [...file.tensors].map(async ([key, { shape }]) => [
          key,
          key === name ? { shape: [data.length], data } : { shape, data: await tensorData(file, key) },
        ]),
      ),
    );
    await writeSafetensors(join(folder, "c.safetensors"), tensors, file.metadata);
  };
  await damage("codes.indices", Uint32Array.of(1, 9, 4));
  await assert.rejects(loadPooled(join(folder, "c.safetensors"), "x"), /found feature 9 of 9.*delete the file/);
  await damage("codes.offsets", Uint32Array.of(0, 2, 1, 3));
  await assert.rejects(loadPooled(join(folder, "c.safetensors"), "x"), /offsets that fall at text 1/);
  await damage("codes.offsets", Uint32Array.of(0, 2, 2, 2));
  await assert.rejects(loadPooled(join(folder, "c.safetensors"), "x"), /offsets that don't span the codes/);
});

test("parts are joined one after the other", () => {
  const both = joinPooled([texts, texts]);
  assert.deepEqual(Array.from(both.codes.offsets), [0, 2, 2, 3, 5, 5, 6]);
  assert.deepEqual(Array.from(both.codes.indices), [1, 8, 4, 1, 8, 4]);
  assert.deepEqual(Array.from(both.tokens), [4, 1, 7, 4, 1, 7]);
  assert.deepEqual(both.activations.values.slice(6), texts.activations.values);
  const other = { ...texts, activations: { rows: 3, d: 1, values: new Float64Array(3) } };
  assert.throws(() => joinPooled([texts, other]), /pooled texts of widths 1, 9 beside 2, 9/);
});
