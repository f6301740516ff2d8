// A Llama made up on the spot against a plain float64 forward pass written out here: head widths, groups, biases and windows that no fixture has.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type TensorSource, writeSafetensors } from "../../../src/formats/safetensors.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { temporaryFolder } from "../fixtures.ts";
import { oneRow } from "./references.ts";

interface Shape {
  model_type: "llama" | "mistral";
  hidden_size: number;
  intermediate_size: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  sliding_window?: number;
  attention_bias?: boolean;
  mlp_bias?: boolean;
  rope_scaling?: { type: "linear"; factor: number };
}

const VOCABULARY = 11;
const LAYERS = 2;
const THETA = 10_000;
const EPSILON = 1e-5;

type Matrix = number[][];

/** Weights by Hugging Face's names, from a sine so that they need no seed. */
function weights(shape: Shape): Map<string, { shape: number[]; data: Float32Array }> {
  const all = new Map<string, { shape: number[]; data: Float32Array }>();
  let phase = 1;
  const add = (name: string, dimensions: number[], scale: number, offset = 0) => {
    const data = Float32Array.from({ length: dimensions.reduce((a, b) => a * b, 1) }, () => {
      phase *= 1.0001;
      return offset + scale * Math.sin(phase * 997);
    });
    all.set(name, { shape: dimensions, data });
  };
  const { hidden_size: d, intermediate_size: inner, head_dim: width } = shape;
  const q = shape.num_attention_heads * width;
  const kv = shape.num_key_value_heads * width;
  add("model.embed_tokens.weight", [VOCABULARY, d], 1);
  for (let l = 0; l < LAYERS; l++) {
    const block = `model.layers.${l}`;
    const linear = (name: string, out: number, into: number, bias: boolean | undefined) => {
      add(`${block}.${name}.weight`, [out, into], 1 / Math.sqrt(into));
      if (bias) add(`${block}.${name}.bias`, [out], 0.3);
    };
    add(`${block}.input_layernorm.weight`, [d], 0.3, 1);
    add(`${block}.post_attention_layernorm.weight`, [d], 0.3, 1);
    linear("self_attn.q_proj", q, d, shape.attention_bias);
    linear("self_attn.k_proj", kv, d, shape.attention_bias);
    linear("self_attn.v_proj", kv, d, shape.attention_bias);
    linear("self_attn.o_proj", d, q, shape.attention_bias);
    linear("mlp.gate_proj", inner, d, shape.mlp_bias);
    linear("mlp.up_proj", inner, d, shape.mlp_bias);
    linear("mlp.down_proj", d, inner, shape.mlp_bias);
  }
  add("model.norm.weight", [d], 0.3, 1);
  add("lm_head.weight", [VOCABULARY, d], 1 / Math.sqrt(d));
  return all;
}

/** Logits of one row by the definitions, a loop at a time. */
function forward(shape: Shape, tensors: ReturnType<typeof weights>, ids: readonly number[]): Matrix {
  const { hidden_size: d, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: width } = shape;
  const vector = (name: string) => Array.from(tensors.get(name)!.data);
  const linear = (x: number[], name: string) => {
    const { shape: [out, into] = [], data } = tensors.get(`${name}.weight`)!;
    const bias = tensors.get(`${name}.bias`)?.data;
    return Array.from({ length: out! }, (_, o) =>
      x.reduce((sum, v, i) => sum + v * data[o * into! + i]!, bias?.[o] ?? 0),
    );
  };
  const norm = (x: number[], name: string) => {
    const scale = vector(`${name}.weight`);
    const rms = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / d + EPSILON);
    return x.map((v, i) => (v / rms) * scale[i]!);
  };
  const rotate = (x: number[], position: number) =>
    x.map((v, i) => {
      const inHead = i % width;
      const pair = inHead % (width / 2);
      const angle = (position * THETA ** ((-2 * pair) / width)) / (shape.rope_scaling?.factor ?? 1);
      const other = inHead < width / 2 ? -x[i + width / 2]! : x[i - width / 2]!;
      return v * Math.cos(angle) + other * Math.sin(angle);
    });
  let rows = ids.map((id) => vector("model.embed_tokens.weight").slice(id * d, (id + 1) * d));
  for (let l = 0; l < LAYERS; l++) {
    const block = `model.layers.${l}`;
    const normed = rows.map((x) => norm(x, `${block}.input_layernorm`));
    const q = normed.map((x, t) => rotate(linear(x, `${block}.self_attn.q_proj`), t));
    const k = normed.map((x, t) => rotate(linear(x, `${block}.self_attn.k_proj`), t));
    const v = normed.map((x) => linear(x, `${block}.self_attn.v_proj`));
    rows = rows.map((x, t) => {
      const first = Math.max(0, t + 1 - (shape.sliding_window ?? Number.POSITIVE_INFINITY));
      const mixed = Array.from({ length: heads }, (_, h) => {
        const at = h * width;
        const from = Math.floor(h / (heads / kvHeads)) * width;
        const weight: number[] = [];
        for (let s = first; s <= t; s++) {
          let score = 0;
          for (let i = 0; i < width; i++) score += q[t]![at + i]! * k[s]![from + i]!;
          weight.push(Math.exp(score / Math.sqrt(width)));
        }
        const total = weight.reduce((a, b) => a + b);
        return Array.from({ length: width }, (_, i) =>
          weight.reduce((sum, w, s) => sum + (w / total) * v[first + s]![from + i]!, 0),
        );
      }).flat();
      const out = linear(mixed, `${block}.self_attn.o_proj`);
      return x.map((value, i) => value + out[i]!);
    });
    rows = rows.map((x) => {
      const n = norm(x, `${block}.post_attention_layernorm`);
      const gate = linear(n, `${block}.mlp.gate_proj`);
      const up = linear(n, `${block}.mlp.up_proj`);
      const down = linear(
        gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]!),
        `${block}.mlp.down_proj`,
      );
      return x.map((value, i) => value + down[i]!);
    });
  }
  return rows.map((x) => linear(norm(x, "model.norm"), "lm_head"));
}

const shapes: Record<string, Shape> = {
  "one head for all, of width 20, biases everywhere": {
    model_type: "llama",
    hidden_size: 20,
    intermediate_size: 28,
    num_attention_heads: 3,
    num_key_value_heads: 1,
    head_dim: 20,
    attention_bias: true,
    mlp_bias: true,
  },
  "a head of width 6 for each query, positions divided by 4": {
    model_type: "llama",
    hidden_size: 32,
    intermediate_size: 20,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    head_dim: 6,
    rope_scaling: { type: "linear", factor: 4 },
  },
  "a window of 3": {
    model_type: "mistral",
    hidden_size: 16,
    intermediate_size: 20,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 8,
    sliding_window: 3,
  },
};

for (const [what, shape] of Object.entries(shapes)) {
  test(what, async () => {
    const folder = temporaryFolder();
    const tensors = weights(shape);
    await writeSafetensors(join(folder, "model.safetensors"), tensors as ReadonlyMap<string, TensorSource>);
    await writeFile(
      join(folder, "config.json"),
      JSON.stringify({
        ...shape,
        vocab_size: VOCABULARY,
        num_hidden_layers: LAYERS,
        rms_norm_eps: EPSILON,
        rope_theta: THETA,
        max_position_embeddings: 100,
        bos_token_id: 3,
      }),
    );
    const vocab = Object.fromEntries(Array.from("abcdefghijk", (letter, id) => [letter, id]));
    await writeFile(
      join(folder, "tokenizer.json"),
      JSON.stringify({ added_tokens: [], model: { type: "BPE", vocab, merges: [], byte_fallback: false } }),
    );
    const model = await openLanguageModel(folder, { threads: 1 });
    assert.equal(model.tokenizer.bosId, 3);
    const ids = model.tokenizer.encode("dachebkfgijabdhe").map(({ id }) => id);
    const expected = forward(shape, tensors, ids).flat();
    const logits = await model.logits(oneRow(ids));
    await model.close();
    const worst = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - logits[i]!)), 0);
    assert.ok(worst < 2e-5, `largest difference ${worst}`);
  });
}
