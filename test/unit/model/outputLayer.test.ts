// Configurations that tie the output layer to the embedding, beside weights that have one of its own, in every family. transformers 5.23 was seen to give the same.
import assert from "node:assert/strict";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  readSafetensors,
  type TensorSource,
  tensorBytes,
  tensorFloat32,
  writeSafetensors,
} from "../../../src/formats/safetensors.ts";
import { modelDoubts } from "../../../src/model/doubts.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { largestDifference, reference, referenceBatch } from "./references.ts";

const temporary = temporaryFolder();

/** Each model's output layer in its file, and what it is called. */
const models: readonly [string, string, string][] = [
  ["llama", "lm_head.weight", "lm_head.weight"],
  ["mistral", "lm_head.weight", "lm_head.weight"],
  ["qwen2", "model.embed_tokens.weight", "lm_head.weight"],
  ["qwen3", "model.embed_tokens.weight", "lm_head.weight"],
  ["gemma2", "model.embed_tokens.weight", "lm_head.weight"],
  ["gpt2", "wte.weight", "lm_head.weight"],
  ["gpt_neox", "embed_out.weight", "embed_out.weight"],
  ["gpt_neox", "embed_out.weight", "lm_head.weight"],
];

/** The model with `tie_word_embeddings` and an output layer, which is another tensor with its rows moved on by some. */
async function tiedFolder(model: string, from: string, to: string, moved: number): Promise<string> {
  const folder = join(temporary, `${model}-${from}-${to}-${moved}`);
  await cp(golden("models", model), folder, { recursive: true });
  const config = join(folder, "config.json");
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, "utf8")), tie_word_embeddings: true }));
  const path = join(folder, "model.safetensors");
  const file = await readSafetensors(path);
  const name = [from, `transformer.${from}`].find((each) => file.tensors.has(each))!;
  const tensors = new Map<string, TensorSource>();
  for (const [tensor, { dtype, shape }] of file.tensors)
    tensors.set(tensor, { dtype, shape, data: await tensorBytes(file, tensor) });
  const { dtype, shape } = file.tensors.get(name)!;
  const bytes = Buffer.from(await tensorBytes(file, name));
  const row = (bytes.length / shape[0]!) * moved;
  tensors.delete("embed_out.weight");
  tensors.set(to, { dtype, shape, data: Buffer.concat([bytes.subarray(row), bytes.subarray(0, row)]) });
  await rm(path);
  await writeSafetensors(path, tensors);
  return folder;
}

for (const [model, from, to] of models)
  test(`${model}: a ${to} that differs from the embedding makes the logits, and a person is told`, async () => {
    const opened = await openLanguageModel(await tiedFolder(model, from, to, 3), { threads: 1 });
    const file = await reference(model);
    const batch = await referenceBatch(file);
    const expected = await tensorFloat32(file, "logits");
    const vocabulary = opened.info.dVocab;
    const moved = expected.map((_, i) => {
      const token = i % vocabulary;
      return expected[i - token + ((token + 3) % vocabulary)]!;
    });
    assert.ok(largestDifference(await opened.logits(batch), moved, batch) <= 1e-4);
    assert.deepEqual(modelDoubts(opened), [
      `the configuration ties the output layer to the embedding (tie_word_embeddings), but ${to} differs from that: it makes the logits, as in transformers 5`,
    ]);
    await opened.close();
  });

test("an output layer that is the embedding once more raises no doubt", async () => {
  const folder = await tiedFolder("gpt2", "wte.weight", "lm_head.weight", 0);
  const opened = await openLanguageModel(folder, { threads: 1 });
  const file = await reference("gpt2");
  const batch = await referenceBatch(file);
  assert.ok(largestDifference(await opened.logits(batch), await tensorFloat32(file, "logits"), batch) <= 4.4e-5);
  assert.deepEqual(modelDoubts(opened), []);
  await opened.close();
});

/** Rows of zeros behind the matrix's own, and the same as float32 or, rounded, as bfloat16. */
function rewritten(matrix: Float32Array, width: number, more: number, dtype: "F32" | "BF16"): TensorSource {
  const values = new Float32Array(matrix.length + more * width);
  values.set(matrix);
  const shape = [values.length / width, width];
  const bits = new Uint32Array(values.buffer);
  if (dtype === "F32") return { dtype, shape, data: values };
  return { dtype, shape, data: new Uint8Array(Uint16Array.from(bits, (word) => (word + 0x8000) >>> 16).buffer) };
}

for (const [what, more, dtype] of [
  ["that is padded", 47, "F32"],
  ["of another type", 0, "BF16"],
] as const)
  test(`a tied output layer ${what} and has the embedding's values raises no doubt`, async () => {
    const folder = await tiedFolder("gpt2", "wte.weight", "lm_head.weight", 0);
    const path = join(folder, "model.safetensors");
    const file = await readSafetensors(path);
    const tensors = new Map<string, TensorSource>();
    for (const [tensor, { dtype, shape }] of file.tensors)
      tensors.set(tensor, { dtype, shape, data: await tensorBytes(file, tensor) });
    const width = file.tensors.get("lm_head.weight")!.shape[1]!;
    const embedding = await tensorFloat32(file, "lm_head.weight");
    tensors.set("lm_head.weight", rewritten(embedding, width, more, dtype));
    await rm(path);
    await writeSafetensors(path, tensors);
    const opened = await openLanguageModel(folder, { threads: 1 });
    const batch = await referenceBatch(await reference("gpt2"));
    const logits = await tensorFloat32(await reference("gpt2"), "logits");
    assert.ok(largestDifference(await opened.logits(batch), logits, batch) <= 4.4e-5);
    assert.deepEqual(modelDoubts(opened), []);
    await opened.close();
    // A value that no rounding explains.
    const other = embedding.with(5, embedding[5]! * 1.05 + 1e-3);
    tensors.set("lm_head.weight", rewritten(other, width, 0, dtype));
    await rm(path);
    await writeSafetensors(path, tensors);
    const doubtful = await openLanguageModel(folder, { threads: 1 });
    assert.match(modelDoubts(doubtful).join(), /lm_head\.weight differs from that/);
    await doubtful.close();
  });

for (const moved of [0, 1])
  test(`gpt_neox with an output layer under both of its names, ${moved ? "unlike" : "the same"}`, async () => {
    const folder = join(temporary, `neox-both-${moved}`);
    await cp(golden("models", "gpt_neox"), folder, { recursive: true });
    const path = join(folder, "model.safetensors");
    const file = await readSafetensors(path);
    const tensors = new Map<string, TensorSource>();
    for (const [tensor, { dtype, shape }] of file.tensors)
      tensors.set(tensor, { dtype, shape, data: await tensorBytes(file, tensor) });
    const matrix = await tensorFloat32(file, "embed_out.weight");
    const { shape } = file.tensors.get("embed_out.weight")!;
    tensors.set("lm_head.weight", { shape, data: matrix.map((x, i) => (i === 0 ? x + moved : x)) });
    await rm(path);
    await writeSafetensors(path, tensors);
    const opening = openLanguageModel(folder, { threads: 1 });
    if (moved) await assert.rejects(opening, /tensor embed_out\.weight: found no use for it/);
    else await (await opening).close();
  });

test("a second output layer, under another family's name, is refused", async () => {
  const folder = await tiedFolder("llama", "lm_head.weight", "embed_out.weight", 0);
  await assert.rejects(openLanguageModel(folder, { threads: 1 }), {
    name: "InputError",
    message: /tensor embed_out\.weight: found no use for it/,
  });
});
