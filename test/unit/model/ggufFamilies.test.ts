// GGUF files of every architecture, written here from the golden models as llama.cpp's converter lays them out, against transformers' numbers.
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Gguf, ggufFloat32, readGguf } from "../../../src/formats/gguf.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { ggufModel } from "../../../src/model/ggufFamilies.ts";
import type { LanguageModel } from "../../../src/model/languageModel.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { expectClose, innerReference, isInStream, oneRow, reference, referenceBatch } from "./references.ts";

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

type Value = number | boolean | string | readonly (string | number)[] | { readonly float: number };
type Entry = readonly [string, Value];

/** A GGUF file of version 3, all tensors F32. */
function gguf(metadata: readonly Entry[], tensors: ReadonlyMap<string, Tensor>): Buffer {
  const u32 = (n: number): Buffer => Buffer.from(Uint32Array.of(n).buffer);
  const u64 = (n: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
  const text = (s: string) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);
  const value = (v: Value): Buffer => {
    if (typeof v === "number" && Number.isInteger(v)) return Buffer.concat([u32(4), u32(v)]);
    if (typeof v === "number") return value({ float: v });
    if (typeof v === "boolean") return Buffer.concat([u32(7), Buffer.of(v ? 1 : 0)]);
    if (typeof v === "string") return Buffer.concat([u32(8), text(v)]);
    if ("float" in v) return Buffer.concat([u32(6), Buffer.from(Float32Array.of(v.float).buffer)]);
    const floats = v.every((each) => typeof each === "number");
    const list = floats ? [Buffer.from(Float32Array.from(v).buffer)] : v.map((each) => text(String(each)));
    return Buffer.concat([u32(9), u32(floats ? 6 : 8), u64(v.length), ...list]);
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
    for (const hook of model.hookNames.filter(isInStream))
      await expectClose(await model.capture(batch, hook), file, hook, batch, tolerance);
    const inner = await innerReference(name);
    const first = oneRow(batch.ids.subarray(0, batch.length));
    for (const hook of inner.tensors.keys())
      await expectClose(await model.capture(first, hook), inner, hook, first, tolerance);
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
    message: new RegExp(
      `^${path}, tensor blk\\.0\\.ffn_gate\\.weight: found shape .*, expected .*71.*, as the configuration says`,
    ),
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

let made = 0;

/** A golden file with other metadata, null for none, and with tensors besides. */
async function changed(
  name: string,
  metadata: Readonly<Record<string, Value | null>>,
  besides: Readonly<Record<string, Tensor | null>> = {},
): Promise<string> {
  const file = await readGguf(golden("models", "gguf", name, "model.gguf"));
  const entries = new Map<string, Value | null>([
    ...(file.metadata as Map<string, Value>),
    ...Object.entries(metadata),
  ]);
  const tensors = new Map<string, Tensor | null>();
  for (const [tensor, { shape }] of file.tensors)
    tensors.set(tensor, { shape: [...shape], values: await ggufFloat32(file, tensor) });
  for (const [tensor, other] of Object.entries(besides)) tensors.set(tensor, other);
  // A name of its own each, since conversions are kept by path, size and time.
  const path = join(folder, `${name}-changed-${made++}.gguf`);
  const there = <T>(map: ReadonlyMap<string, T | null>) => [...map].filter(([, v]) => v !== null) as [string, T][];
  writeFileSync(path, gguf(there(entries), new Map(there(tensors))));
  return path;
}

/** The golden llama has divisors of its own. */
const noDivisors = { "rope_freqs.weight": null };

/** Metadata by which llama.cpp would compute something else, or that the weights contradict, and what is said of them. */
const refused: readonly [string, Record<string, Value | null>, string, Record<string, Tensor | null>?][] = [
  ["llama", { "llama.attention.causal": false }, "llama.attention.causal: found false, expected true"],
  ["llama", { "llama.attention.max_alibi_bias": 8 }, "llama.attention.max_alibi_bias: found 8, expected no such key"],
  ["llama", { "llama.attention.clamp_kqv": 8 }, "llama.attention.clamp_kqv: found 8, expected no such key"],
  ["llama", { "llama.logit_scale": 0.25 }, "llama.logit_scale: found 0.25, expected 0 or 1"],
  ["llama", { "llama.residual_scale": 0.25 }, "llama.residual_scale: found 0.25, expected 0 or 1"],
  ["llama", { "llama.embedding_scale": 12 }, "llama.embedding_scale: found 12, expected 0 or 1"],
  ["llama", { "llama.attention.scale": 0.5 }, "llama.attention.scale: found 0.5, expected 0.35355"],
  ["llama", { "llama.attn_logit_softcapping": 30 }, "llama.attn_logit_softcapping: found 30, expected no such key"],
  ["llama", { "llama.final_logit_softcapping": 30 }, "llama.final_logit_softcapping: found 30, expected no such key"],
  ["llama", { "llama.attention.sliding_window": 63 }, "llama.attention.sliding_window: found 63, expected at least 64"],
  ["llama", { "llama.expert_count": 8 }, "llama.expert_count: found 8, expected no such key"],
  ["llama", { "llama.some.new_thing": "on" }, 'llama.some.new_thing: found "on", expected no such key'],
  ["llama", { "llama.constructor": 1 }, "llama.constructor: found 1, expected no such key"],
  [
    "llama",
    {},
    "tensor rope_freqs.weight: found 3 values, expected 4",
    { "rope_freqs.weight": { shape: [3], values: new Float32Array(3).fill(1) } },
  ],
  [
    "gpt_neox",
    { "gptneox.use_parallel_residual": 1 },
    "gptneox.use_parallel_residual: found 1, expected true or false",
  ],
  ["gpt_neox", { "gptneox.logit_scale": 2 }, "gptneox.logit_scale: found 2, expected 0 or 1"],
  ["gpt_neox", { "gptneox.attention.head_count_kv": 1 }, "gptneox.attention.head_count_kv: found 1, expected 2"],
  ...["linear", "yarn", "longrope"].map((type): (typeof refused)[number] => [
    "llama",
    { "llama.rope.scaling.type": type, "llama.rope.scaling.factor": 4 },
    `llama.rope.scaling.type: found "${type}", expected no scaling beside that of the tensor rope_freqs.weight`,
  ]),
  ["llama", { "llama.rope.scaling.factor": 4 }, "llama.rope.scaling.factor: found 4, expected no scaling"],
  [
    "llama",
    { "llama.rope.scaling.type": "longrope" },
    "llama.rope.scaling.type: found longrope, expected default",
    noDivisors,
  ],
  ["gpt_neox", { "gptneox.rope.scaling.type": "su" }, "gptneox.rope.scaling.type: found su, expected default"],
  ["llama", { "llama.rope.freq_base": { float: -1 } }, "llama.rope.freq_base: found -1, expected more than 0"],
  ["llama", { "llama.rope.freq_base": "10000" }, 'llama.rope.freq_base: found "10000", expected a number'],
  [
    "llama",
    { "llama.attention.head_count_kv": 3 },
    "head_count_kv: found 3, expected a divisor of 4, llama.attention.head_count",
  ],
  [
    "llama",
    { "llama.attention.head_count": 0 },
    "llama.attention.head_count: found 0, expected a whole number above 0",
  ],
  ["llama", { "llama.context_length": null }, "llama.context_length: found nothing, expected a number"],
  [
    "llama",
    { "llama.attention.layer_norm_rms_epsilon": 0 },
    "llama.attention.layer_norm_rms_epsilon: found 0, expected more",
  ],
  ["llama", { "llama.feed_forward_length": [80, 72] }, "llama.feed_forward_length: found a list, expected a number"],
  ["llama", { "llama.feed_forward_length": 7 }, "tensor blk.0.ffn_gate.weight: found shape [80,32], expected [7,32]"],
  ["gpt_neox", { "gptneox.rope.dimension_count": 3 }, "gptneox.rope.dimension_count: found 3, expected an even number"],
  ["llama", {}, "found no tensor blk.1.attn_q.weight, expected [32,32]", { "blk.1.attn_q.weight": null }],
  [
    "llama",
    {},
    "found tensor blk.0.attn_q_norm.bias, expected tensors of the llama architecture only",
    { "blk.0.attn_q_norm.bias": { shape: [32], values: new Float32Array(32) } },
  ],
  [
    "llama",
    { "tokenizer.ggml.bos_token_id": 999_999 },
    "tokenizer.ggml.bos_token_id: found 999999, expected less than 431",
  ],
];

for (const [name, metadata, message, besides] of refused)
  test(`refused: ${message}`, async () => {
    const path = await changed(name, metadata, besides);
    const cacheFolder = join(folder, "refused-no-cache");
    await assert.rejects(openLanguageModel(path, { threads: 1, cacheFolder }), (error: Error) => {
      assert.equal(error.name, "InputError", error.stack);
      assert.ok(error.message.startsWith(path) && error.message.includes(message), error.message);
      return true;
    });
    assert.ok(!existsSync(cacheFolder), "nothing converted");
  });

/** What converters write besides, and values by which nothing changes. */
const harmless: Record<string, Value> = {
  "general.file_type": 1,
  "llama.tensor_data_layout": "Meta AI original pth",
  "llama.attention.causal": true,
  "llama.attention.max_alibi_bias": { float: 0 },
  "llama.attention.value_length": 8,
  "llama.attention.key_length": 8,
  "llama.attention.scale": Math.fround(1 / Math.sqrt(8)),
  "llama.attention.sliding_window": 64,
  "llama.attention.layer_norm_epsilon": { float: 1e-5 },
  "llama.logit_scale": { float: 1 },
  "llama.residual_scale": { float: 1 },
  "llama.expert_count": 0,
  "llama.expert_used_count": 2,
  "llama.rope.scaling.type": "none",
  "llama.rope.scaling.original_context_length": 64,
  "llama.rope.scaling.finetuned": false,
  "llama.pooling_type": 3,
  "llama.classifier.output_labels": ["yes", "no"],
  "llama.rope.dimension_sections": [0, 0, 0, 0],
  // Once for each layer.
  "llama.attention.head_count": [4, 4],
  "llama.feed_forward_length": [80, 80],
};

test("metadata that change nothing are no hindrance, and change nothing", async () => {
  const plain = await logitsOf({}, {});
  const file = await reference(join("gguf", "llama"));
  await expectClose(plain, file, "logits", await referenceBatch(file), 1e-4);
  assert.ok(sameBits(await logitsOf(harmless, {}), plain));
  const divisors = { "rope_freqs.weight": { shape: [4], values: new Float32Array(4).fill(1) } };
  assert.ok(
    sameBits(await logitsOf({}, noDivisors), await logitsOf({ "llama.rope.scaling.type": "linear" }, divisors)),
  );
});

test("with yarn, its factor of extrapolation may be said; without, it changes nothing at 0", async () => {
  const yarn = { "llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": { float: 4 } };
  const said = (factor: number) => ({ ...yarn, "llama.rope.scaling.yarn_ext_factor": { float: factor } });
  const scaled = await logitsOf(yarn, noDivisors);
  for (const factor of [1, -1]) assert.ok(sameBits(await logitsOf(said(factor), noDivisors), scaled));
  await assert.rejects(logitsOf(said(0), noDivisors), /yarn_ext_factor: found 0, expected 1, or less than 0/);
});

test("gemma2: a window that isn't said is llama.cpp's, and a base of the sliding layers is that of all", async () => {
  const opened = (more: Record<string, Value>) => {
    const own = { block_count: 2, context_length: 64, embedding_length: 32, feed_forward_length: 64, ...more };
    const heads = { "attention.head_count": 2, "attention.layer_norm_rms_epsilon": 1e-6 };
    const metadata = Object.entries({ ...own, ...heads }).map(([key, v]) => [`gemma2.${key}`, v] as const);
    const tensors = new Map([
      ["token_embd.weight", { shape: [9, 32] }],
      ["blk.0.attn_norm.weight", { shape: [32] }],
      ["blk.1.attn_norm.weight", { shape: [32] }],
    ]);
    return ggufModel({
      path: "tiny.gguf",
      metadata: new Map<string, Value>([["general.architecture", "gemma2"], ...metadata]),
      tensors,
    } as unknown as Gguf);
  };
  assert.equal((await opened({})).config["sliding_window"], 4096);
  const window = { "attention.sliding_window": 16, "rope.freq_base": 5000 };
  const { config } = await opened({ ...window, "rope.freq_base_swa": 5000 });
  assert.equal(config["sliding_window"], 16);
  await assert.rejects(
    opened({ ...window, "rope.freq_base_swa": 10_000 }),
    /^InputError: tiny\.gguf, gemma2\.rope\.freq_base_swa: found 10000, expected 5000, rope\.freq_base$/,
  );
});

test("an output layer in the file makes the logits, whatever the embedding is", async () => {
  const file = await readGguf(golden("models", "gguf", "llama", "model.gguf"));
  const name = file.tensors.has("output.weight") ? "output.weight" : "token_embd.weight";
  const shape = [...file.tensors.get(name)!.shape];
  const values = await ggufFloat32(file, name);
  const [vocabulary, width] = shape as [number, number];
  const turned = values.map((_, i) => values[(i + 3 * width) % values.length]!);
  const plain = await logitsOf({}, {});
  const logits = await logitsOf({}, { "output.weight": { shape, values: turned } });
  const expected = plain.map((_, i) => plain[i - (i % vocabulary) + (((i % vocabulary) + 3) % vocabulary)]!);
  assert.ok(logits.every((x, i) => Math.abs(x - expected[i]!) <= 1e-4));
});

test("a factor without a type is a linear one, as llama.cpp has it", async () => {
  const linear = { "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": { float: 4 } };
  const scaled = await logitsOf(linear, noDivisors);
  assert.ok(sameBits(await logitsOf({ "llama.rope.scaling.factor": { float: 4 } }, noDivisors), scaled));
  assert.ok(sameBits(await logitsOf({ "llama.rope.scale_linear": { float: 4 } }, noDivisors), scaled));
  assert.ok(!sameBits(await logitsOf({}, noDivisors), scaled));
});

async function logitsOf(
  metadata: Readonly<Record<string, Value>>,
  besides: Readonly<Record<string, Tensor | null>>,
): Promise<Float32Array> {
  const path = await changed("llama", metadata, besides);
  const model = await openLanguageModel(path, { threads: 1, cacheFolder: join(folder, "cache") });
  const logits = await model.logits(await referenceBatch(await reference(join("gguf", "llama"))));
  await model.close();
  return logits;
}

function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.compare(new Uint8Array(a.buffer), new Uint8Array(b.buffer)) === 0;
}
