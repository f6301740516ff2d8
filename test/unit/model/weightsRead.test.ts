// Which weights a graph reads: none of a layer behind its hook, and those of half the width widened once, when its session is made.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import * as ort from "onnxruntime-node";
import { decodeOnnx, readOnnx } from "../../../src/formats/onnxFile.ts";
import {
  readSafetensors,
  type TensorSource,
  tensorFloat32,
  writeSafetensors,
} from "../../../src/formats/safetensors.ts";
import { type Checkpoint, openCheckpoint } from "../../../src/model/checkpoint.ts";
import type { Decoder, ModelFamily } from "../../../src/model/decoder.ts";
import { captureGraph, logitsGraph } from "../../../src/model/decoderGraphs.ts";
import { gemma2Family } from "../../../src/model/gemma2.ts";
import { gpt2Family } from "../../../src/model/gpt2.ts";
import { gptNeoXFamily } from "../../../src/model/gptNeoX.ts";
import { openWeights, readConfig } from "../../../src/model/huggingFaceFolder.ts";
import { llamaFamily } from "../../../src/model/llama.ts";
import { OnnxFileGraphs } from "../../../src/model/onnxFileGraphs.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { qwenFamily } from "../../../src/model/qwen.ts";
import { sessionOptions } from "../../../src/model/sessions.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { expectClose, reference, referenceBatch } from "./references.ts";

const temporary = temporaryFolder();
const families: Readonly<Record<string, ModelFamily>> = {
  llama: llamaFamily,
  llama_tied_bf16_sharded: llamaFamily,
  gpt2: gpt2Family,
  gpt_neox: gptNeoXFamily,
  qwen2: qwenFamily,
  qwen3: qwenFamily,
  gemma2: gemma2Family,
};

async function opened(name: string): Promise<{ decoder: Decoder; checkpoint: Checkpoint }> {
  const { path, config } = await readConfig(golden("models", name));
  const checkpoint = await openWeights(golden("models", name));
  return { decoder: await families[name]!.open(config, { path }, checkpoint), checkpoint };
}

/** The layer that a tensor belongs to, by the names of all families; null: to none. */
const layerOf = (tensor: string) => /(?:^|\.)(?:layers|h)\.(\d+)\./.exec(tensor)?.[1] ?? null;

describe("a hook's graph refers to the layers up to its own, and to no byte of a later one", () => {
  for (const name of Object.keys(families))
    test(name, async () => {
      const { decoder, checkpoint } = await opened(name);
      for (let layer = 0; layer < decoder.info.nLayers; layer++) {
        const bytes = captureGraph(decoder, checkpoint, `blocks.${layer}.hook_resid_post`);
        const external = decodeOnnx("graph", bytes).graph.tensors.filter((tensor) => tensor.external);
        const expected = [...checkpoint.tensors].filter(([tensor]) => {
          const own = layerOf(tensor);
          // Of what belongs to no layer: the embeddings alone.
          return own === null ? /embed_tokens|embed_in|wte|wpe/.test(tensor) : Number(own) <= layer;
        });
        const carriedAlong = /\.(attn|attention)\.(masked_)?bias$|inv_freq$/;
        const weights = expected.filter(([tensor]) => !carriedAlong.test(tensor));
        assert.deepEqual(external.map((tensor) => tensor.name).sort(), weights.map(([tensor]) => tensor).sort());
        const read = external.reduce((sum, tensor) => sum + tensor.external!.length!, 0);
        assert.equal(
          read,
          weights.reduce((sum, [, { length }]) => sum + length, 0),
          "bytes",
        );
      }
    });

  for (const file of ["llama.torch-dynamo.onnx", "gpt2.ort-fused.onnx"])
    test(file, async () => {
      const graphs = new OnnxFileGraphs(await readOnnx(golden("models", "onnx", file)));
      const bytes = (model: Uint8Array) => {
        const { tensors } = decodeOnnx(file, model).graph;
        return tensors.reduce((sum, { raw }) => sum + raw.length, 0);
      };
      const [first, second, third] = [0, 1, 2].map((layer) => bytes(graphs.capture(`blocks.${layer}.hook_resid_post`)));
      // Layers are of one size, and names alone differ.
      assert.ok(Math.abs(third! - second! - (second! - first!)) < 200, `${first}, ${second}, ${third} bytes`);
      assert.ok(second! - first! > 20_000);
      assert.ok(bytes(graphs.logits(null)) > third! + 20_000, "the unembedding is in the whole model alone");
    });
});

test("files of later layers may be gone by the time that a hook is read", async () => {
  const folder = join(temporary, "by-layer");
  mkdirSync(folder);
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"])
    cpSync(golden("models", "llama", name), join(folder, name));
  const whole = await readSafetensors(golden("models", "llama", "model.safetensors"));
  const shards = Map.groupBy(whole.tensors.keys(), (tensor) => `layer-${layerOf(tensor) ?? "none"}.safetensors`);
  const weight_map: Record<string, string> = {};
  for (const [shard, names] of shards) {
    const tensors = new Map<string, TensorSource>();
    for (const name of names) {
      weight_map[name] = shard;
      tensors.set(name, { shape: whole.tensors.get(name)!.shape, data: await tensorFloat32(whole, name) });
    }
    await writeSafetensors(join(folder, shard), tensors);
  }
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
  const model = await openLanguageModel(folder, { threads: 1 });
  for (const layer of [1, 2]) rmSync(join(folder, `layer-${layer}.safetensors`));
  const values = await reference("llama");
  const batch = await referenceBatch(values);
  const hook = "blocks.0.hook_resid_post";
  await expectClose(await model.capture(batch, hook), values, hook, batch, 1e-4);
  await assert.rejects(model.capture(batch, "blocks.1.hook_resid_post"), /layer-1\.safetensors/);
  await model.close();
});

describe("weights of half the width are widened once", () => {
  /** The graph as onnxruntime runs it, once it has made a session of it. */
  async function optimised(model: Uint8Array<ArrayBuffer>, folder: string, name: string) {
    const optimizedModelFilePath = join(temporary, `${name}.onnx`);
    const session = await ort.InferenceSession.create(model, { ...sessionOptions(folder, 1), optimizedModelFilePath });
    await session.release();
    return decodeOnnx(optimizedModelFilePath, readFileSync(optimizedModelFilePath)).graph;
  }

  for (const dtype of ["BF16", "F16"] as const)
    test(dtype, async () => {
      const folder = join(temporary, dtype);
      mkdirSync(folder);
      const whole = await readSafetensors(golden("models", "llama", "model.safetensors"));
      const tensors = new Map<string, TensorSource>();
      for (const [name, { shape }] of whole.tensors) {
        const values = await tensorFloat32(whole, name);
        // The upper halves of float32s: rounded towards zero, which is as good here.
        const upper = new Uint16Array(Float32Array.from(values).buffer).filter((_, i) => i % 2 === 1);
        tensors.set(name, dtype === "F16" ? { shape, data: Float16Array.from(values) } : { shape, dtype, data: upper });
      }
      await writeSafetensors(join(folder, "model.safetensors"), tensors);
      const path = join(folder, "model.safetensors");
      const checkpoint = await openCheckpoint(path, [path]);
      const { config } = await readConfig(golden("models", "llama"));
      const decoder = await llamaFamily.open(config, { path }, checkpoint);
      const ours = logitsGraph(decoder, checkpoint, null);
      const before = decodeOnnx("ours", ours).graph;
      const weights = before.tensors.filter(({ external }) => external);
      assert.ok(weights.every(({ dataType }) => dataType === (dtype === "F16" ? 10 : 16)));
      assert.equal(before.nodes.filter(({ opType }) => opType === "Cast").length >= weights.length, true);
      const after = await optimised(ours, checkpoint.folder, dtype);
      const matrices = after.tensors.filter(({ shape }) => shape.length === 2);
      assert.ok(matrices.length >= 20);
      assert.ok(
        after.tensors.every(({ dataType }) => dataType !== 10 && dataType !== 16),
        "no weight is left as it was in the file",
      );
      const made = new Set(after.tensors.map(({ name }) => name));
      const again = after.nodes.filter(({ opType, inputs }) => opType === "Cast" && made.has(inputs[0]!));
      assert.deepEqual(again, [], "and none is converted again in every run");
    });
});
