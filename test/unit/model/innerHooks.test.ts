// Hooks whose values are not in the residual stream yet, attn.hook_z and mlp.hook_post: TransformerLens' values, and that changes and directions there come to what the output matrix, read from the file and multiplied here, makes of them.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { readSafetensors, type Safetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { hooksExpected, hookWidth } from "../../../src/model/hookPoints.ts";
import type { LanguageModel, TokenBatch } from "../../../src/model/languageModel.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, sharedData, temporaryFolder } from "../fixtures.ts";
import { expectClose, innerReference, largestDifference, oneRow, reference, referenceBatch } from "./references.ts";

interface Family {
  readonly tolerance: number;
  /** Names of layer 1's output matrices, [d, width]; as GPT-2 stores them, [width, d]. */
  readonly attention: string;
  readonly mlp: string;
  readonly inOut?: true;
  readonly file?: string;
}

const llama = {
  attention: "model.layers.1.self_attn.o_proj.weight",
  mlp: "model.layers.1.mlp.down_proj.weight",
};
const neoX = {
  attention: "gpt_neox.layers.1.attention.dense.weight",
  mlp: "gpt_neox.layers.1.mlp.dense_4h_to_h.weight",
};
const families: Readonly<Record<string, Family>> = {
  llama: { tolerance: 5.7e-5, ...llama },
  llama_tied_bf16_sharded: { tolerance: 8.3e-5, ...llama, file: "model-00002-of-00002.safetensors" },
  llama3_rope: { tolerance: 7.5e-5, ...llama },
  mistral: { tolerance: 7.8e-5, ...llama },
  gpt2: { tolerance: 4.4e-5, attention: "h.1.attn.c_proj.weight", mlp: "h.1.mlp.c_proj.weight", inOut: true },
  gpt_neox: { tolerance: 4.5e-5, ...neoX },
  qwen2: { tolerance: 5.1e-5, ...llama },
  qwen3: { tolerance: 4.2e-5, ...llama },
  gemma2: { tolerance: 2.5e-5, ...llama },
};

const hooks = [
  ["blocks.1.attn.hook_z", "blocks.1.hook_attn_out", "attention", "post_attention_layernorm"],
  ["blocks.1.mlp.hook_post", "blocks.1.hook_mlp_out", "mlp", "post_feedforward_layernorm"],
] as const;

for (const [name, family] of Object.entries(families)) {
  describe(name, async () => {
    const { tolerance, file = "model.safetensors" } = family;
    const model = await openLanguageModel(golden("models", name), { threads: 1 });
    after(() => model.close());
    const weights = await readSafetensors(golden("models", name, file));
    const batch = await referenceBatch(await reference(name));
    const first = oneRow(batch.ids.subarray(0, batch.length));
    const d = model.info.dModel;

    for (const [hook, written, matrix, norm] of hooks) {
      const width = hookWidth(model.info, hook);
      const directions = Float32Array.from({ length: first.length * width }, (_, i) => Math.sin(i * 0.7));
      const through = await outputMatrix(weights, family, family[matrix], d, width);
      const scale = name === "gemma2" ? await tensorFloat32(weights, `model.layers.1.${norm}.weight`) : null;

      test(`${hook} is TransformerLens', alone and in a padded batch`, async () => {
        const inner = await innerReference(name);
        const alone = await model.capture(first, hook);
        await expectClose(alone, inner, hook, first, tolerance);
        const whole = await model.capture(batch, hook);
        assert.equal(whole.length, batch.rows * batch.length * width);
        await expectClose(whole.subarray(0, alone.length), inner, hook, first, tolerance);
        for (let row = 0; row < batch.rows; row++) {
          const own = batch.ids.subarray(row * batch.length, row * batch.length + batch.lengths[row]!);
          const values = await model.capture(oneRow(own), hook);
          const there = whole.subarray(row * batch.length * width, (row * batch.length + own.length) * width);
          assert.ok(largestDifference(there, values, oneRow(own)) <= tolerance);
        }
      });

      test(`a delta at ${hook} is what it makes of ${written}`, async () => {
        const values = await model.capture(first, hook);
        const added = (x: Float32Array) => (scale ? normed(through(x), scale, d) : through(x));
        const [before, behind] = [added(values), added(values.map((value, i) => value + directions[i]!))];
        const delta = behind.map((value, i) => value - before[i]!);
        const expected = await model.logits(first, { hookName: written, delta });
        const unchanged = await model.logits(first);
        assert.ok(largestDifference(expected, unchanged, first) > 0.1, "the change is one");
        const found = await model.logits(first, { hookName: hook, delta: directions });
        assert.ok(largestDifference(found, expected, first) <= tolerance);
      });

      test(`directions at ${hook} are unembedded through its output matrix`, async () => {
        const inStream = through(directions);
        if (scale) for (let i = 0; i < inStream.length; i++) inStream[i]! *= 1 + scale[i % d]!;
        const expected = await model.unembed(inStream, first.length, written);
        assert.ok(largestDifference(await model.unembed(directions, first.length, hook), expected, first) <= tolerance);
      });

      test(`a row goes on from changed values at ${hook} piece by piece`, async () => {
        const expected = await model.logits(first, { hookName: hook, delta: directions });
        const { ids } = first;
        const reader = model.readTo(hook);
        const continuation = model.goOnFrom(hook);
        for (const [from, to] of [
          [0, 5],
          [5, 6],
          [6, ids.length],
        ] as const) {
          const values = await reader.append(ids.slice(from, to));
          const changed = values.map((value, i) => value + directions[from * width + i]!);
          const { logits } = await continuation.append(ids.slice(from, to), changed, { logits: true });
          const own = expected.subarray((to - 1) * logits.length, to * logits.length);
          assert.ok(logits.every((logit, i) => Math.abs(logit - own[i]!) <= tolerance));
        }
        await assert.rejects(continuation.append(ids.slice(0, 1), new Float32Array(1), { logits: false }), RangeError);
      });
    }
  });
}

async function againstReference(model: LanguageModel, inner: Safetensors, batch: TokenBatch, tolerance: number) {
  const held = [...inner.tensors.keys()].filter((hook) => /\.(attn\.hook_z|mlp\.hook_post)$/.test(hook));
  assert.equal(held.length, 2);
  for (const hook of held) await expectClose(await model.capture(batch, hook), inner, hook, batch, tolerance);
}

test("gelu-1l, in TransformerLens' own form", async () => {
  const model = await openLanguageModel(golden("models", "gelu-1l"), { threads: 1, cacheFolder: temporaryFolder() });
  const { ids, length } = await referenceBatch(await reference("gelu-1l"));
  await againstReference(model, await innerReference("gelu-1l"), oneRow(ids.subarray(0, length)), 4.9e-5);
  await model.close();
});

const sequential = sharedData("../golden/models/gpt_neox_sequential");

test("attention before the MLP in GPT-NeoX", { skip: sequential.skip }, async () => {
  const model = await openLanguageModel(sequential.path, { threads: 1 });
  const batch = await referenceBatch(await readSafetensors(join(sequential.path, "reference.safetensors")));
  const inner = await readSafetensors(join(sequential.path, "transformerlens.safetensors"));
  await againstReference(model, inner, batch, 7.1e-5);
  await model.close();
});

test("hooks stand in the order of execution", async () => {
  const model = await openLanguageModel(golden("models", "gpt_neox"), { threads: 1 });
  const kinds = ["hook_resid_pre", "attn.hook_z", "hook_attn_out", "mlp.hook_post", "hook_mlp_out", "hook_resid_post"];
  assert.deepEqual(
    model.hookNames.slice(0, 6),
    kinds.map((kind) => `blocks.0.${kind}`),
  );
  await model.close();
});

test("a hook that a model doesn't have is told with those that it has", () => {
  const model = { nLayers: 2, dModel: 4, dMlp: 16 };
  assert.equal(hooksExpected(model, "blocks.1.mlp.hook_post"), null);
  const others = ["blocks.1.attn.hook_z", "blocks.2.hook_resid_post", "blocks.01.hook_resid_post"];
  for (const hook of [...others, "blocks.0.hook_resid", "hook_embed"])
    assert.match(hooksExpected(model, hook)!, /^blocks\.0 to blocks\.1 with one of hook_resid_pre, hook_attn_out, /);
  assert.throws(() => hookWidth(model, "blocks.1.attn.hook_z"), RangeError);
  const mid = "blocks.1.hook_resid_mid";
  assert.equal(hooksExpected(model, mid), null);
  assert.match(hooksExpected({ ...model, parallel: true }, mid)!, /hook_attn_out, mlp\.hook_post/);
});

/** x [n, width] to x Wᵀ [n, d], summed in float64. */
async function outputMatrix(file: Safetensors, { inOut }: Family, name: string, d: number, width: number) {
  const matrix = await tensorFloat32(file, name);
  assert.equal(matrix.length, d * width);
  return (x: Float32Array): Float32Array =>
    Float32Array.from({ length: (x.length / width) * d }, (_, at) => {
      const [row, out] = [Math.floor(at / d), at % d];
      let sum = 0;
      for (let i = 0; i < width; i++) sum += x[row * width + i]! * matrix[inOut ? i * d + out : out * width + i]!;
      return sum;
    });
}

/** Gemma's RMSNorm of [n, d], with the tiny model's epsilon. */
function normed(x: Float32Array, weight: Float32Array, d: number): Float32Array {
  return x.map((value, at) => {
    const row = x.subarray(at - (at % d), at - (at % d) + d);
    const mean = row.reduce((sum, one) => sum + one * one, 0) / d;
    return (value / Math.sqrt(mean + 1e-4)) * (1 + weight[at % d]!);
  });
}
