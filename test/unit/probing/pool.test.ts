// Pooling: golden means and codes; what is left after ablating pooled codes equals ablation at every token; other engines agree; texts in any portions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCpuEngine } from "../../../src/engine/cpu/cpuEngine.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { ablatedLogits, ablatedRows } from "../../../src/probing/ablation.ts";
import { codeColumns } from "../../../src/probing/codeColumns.ts";
import { decoderProjection } from "../../../src/probing/effects.ts";
import { type PooledTexts, TextPooler } from "../../../src/probing/pool.ts";
import { logits } from "../../../src/probing/probe.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import { ensembleWidth } from "../../../src/sae/ensemble.ts";
import { encoderFrom } from "../engine/encoderFrom.ts";
import { golden } from "../fixtures.ts";
import { distance, goldenModel, goldenPart, modelNames, probeFile } from "./goldenProbing.ts";

/** The first 150 test texts of the golden set's pooled.safetensors. */
const STORED = 150;

function dense({ codes }: PooledTexts, rows: number): Float64Array {
  const result = new Float64Array(rows * codes.width);
  for (let t = 0; t < rows; t++)
    for (let at = codes.offsets[t]!; at < codes.offsets[t + 1]!; at++)
      result[t * codes.width + codes.indices[at]!] = codes.values[at]!;
  return result;
}

for (const name of modelNames) {
  test(`${name}: pooled activations and codes as stored`, async () => {
    const file = await readSafetensors(golden("probing", "pooled-first150.safetensors"));
    const { test: texts } = await goldenModel(name);
    const { lengths } = await goldenPart("test");
    const means = texts.activations.values.subarray(0, STORED * 32);
    assert.ok(distance(means, await tensorFloat32(file, "test.pooled")) < 2e-5);
    const codes = await tensorFloat32(file, `${name}.test.pooled_codes`);
    assert.ok(distance(dense(texts, STORED), codes) < 2e-5, `${distance(dense(texts, STORED), codes)}`);
    assert.deepEqual(Array.from(texts.tokens), Array.from(lengths));
    for (let t = 0; t < 50; t++) {
      const own = texts.codes.indices.subarray(texts.codes.offsets[t]!, texts.codes.offsets[t + 1]!);
      assert.deepEqual(own, own.slice().sort());
    }
  });

  test(`${name}: ablating pooled codes equals ablating at every token`, async () => {
    const { ensemble, W_dec, test: texts } = await goldenModel(name);
    const { tokens, lengths } = await goldenPart("test");
    const width = ensembleWidth(ensemble);
    const features = Array.from({ length: width }, (_, i) => i).filter((i) => i % 3 !== 1);
    const rows = Uint32Array.from({ length: 100 }, (_, row) => row);
    const pooled = ablatedRows(texts.activations, rows, codeColumns(texts.codes, rows), W_dec, features);
    const expected = new Float64Array(rows.length * 32);
    for (let text = 0, from = 0; text < rows.length; from += lengths[text++]!) {
      const n = lengths[text]!;
      const x = tokens.slice(from * 32, (from + n) * 32);
      const { codes } = encodeEnsemble(ensemble, x, n);
      for (let token = 0; token < n; token++)
        for (let j = 0; j < 32; j++) {
          let value = x[token * 32 + j]!;
          for (const i of features) value -= codes[token * width + i]! * W_dec[i * 32 + j]!;
          expected[text * 32 + j]! += value / n;
        }
    }
    assert.ok(distance(pooled.values, expected) < 1e-6, `${distance(pooled.values, expected)}`);
    const probe = await (await probeFile("own_probes.safetensors")).probe("biased");
    const short = ablatedLogits(
      logits(probe, texts.activations, rows),
      codeColumns(texts.codes, rows),
      decoderProjection(W_dec, probe.w),
      [...features, ...features],
    );
    assert.ok(distance(short, logits(probe, pooled, rows)) < 1e-9, "logits without making the rows; flags count once");
  });
}

test("the CPU engine pools as the reference does, single tokens of topk aside", async () => {
  const engine = await createCpuEngine({ threads: 1 });
  try {
    for (const name of modelNames) {
      const { ensemble, test: texts } = await goldenModel(name);
      const { tokens, lengths } = await goldenPart("test");
      const encoder = await engine.createEncoder(ensemble);
      const pooler = new TextPooler(encoder, 32, ensembleWidth(ensemble));
      await pooler.add(tokens, lengths);
      const [a, b] = [dense(texts, 808), dense(pooler.result(), 808)];
      const far = a.filter((value, at) => Math.abs(value - b[at]!) > 2e-5).length;
      assert.ok(far <= (name === "relu" || name === "bagging" ? 0 : 20), `${name}: ${far}`);
      await encoder.close();
    }
  } finally {
    await engine.close();
  }
});

test("texts may come in any portions", async () => {
  const { ensemble, test: texts } = await goldenModel("boosting");
  const { tokens, lengths } = await goldenPart("test");
  const encoder = await createReferenceEngine().createEncoder(ensemble);
  const pooler = new TextPooler(encoder, 32, ensembleWidth(ensemble));
  let from = 0;
  for (let text = 0; text < 60; text += 7) {
    const part = lengths.subarray(text, Math.min(60, text + 7));
    const to = from + part.reduce((sum, n) => sum + n, 0);
    await pooler.add(tokens.subarray(from * 32, to * 32), part);
    from = to;
  }
  const result = pooler.result();
  assert.equal(result.codes.rows, 60);
  assert.deepEqual(result.activations.values, texts.activations.values.slice(0, 60 * 32));
  assert.deepEqual(dense(result, 60), dense(texts, 60));
});

test("a text without tokens is a row of zeros between the others; rows of activations beyond the tokens are refused", async () => {
  const { ensemble } = await goldenModel("relu");
  const encoder = await createReferenceEngine().createEncoder(ensemble);
  const pooler = new TextPooler(encoder, 32, 128);
  const x = Float32Array.from({ length: 96 }, (_, at) => Math.sin(at));
  await pooler.add(x, [2, 0, 1]);
  await pooler.add(new Float32Array(), [0]);
  const plain = new TextPooler(encoder, 32, 128);
  await plain.add(x, [2, 1]);
  const [found, expected] = [pooler.result(), plain.result()];
  assert.deepEqual(Array.from(found.tokens), [2, 0, 1, 0]);
  assert.deepEqual(found.activations.values.subarray(0, 32), expected.activations.values.subarray(0, 32));
  assert.deepEqual(found.activations.values.subarray(64, 96), expected.activations.values.subarray(32));
  for (const row of [1, 3]) {
    assert.ok(found.activations.values.subarray(32 * row, 32 * row + 32).every((value) => value === 0));
    assert.equal(found.codes.offsets[row], found.codes.offsets[row + 1]);
  }
  assert.deepEqual(found.codes.values, expected.codes.values);
  await assert.rejects(pooler.add(new Float32Array(96), [2]), /3 rows of activations for 2 tokens/);
});

test("an encoder that fails in a later batch fails the pooling, with its words", async () => {
  let batches = 0;
  const encoder = encoderFrom(async (x, rows) => {
    if (++batches > 1) throw new Error("the device is gone");
    const [offsets, none] = [new Uint32Array(rows + 1), new Uint32Array()];
    return { codes: { rows, width: 4, offsets, indices: none, values: new Float32Array() }, reconstruction: x };
  });
  const pooler = new TextPooler(encoder, 2, 4);
  const lengths = new Array<number>(30).fill(200);
  await assert.rejects(pooler.add(new Float32Array(2 * 200 * 30), lengths), /the device is gone/);
});
