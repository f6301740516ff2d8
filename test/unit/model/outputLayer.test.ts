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

test("a second output layer, under another family's name, is refused", async () => {
  const folder = await tiedFolder("llama", "lm_head.weight", "embed_out.weight", 0);
  await assert.rejects(openLanguageModel(folder, { threads: 1 }), {
    name: "InputError",
    message: /tensor embed_out\.weight: found no use for it/,
  });
});
