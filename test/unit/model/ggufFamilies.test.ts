// GGUF files of every architecture, written here from the golden models as llama.cpp's converter lays them out, against transformers' numbers.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { LanguageModel } from "../../../src/model/languageModel.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { expectClose, reference, referenceBatch } from "./references.ts";

const folder = temporaryFolder();

interface Tensor {
  shape: number[];
  values: Float32Array;
}

/** llama.cpp's names for parts of Hugging Face's names, in the order in which they are tried. */
const NAMES: Readonly<Record<string, readonly (readonly [RegExp, string])[]>> = {
  qwen2: rms(),
  qwen3: rms(),
  gemma2: [
    [/post_attention_layernorm/, "post_attention_norm"],
    [/pre_feedforward_layernorm/, "ffn_norm"],
    [/post_feedforward_layernorm/, "post_ffw_norm"],
    ...rms(),
  ],
  gpt2: [
    [/^wte/, "token_embd"],
    [/^wpe/, "position_embd"],
    [/^ln_f/, "output_norm"],
    [/^h\./, "blk."],
    [/ln_1/, "attn_norm"],
    [/ln_2/, "ffn_norm"],
    [/attn\.c_attn/, "attn_qkv"],
    [/attn\.c_proj/, "attn_output"],
    [/mlp\.c_fc/, "ffn_up"],
    [/mlp\.c_proj/, "ffn_down"],
  ],
  gptneox: [
    [/^gpt_neox\.embed_in/, "token_embd"],
    [/^gpt_neox\.final_layer_norm/, "output_norm"],
    [/^embed_out/, "output"],
    [/^gpt_neox\.layers\./, "blk."],
    [/input_layernorm/, "attn_norm"],
    [/post_attention_layernorm/, "ffn_norm"],
    [/attention\.query_key_value/, "attn_qkv"],
    [/attention\.dense/, "attn_output"],
    [/mlp\.dense_h_to_4h/, "ffn_up"],
    [/mlp\.dense_4h_to_h/, "ffn_down"],
  ],
};

function rms(): [RegExp, string][] {
  return [
    [/^model\.embed_tokens/, "token_embd"],
    [/^model\.norm/, "output_norm"],
    [/^model\.layers\./, "blk."],
    [/input_layernorm/, "attn_norm"],
    [/post_attention_layernorm/, "ffn_norm"],
    [/self_attn\.([qkv])_proj/, "attn_$1"],
    [/self_attn\.([qk])_norm/, "attn_$1_norm"],
    [/self_attn\.o_proj/, "attn_output"],
    [/mlp\.(gate|up|down)_proj/, "ffn_$1"],
  ];
}

/** What the converter does to values. */
function converted(architecture: string, name: string, { shape, values }: Tensor, heads: number): Tensor {
  if (architecture === "gemma2" && /norm\.weight$/.test(name)) return { shape, values: values.map((x) => x + 1) };
  if (architecture === "gpt2" && /(c_attn|c_proj|c_fc)\.weight$/.test(name)) {
    const [rows, columns] = shape as [number, number];
    const turned = values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
    return { shape: [columns, rows], values: turned };
  }
  if (architecture === "gptneox" && name.includes("query_key_value")) {
    const [rows, columns] = [shape[0]!, shape[1] ?? 1];
    const width = rows / heads / 3;
    const out: number[] = [];
    for (let kind = 0; kind < 3; kind++)
      for (let head = 0; head < heads; head++) {
        const from = (head * 3 + kind) * width * columns;
        out.push(...values.subarray(from, from + width * columns));
      }
    return { shape, values: Float32Array.from(out) };
  }
  return { shape, values };
}

type Entry = readonly [string, number | boolean | string | readonly string[] | { readonly float: number }];

/** A GGUF file of version 3, all tensors F32. */
function gguf(metadata: readonly Entry[], tensors: ReadonlyMap<string, Tensor>): Buffer {
  const u32 = (n: number): Buffer => Buffer.from(Uint32Array.of(n).buffer);
  const u64 = (n: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
  const text = (s: string) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);
  const value = (v: Entry[1]): Buffer => {
    if (typeof v === "number") return Buffer.concat([u32(4), u32(v)]);
    if (typeof v === "boolean") return Buffer.concat([u32(7), Buffer.of(v ? 1 : 0)]);
    if (typeof v === "string") return Buffer.concat([u32(8), text(v)]);
    if ("float" in v) return Buffer.concat([u32(6), Buffer.from(Float32Array.of(v.float).buffer)]);
    return Buffer.concat([u32(9), u32(8), u64(v.length), ...v.map(text)]);
  };
  const parts: Buffer[] = [Buffer.from("GGUF"), u32(3), u64(tensors.size), u64(metadata.length)];
  for (const [key, v] of metadata) parts.push(text(key), value(v));
  const data: Buffer[] = [];
  let offset = 0;
  for (const [name, { shape, values }] of tensors) {
    parts.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(0), u64(offset));
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    data.push(bytes, Buffer.alloc(-bytes.length & 31));
    offset += bytes.length + (-bytes.length & 31);
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(-header.length & 31), ...data]);
}

const cases: [string, string, number, (c: Record<string, number>) => Entry[]][] = [
  ["qwen2", "qwen2", 5.1e-5, rmsMetadata],
  ["qwen3", "qwen3", 4.2e-5, (c) => [...rmsMetadata(c), ["attention.key_length", 12], ["attention.value_length", 12]]],
  [
    "gemma2",
    "gemma2",
    2.5e-5,
    (c) => [
      ...rmsMetadata(c),
      ["attention.key_length", 16],
      ["attention.value_length", 16],
      ["attention.sliding_window", 5],
      ["attn_logit_softcapping", { float: 3 }],
      ["final_logit_softcapping", { float: 6 }],
    ],
  ],
  [
    "gpt2",
    "gpt2",
    4.4e-5,
    () => [
      ["context_length", 64],
      ["embedding_length", 32],
      ["feed_forward_length", 128],
      ["block_count", 3],
      ["attention.head_count", 4],
      ["attention.layer_norm_epsilon", { float: 1e-5 }],
    ],
  ],
  [
    "gpt_neox",
    "gptneox",
    4.5e-5,
    () => [
      ["context_length", 64],
      ["embedding_length", 48],
      ["feed_forward_length", 96],
      ["block_count", 2],
      ["attention.head_count", 3],
      ["attention.layer_norm_epsilon", { float: 1e-5 }],
      ["rope.dimension_count", 4],
      ["use_parallel_residual", true],
    ],
  ],
];

function rmsMetadata(c: Record<string, number>): Entry[] {
  return [
    ["context_length", c["max_position_embeddings"]!],
    ["embedding_length", c["hidden_size"]!],
    ["feed_forward_length", c["intermediate_size"]!],
    ["block_count", c["num_hidden_layers"]!],
    ["attention.head_count", c["num_attention_heads"]!],
    ["attention.head_count_kv", c["num_key_value_heads"]!],
    ["attention.layer_norm_rms_epsilon", { float: c["rms_norm_eps"]! }],
    ["rope.freq_base", { float: c["rope_theta"]! }],
  ];
}

for (const [name, architecture, tolerance, metadata] of cases) {
  test(`${architecture}: logits and every hook`, async () => {
    const config = JSON.parse(readFileSync(golden("models", name, "config.json"), "utf8"));
    const source = await readSafetensors(golden("models", name, "model.safetensors"));
    const tensors = new Map<string, Tensor>();
    for (const [tensor, { shape }] of source.tensors) {
      if (/\.(attn|attention)\.(masked_)?bias$|inv_freq$/.test(tensor)) continue;
      const values = await tensorFloat32(source, tensor);
      const heads = config.num_attention_heads ?? config.n_head;
      const to = NAMES[architecture]!.reduce((text, [pattern, word]) => text.replace(pattern, word), tensor);
      tensors.set(to, converted(architecture, tensor, { shape: [...shape], values }, heads));
    }
    const own = metadata(config).map(([key, value]): Entry => [`${architecture}.${key}`, value]);
    // Gemma's scores are scaled by its head's width; the golden model has another scale.
    const scale = name === "gemma2" ? Math.sqrt(16 / config.query_pre_attn_scalar) : 1;
    for (const [tensor, { values }] of tensors)
      if (scale !== 1 && tensor.includes("attn_q.")) for (const i of values.keys()) values[i]! *= scale;
    const tokenizer: Entry[] = [
      ["tokenizer.ggml.model", "gpt2"],
      ["tokenizer.ggml.pre", "gpt-2"],
      ["tokenizer.ggml.tokens", ["a", "b", "c"]],
      ["tokenizer.ggml.merges", []],
    ];
    const path = join(folder, `${name}.gguf`);
    writeFileSync(path, gguf([["general.architecture", architecture], ...own, ...tokenizer], tensors));
    const model = await openLanguageModel(path, { threads: 1, cacheFolder: join(folder, "cache") });
    const file = await reference(name);
    const batch = await referenceBatch(file);
    await expectClose(await model.logits(batch), file, "logits", batch, tolerance);
    for (const hook of model.hookNames)
      await expectClose(await model.capture(batch, hook), file, hook, batch, tolerance);
    assert.equal(model.info.family, config.model_type);
    await model.close();
  });
}

test("a block_count that no file can hold is refused before anything is converted", async () => {
  const counts: [string, string][] = [
    ["llama", "llama"],
    ["gpt_neox", "gptneox"],
  ];
  for (const [name, architecture] of counts) {
    const bytes = readFileSync(golden("models", "gguf", name, "model.gguf"));
    const key = `${architecture}.block_count`;
    // The value (u32) stands behind its kind, which stands behind the key.
    bytes.writeUInt32LE(2 ** 32 - 1, bytes.indexOf(key) + key.length + 4);
    const path = join(folder, `${name}-layers.gguf`);
    writeFileSync(path, bytes);
    const cacheFolder = join(folder, `${name}-no-cache`);
    await assert.rejects(openLanguageModel(path, { threads: 1, cacheFolder }), {
      name: "InputError",
      message: new RegExp(`${key}: found 4294967295, expected at most \\d, the layers that the weights hold`),
    });
    assert.ok(!existsSync(cacheFolder), "nothing converted");
  }
});

test("weights of another shape than the metadata say are refused before anything is converted", async () => {
  const bytes = readFileSync(golden("models", "gguf", "llama", "model.gguf"));
  const key = "llama.feed_forward_length";
  bytes.writeUInt32LE(71, bytes.indexOf(key) + key.length + 4);
  const path = join(folder, "llama-narrow.gguf");
  writeFileSync(path, bytes);
  const cacheFolder = join(folder, "narrow-no-cache");
  await assert.rejects(openLanguageModel(path, { threads: 1, cacheFolder }), {
    name: "InputError",
    message: new RegExp(`^${path}, tensor .*mlp.*: found shape .*, expected .*71.*, as the configuration says`),
  });
  assert.ok(!existsSync(cacheFolder), "nothing converted");
});

/** Places in the text are another matter: whose is a space that stands before a word is settled in tokenizer.json alone. */
const ids = ({ tokenizer }: LanguageModel, text: string) => tokenizer.encode(text).map(({ id }) => id);

for (const name of ["llama", "gpt_neox"])
  test(`${name}, by llama.cpp's own package and of several kinds: logits, hooks, and the tokens of its tokenizer.json`, async () => {
    const path = golden("models", "gguf", name, "model.gguf");
    const model = await openLanguageModel(path, { threads: 1, cacheFolder: join(folder, "cache") });
    const file = await reference(join("gguf", name));
    const batch = await referenceBatch(file);
    for (const value of file.tensors.keys()) {
      if (value === "logits") await expectClose(await model.logits(batch), file, value, batch, 1e-4);
      else if (value.startsWith("blocks."))
        await expectClose(await model.capture(batch, value), file, value, batch, 1e-4);
    }
    const twin = await openLanguageModel(golden("models", name), { threads: 1 });
    for (const text of ["The quick brown fox isn't 12.", "  two spaces,\ta tab\n\nlines", "Größe, 東京 🙂 3.14", ""])
      assert.deepEqual(ids(model, text), ids(twin, text), text);
    await twin.close();
    await model.close();
  });
