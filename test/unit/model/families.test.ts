// Every family of models against transformers' and TransformerLens' numbers: every hook, logits, interventions, padding, batches.
import assert from "node:assert/strict";
import { cp, mkdir, readFile, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { InputError } from "../../../src/formats/inputError.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { hookWidth } from "../../../src/model/hookPoints.ts";
import type { LanguageModel, TokenBatch } from "../../../src/model/languageModel.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, sharedData, temporaryFolder } from "../fixtures.ts";
import { expectClose, isInStream, largestDifference, oneRow, reference, referenceBatch } from "./references.ts";

const temporary = temporaryFolder();

/** Tolerances of the references: five times the worst float32 error against float64. */
const models = {
  llama: 5.7e-5,
  llama_tied_bf16_sharded: 8.3e-5,
  llama3_rope: 7.5e-5,
  mistral: 7.8e-5,
  gpt2: 4.4e-5,
  gpt_neox: 4.5e-5,
  qwen2: 5.1e-5,
  qwen3: 4.2e-5,
  gemma2: 2.5e-5,
};

/** The final norm, where it isn't an RMSNorm with 1e-5. */
const finalNorms: Readonly<Record<string, { epsilon: number; centred: boolean; cap: number | null }>> = {
  gpt2: { epsilon: 1e-5, centred: true, cap: null },
  gpt_neox: { epsilon: 1e-5, centred: true, cap: null },
  qwen2: { epsilon: 1e-6, centred: false, cap: null },
  qwen3: { epsilon: 1e-6, centred: false, cap: null },
  gemma2: { epsilon: 1e-4, centred: false, cap: 6 },
};

/** Of the same family and more besides, where the data folder is. */
const sequential = sharedData("../golden/models/gpt_neox_sequential");

test("attention before the MLP in GPT-NeoX", { skip: sequential.skip }, async () => {
  const model = await openLanguageModel(sequential.path, { threads: 1 });
  const file = await readSafetensors(join(sequential.path, "reference.safetensors"));
  const batch = await referenceBatch(file);
  await expectClose(await model.logits(batch), file, "logits", batch, 7.1e-5);
  assert.equal(model.hookNames.length, model.info.nLayers * 7);
  for (const hook of model.hookNames.filter(isInStream))
    await expectClose(await model.capture(batch, hook), file, hook, batch, 7.1e-5);
  await model.close();
});

for (const [name, tolerance] of Object.entries(models)) {
  describe(name, async () => {
    const model = await openLanguageModel(golden("models", name), { threads: 2 });
    after(() => model.close());
    const file = await reference(name);
    const batch = await referenceBatch(file);
    const first = row(batch, 0);
    const d = model.info.dModel;

    test("logits, and again with transformers 5's form of the configuration", async () => {
      await expectClose(await model.logits(batch), file, "logits", batch, tolerance);
      const folder = join(temporary, `${name}-5`);
      await cp(golden("models", name), folder, { recursive: true });
      await cp(join(folder, "config.transformers5.json"), join(folder, "config.json"));
      const newer = await openLanguageModel(folder, { threads: 1 });
      await expectClose(await newer.logits(batch), file, "logits", batch, tolerance);
      await newer.close();
    });

    test("every hook", async () => {
      // TransformerLens has no hook_resid_mid where attention and MLP stand beside each other.
      assert.equal(model.hookNames.length, model.info.nLayers * (name === "gpt_neox" ? 6 : 7));
      for (const hook of model.hookNames.filter(isInStream))
        await expectClose(await model.capture(batch, hook), file, hook, batch, tolerance);
    });

    test("a delta at a hook", async () => {
      const delta = await tensorFloat32(file, "delta");
      const logits = await model.logits(batch, { hookName: "blocks.1.hook_resid_post", delta });
      await expectClose(logits, file, "logits.add_delta", batch, tolerance);
    });

    test("a hook set to zero, and set to zero at one position", async () => {
      const mlp = await model.capture(first, "blocks.1.hook_mlp_out");
      const noMlp = await model.logits(first, { hookName: "blocks.1.hook_mlp_out", delta: mlp.map((x) => -x) });
      await expectClose(noMlp, file, "logits.zero_mlp_out", first, tolerance);
      const attention = await model.capture(first, "blocks.0.hook_attn_out");
      const delta = attention.map((x, i) => (Math.floor(i / d) === 3 ? -x : 0));
      const noAttention = await model.logits(first, { hookName: "blocks.0.hook_attn_out", delta });
      await expectClose(noAttention, file, "logits.zero_attn_out_pos3", first, tolerance);
    });

    test("a delta of zero changes no bit, at any hook", async () => {
      const logits = await model.logits(batch);
      for (const hookName of model.hookNames) {
        const delta = new Float32Array(batch.rows * batch.length * hookWidth(model.info, hookName));
        assert.deepEqual(await model.logits(batch, { hookName, delta }), logits, hookName);
      }
    });

    test("a row alone, or padded further, or beside an empty row, gives the same", async () => {
      const hook = model.hookNames.at(-1)!;
      const whole = await model.capture(batch, hook);
      for (let r = 0; r < batch.rows; r++) {
        const alone = row(batch, r);
        const values = await model.capture(alone, hook);
        const expected = whole.slice(r * batch.length * d, (r * batch.length + alone.length) * d);
        assert.ok(largestDifference(values, expected, alone) <= 1e-5);
      }
      const wider = {
        rows: 4,
        length: 20,
        ids: new Int32Array(80).fill(-9),
        lengths: Int32Array.of(0, ...batch.lengths),
      };
      for (let r = 0; r < 3; r++) wider.ids.set(row(batch, r).ids, (r + 1) * 20);
      const values = await model.capture(wider, hook);
      const expected = new Float32Array(80 * d);
      for (let r = 0; r < 3; r++) {
        expected.set(whole.subarray(r * 12 * d, (r * 12 + batch.lengths[r]!) * d), (r + 1) * 20 * d);
      }
      assert.ok(largestDifference(values, expected, wider) <= 1e-5);
    });

    test("unembedding: the final norm's weight, then the output matrix", async () => {
      const rows = 3;
      const directions = Float32Array.from({ length: rows * d }, (_, i) => Math.sin(i * 1.7));
      const last = model.hookNames.at(-1)!;
      const logits = await model.unembed(directions, rows, last);
      const { epsilon, centred, cap } = finalNorms[name] ?? { epsilon: 1e-5, centred: false, cap: null };
      const base = await model.capture(oneRow([5]), last);
      /** Logits, before the soft cap, of a residual stream that is `direction` in the end. */
      const through = async (direction: Float32Array) => {
        const delta = direction.map((x, i) => x - base[i]!);
        const values = await model.logits(oneRow([5]), { hookName: last, delta });
        return cap === null ? values : values.map((x) => cap * Math.atanh(x / cap));
      };
      // What the norm's bias adds, which the contract leaves out, as it does the division.
      const constant = await through(new Float32Array(d));
      for (let r = 0; r < rows; r++) {
        const direction = directions.subarray(r * d, (r + 1) * d);
        const mean = centred ? direction.reduce((sum, x) => sum + x, 0) / d : 0;
        const scale = Math.sqrt(direction.reduce((sum, x) => sum + (x - mean) ** 2, 0) / d + epsilon);
        const v = model.info.dVocab;
        const all = await model.unembed(
          Float32Array.from(direction, (x) => x - mean),
          1,
          last,
        );
        const ours = all.map((x, i) => x / scale + constant[i]!);
        assert.ok(largestDifference(ours, await through(direction), oneRow([5])) <= 1e-4);
        if (!centred) assert.ok(largestDifference(logits.subarray(r * v, (r + 1) * v), all, oneRow([5])) <= 1e-5);
      }
    });
  });
}

function row(batch: TokenBatch, r: number): TokenBatch {
  return oneRow(batch.ids.subarray(r * batch.length, r * batch.length + batch.lengths[r]!));
}

test("hooks that end early need no later weights; sessions come and go and stay right", async () => {
  const model = await openLanguageModel(golden("models", "llama"), { threads: 1 });
  const file = await reference("llama");
  const batch = await referenceBatch(file);
  const hooks = model.hookNames.filter(isInStream);
  for (const hook of [...hooks, ...hooks.toReversed()]) {
    await expectClose(await model.capture(batch, hook), file, hook, batch, 5.7e-5);
  }
  const together = await Promise.all(hooks.map((hook) => model.capture(batch, hook)));
  for (const [i, values] of together.entries()) await expectClose(values, file, hooks[i]!, batch, 5.7e-5);
  await model.close();
});

test("a batch of many tokens, cut into runs inside, gives each row what it gives alone", async () => {
  const model = await openLanguageModel(golden("models", "llama"), { threads: 2 });
  const lengths = Int32Array.from({ length: 40 }, (_, row) => (row * 23) % 65);
  const batch = { rows: 40, length: 64, ids: new Int32Array(40 * 64), lengths };
  for (const i of batch.ids.keys()) batch.ids[i] = (i * 7919) % 431;
  const hook = "blocks.2.hook_resid_post";
  const d = model.info.dModel;
  const delta = Float32Array.from({ length: 40 * 64 * d }, (_, i) => Math.sin(i));
  const values = await model.capture(batch, hook);
  const logits = await model.logits(batch, { hookName: hook, delta });
  const v = model.info.dVocab;
  for (let r = 0; r < 40; r++) {
    const alone = row(batch, r);
    const at = r * 64;
    const own = delta.slice(at * d, (at + alone.length) * d);
    const expected = await model.capture(alone, hook);
    assert.ok(largestDifference(values.slice(at * d, (at + alone.length) * d), expected, alone) <= 2e-5);
    const expectedLogits = await model.logits(alone, { hookName: hook, delta: own });
    assert.ok(largestDifference(logits.slice(at * v, (at + alone.length) * v), expectedLogits, alone) <= 2e-5);
    assert.ok(values.subarray((at + alone.length) * d, (at + 64) * d).every((x) => x === 0));
  }
  await model.close();
});

test("weights reached through links, in folders of their own, as in a Hugging Face cache", async () => {
  const folder = join(temporary, "snapshot");
  await mkdir(folder);
  const source = golden("models", "llama_tied_bf16_sharded");
  for (const [i, name] of ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"].entries()) {
    const blobs = join(temporary, `blobs${i}`);
    await mkdir(blobs);
    await cp(join(source, name), join(blobs, `blob${i}`));
    await symlink(join(blobs, `blob${i}`), join(folder, name));
  }
  for (const name of ["config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"]) {
    await cp(join(source, name), join(folder, name));
  }
  const model = await openLanguageModel(folder, { threads: 1 });
  const file = await reference("llama_tied_bf16_sharded");
  const batch = await referenceBatch(file);
  await expectClose(await model.logits(batch), file, "logits", batch, 8.3e-5);
  await model.close();
});

describe("gelu-1l, in TransformerLens' own form", () => {
  const cacheFolder = join(temporary, "cache");

  test("every hook, logits and interventions", async () => {
    const model = await openLanguageModel(golden("models", "gelu-1l"), { threads: 1, cacheFolder });
    const file = await reference("gelu-1l");
    const batch = await referenceBatch(file);
    const tolerance = 4.9e-5;
    await expectClose(await model.logits(batch), file, "logits", batch, tolerance);
    assert.equal(model.hookNames.length, 7);
    for (const hook of model.hookNames.filter(isInStream))
      await expectClose(await model.capture(batch, hook), file, hook, batch, tolerance);
    const delta = await tensorFloat32(file, "delta");
    const changed = await model.logits(batch, { hookName: "blocks.0.hook_resid_post", delta });
    await expectClose(changed, file, "logits.add_delta", batch, tolerance);
    const first = row(batch, 0);
    const mlp = await model.capture(first, "blocks.0.hook_mlp_out");
    const without = await model.logits(first, { hookName: "blocks.0.hook_mlp_out", delta: mlp.map((x) => -x) });
    await expectClose(without, file, "logits.zero_mlp_out", first, tolerance);
    await model.close();
  });

  test("fields as TransformerLens completes them change nothing", async () => {
    const folder = join(temporary, "lens-completed");
    await cp(golden("models", "gelu-1l"), folder, { recursive: true });
    await edit(folder, {
      attn_scale: Math.sqrt(8),
      attn_scores_soft_cap: -1,
      output_logits_soft_cap: -1,
      use_normalization_before_and_after: false,
      post_embedding_ln: false,
      attn_types: null,
      window_size: null,
      n_key_value_heads: null,
      d_vocab_out: 324,
      rotary_base: 10_000,
      num_experts: null,
      act_fn: "gelu",
      lr: 0.001,
    });
    const model = await openLanguageModel(folder, { threads: 1, cacheFolder });
    const file = await reference("gelu-1l");
    const batch = await referenceBatch(file);
    await expectClose(await model.logits(batch), file, "logits", batch, 4.9e-5);
    await model.close();
  });

  const cases: [string, object, RegExp][] = [
    ["a width that isn't the weights'", { d_mlp: 64 }, /W_in: found shape \[32,128\], expected \[32,64\]/],
    ["more layers than there are", { n_layers: 2 }, /tensor blocks\.1\.\S+: found nothing/],
    ["attention alone", { attn_only: true }, /attn_only: found true/],
    ["another activation", { act_fn: "solu_ln" }, /act_fn: found "solu_ln"/],
    [
      "positions by ALiBi",
      { positional_embedding_type: "alibi" },
      /positional_embedding_type: found "alibi", expected "standard"/,
    ],
    ["scores that aren't scaled", { use_attn_scale: false }, /use_attn_scale: found false/],
    ["attention both ways", { attention_dir: "bidirectional" }, /attention_dir: found "bidirectional"/],
    ["another scale of scores", { attn_scale: 8 }, /attn_scale: found 8, expected -1 or 2\.828/],
    ["capped scores", { attn_scores_soft_cap: 50 }, /attn_scores_soft_cap: found 50, expected -1 or 0: nothing else/],
    ["capped logits", { output_logits_soft_cap: 30 }, /output_logits_soft_cap: found 30, expected -1/],
    [
      "norms on both sides",
      { use_normalization_before_and_after: true },
      /use_normalization_before_and_after: found true/,
    ],
    ["a norm behind the embedding", { post_embedding_ln: true }, /post_embedding_ln: found true/],
    ["layers of kinds", { attn_types: ["local"] }, /attn_types: found \["local"\]/],
    ["a window", { window_size: 4 }, /window_size: found 4/],
    ["norms of queries and keys", { use_qk_norm: true }, /use_qk_norm: found true/],
    ["fewer keys than queries", { n_key_value_heads: 2 }, /n_key_value_heads: found 2, expected 4/],
    ["other tokens in the end", { d_vocab_out: 10 }, /d_vocab_out: found 10, expected -1 or 324/],
    ["experts", { num_experts: 4 }, /num_experts: found 4/],
  ];
  for (const [what, fields, message] of cases)
    test(what, async () => {
      const folder = join(temporary, `lens_${what.replaceAll(/\W/g, "_")}`);
      await cp(golden("models", "gelu-1l"), folder, { recursive: true });
      await edit(folder, { ...fields });
      await assert.rejects(
        openLanguageModel(folder, { cacheFolder }),
        (error: Error) => error.name === "InputError" && message.test(error.message),
      );
    });
});

describe("mistakes of a caller are RangeErrors", async () => {
  const model = await openLanguageModel(golden("models", "llama"), { threads: 1 });
  after(() => model.close());
  const cases: [string, (model: LanguageModel) => Promise<unknown>, RegExp][] = [
    ["an unknown hook", (m) => m.capture(oneRow([1, 2]), "blocks.9.hook_resid_post"), /no hook blocks.9/],
    ["an id outside the vocabulary", (m) => m.logits(oneRow([1, 431])), /token id 431 at row 0, position 1/],
    ["more tokens than the context", (m) => m.logits(oneRow(new Int32Array(65))), /a row of 65 tokens/],
    [
      "a delta of another size",
      (m) => m.logits(oneRow([1]), { hookName: "blocks.0.hook_resid_post", delta: new Float32Array(31) }),
      /delta of 31 values/,
    ],
    [
      "directions of another size",
      (m) => m.unembed(new Float32Array(32), 1, "blocks.0.mlp.hook_post"),
      /32 values for 1 directions of width 72/,
    ],
  ];
  for (const [what, run, message] of cases) {
    test(what, () => assert.rejects(run(model), (error) => error instanceof RangeError && message.test(error.message)));
  }
});

describe("what can't be opened is an InputError that names it", () => {
  const cases: [string, (folder: string) => Promise<void>, RegExp][] = [
    ["no configuration", (f) => rm(join(f, "config.json")), /config\.json: found no such file/],
    ["no weights", (f) => rm(join(f, "model.safetensors")), /model\.safetensors: found no such file/],
    ["no tokenizer", (f) => rm(join(f, "tokenizer.json")), /tokenizer\.json: found no such file/],
    [
      "another family",
      (f) => edit(f, { model_type: "mamba" }),
      /model_type: found "mamba", expected llama or mistral or gpt2/,
    ],
    ["no family", (f) => edit(f, { model_type: undefined }), /model_type: found nothing/],
    [
      "a width that isn't the weights'",
      (f) => edit(f, { hidden_size: 64 }),
      /tensor .*: found shape \[.*\], expected \[/,
    ],
    [
      "more layers than there are",
      (f) => edit(f, { num_hidden_layers: 4 }),
      /config\.json, num_hidden_layers: found 4, expected at most 3, the layers that the weights hold/,
    ],
    [
      "a thousand million layers",
      (f) => edit(f, { num_hidden_layers: 1e9 }),
      /config\.json, num_hidden_layers: found 1000000000, expected at most 3/,
    ],
    [
      "fewer layers than there are",
      (f) => edit(f, { num_hidden_layers: 2 }),
      /tensor model\.layers\.2\..*: found no use/,
    ],
    [
      "another tokenizer",
      (f) => moreTokens(f),
      /tokenizer\.json: found a vocabulary of 432 tokens, expected at most 431/,
    ],
    [
      "weights cut short",
      (f) => truncate(join(f, "model.safetensors"), 100_000),
      /model\.safetensors.*: found .*(an end at byte|bytes)/,
    ],
    ["a header of 100 GB", (f) => claimHeader(f, 100_000_000_000n), /header length: found 100000000000 bytes/],
    ["weights of another type", (f) => retype(f), /dtype I32, expected F32, F16, BF16 or F64/],
    ["a shard that is missing", (f) => missingShard(f), /model-00002-of-00002\.safetensors: found no such file/],
    ["a text for a number", (f) => edit(f, { num_attention_heads: "4" }), /num_attention_heads: found "4"/],
    ["another activation", (f) => edit(f, { hidden_act: "xielu" }), /hidden_act: found "xielu"/],
    [
      "quantised weights",
      (f) => edit(f, { quantization_config: { bits: 4 } }),
      /quantization_config: found \{"bits":4\}/,
    ],
    [
      "a rotary scaling that isn't known",
      (f) => edit(f, { rope_scaling: { type: "longrope", factor: 2 } }),
      /rope_scaling\.rope_type: found longrope, expected default, linear, dynamic, llama3 or yarn/,
    ],
    [
      "a scaling without its factor",
      (f) => edit(f, { rope_scaling: { type: "linear" } }),
      /rope_scaling\.factor: found nothing/,
    ],
    ["positions by ALiBi", (f) => edit(f, { alibi: true }), /alibi: found true, expected no such field/],
    [
      "positions by ALiBi, said otherwise",
      (f) => edit(f, { position_embedding_type: "alibi" }),
      /position_embedding_type: found "alibi"/,
    ],
    ["scaled scores", (f) => edit(f, { attention_multiplier: 0.5 }), /attention_multiplier: found 0\.5/],
    ["capped logits", (f) => edit(f, { final_logit_softcapping: 30 }), /final_logit_softcapping: found 30/],
    ["layers without positions", (f) => edit(f, { no_rope_layers: [1] }), /no_rope_layers: found \[1\]/],
    [
      "layers of a kind that isn't known",
      (f) => edit(f, { layer_types: ["chunked_attention", "full_attention", "full_attention"] }),
      /layer_types\.0: found "chunked_attention", expected one of "full_attention", "sliding_attention"/,
    ],
    ["clipped queries, keys and values", (f) => edit(f, { clip_qkv: 8 }), /clip_qkv: found 8, expected no such field/],
    ["norms of queries and keys", (f) => edit(f, { qk_layernorm: true }), /qk_layernorm: found true/],
    ["the same by another name", (f) => edit(f, { use_qk_norm: true }), /use_qk_norm: found true/],
    ["attention in chunks", (f) => edit(f, { attention_chunk_size: 8192 }), /attention_chunk_size: found 8192/],
    ["part of the head rotated", (f) => edit(f, { partial_rotary_factor: 0.5 }), /partial_rotary_factor: found 0\.5/],
    ["heads that don't divide", (f) => edit(f, { num_key_value_heads: 3 }), /num_key_value_heads: found 3/],
  ];
  for (const [what, damage, message] of cases) {
    test(what, async () => {
      const folder = join(temporary, what.replaceAll(/\W/g, "_"));
      await cp(golden("models", "llama"), folder, { recursive: true });
      await damage(folder);
      await assert.rejects(openLanguageModel(folder), (error: Error) => {
        assert.equal(error.name, "InputError", String(error.stack));
        assert.match(error.message, message);
        return true;
      });
    });
  }
  for (const [fields, message] of [
    [{ rotary_pct: 0.2 }, /config\.json, rotary_pct: found 0\.2, expected a share of the head's width, 16, that is/],
    [{ rotary_emb_base: "10000" }, /config\.json, rotary_emb_base: found "10000", expected a number/],
    [{ rotary_pct: 0 }, /config\.json, rotary_pct: found 0, expected more than 0/],
    [
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.2 } },
      /config\.json, rope_parameters\.partial_rotary_factor: found 0\.2, expected a share/,
    ],
    [{ hidden_size: 49 }, /config\.json, hidden_size: found 49, expected a multiple of 3, num_attention_heads/],
  ] as const)
    test(`GPT-NeoX with ${JSON.stringify(fields)}`, async () => {
      const folder = join(temporary, `neox-${Object.keys(fields)}-${Object.values(fields).map(String)}`);
      await cp(golden("models", "gpt_neox"), folder, { recursive: true });
      await edit(folder, fields);
      await assert.rejects(openLanguageModel(folder), { name: "InputError", message });
    });

  test("an index of no shards", async () => {
    const folder = join(temporary, "no-shards");
    await cp(golden("models", "llama_tied_bf16_sharded"), folder, { recursive: true });
    await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: {} }));
    const message = /model\.safetensors\.index\.json, weight_map: found an empty object, expected names of tensors/;
    await assert.rejects(openLanguageModel(folder), { name: "InputError", message });
  });

  test("special ids that the model has no embedding of", async () => {
    const folder = join(temporary, "special-ids");
    await cp(golden("models", "llama"), folder, { recursive: true });
    await rm(join(folder, "tokenizer_config.json"));
    for (const kind of ["bos", "eos"]) {
      await edit(folder, { [`${kind}_token_id`]: 999_999 });
      const message = new RegExp(`config\\.json, ${kind}_token_id: found 999999, expected less than 431, the model's`);
      await assert.rejects(openLanguageModel(folder), { name: "InputError", message });
      await edit(folder, { [`${kind}_token_id`]: 430 });
      await (await openLanguageModel(folder, { threads: 1 })).close();
    }
  });

  for (const [what, id, expected] of [
    ["beyond 32 bits", 2 ** 33, "a whole number from 0 to 2147483647"],
    ["that are none", "7", "a whole number from 0 to 2147483647"],
  ] as const)
    test(`ids in a vocabulary ${what}`, async () => {
      const folder = join(temporary, `ids-${typeof id}`);
      await cp(golden("models", "llama"), folder, { recursive: true });
      const path = join(folder, "tokenizer.json");
      const json = JSON.parse(await readFile(path, "utf8"));
      const token = Object.keys(json.model.vocab)[300]!;
      json.model.vocab[token] = id;
      await writeFile(path, JSON.stringify(json));
      await assert.rejects(openLanguageModel(folder), (error: InputError) => {
        assert.equal(error.where, `model.vocab.${token}`);
        assert.equal(error.found, JSON.stringify(id));
        assert.ok(error.expected.startsWith(expected), error.expected);
        return true;
      });
    });

  test("fields of that kind that ask for nothing are none", async () => {
    const folder = join(temporary, "nothing-asked");
    await cp(golden("models", "llama"), folder, { recursive: true });
    await edit(folder, { clip_qkv: null, qk_layernorm: false, use_qk_norm: false, attention_chunk_size: null });
    const model = await openLanguageModel(folder, { threads: 1 });
    const file = await reference("llama");
    const batch = await referenceBatch(file);
    await expectClose(await model.logits(batch), file, "logits", batch, models.llama);
    await model.close();
  });

  for (const [name, field] of [
    ["gpt2", "n_layer"],
    ["gpt_neox", "num_hidden_layers"],
    ["gemma2", "num_hidden_layers"],
  ] as const)
    test(`a thousand million layers of ${name}`, async () => {
      const folder = join(temporary, `${name}-layers`);
      await cp(golden("models", name), folder, { recursive: true });
      await edit(folder, { [field]: 1e9 });
      const message = new RegExp(`config\\.json, ${field}: found 1000000000, expected at most \\d, the layers`);
      await assert.rejects(openLanguageModel(folder), { name: "InputError", message });
    });

  test("nothing there", () =>
    assert.rejects(openLanguageModel(join(temporary, "nowhere")), /found no such file or folder/));

  test("weights alone, and weights of another form: what to name instead", async () => {
    await assert.rejects(
      openLanguageModel(golden("models", "llama", "model.safetensors")),
      /found a \.safetensors file, expected a model folder, a \.gguf file or an \.onnx file$/,
    );
    for (const [name, message] of [
      ["tiny.Q4_0.gguf", /found its weights only in tiny\.Q4_0\.gguf, expected that file's own path \(.*gguf\), or/],
      ["export.onnx", /found its weights only in export\.onnx, expected that file's own path \(.*onnx\), or/],
      ["pytorch_model.bin", /found its weights only in pytorch_model\.bin, expected model\.safetensors, as/],
    ] as const) {
      const folder = join(temporary, `only-${name}`);
      await cp(golden("models", "llama"), folder, { recursive: true });
      await rename(join(folder, "model.safetensors"), join(folder, name));
      await assert.rejects(openLanguageModel(folder), { name: "InputError", message });
    }
  });
});

async function edit(folder: string, fields: Record<string, unknown>): Promise<void> {
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...fields }));
}

async function moreTokens(folder: string): Promise<void> {
  const path = join(folder, "tokenizer.json");
  const tokenizer = JSON.parse(await readFile(path, "utf8"));
  tokenizer.model.vocab["another word"] = 431;
  await writeFile(path, JSON.stringify(tokenizer));
}

async function claimHeader(folder: string, length: bigint): Promise<void> {
  const path = join(folder, "model.safetensors");
  const bytes = await readFile(path);
  bytes.writeBigUInt64LE(length);
  await writeFile(path, bytes);
}

async function retype(folder: string): Promise<void> {
  const path = join(folder, "model.safetensors");
  const bytes = await readFile(path);
  await writeFile(path, Buffer.from(bytes.toString("latin1").replace('"dtype":"F32"', '"dtype":"I32"'), "latin1"));
}

async function missingShard(folder: string): Promise<void> {
  await cp(golden("models", "llama_tied_bf16_sharded"), folder, { recursive: true });
  // A whole file would be taken before the index.
  for (const file of ["model-00002-of-00002.safetensors", "model.safetensors"])
    await rm(join(folder, file), { force: true });
}
