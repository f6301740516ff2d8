// A GPT-2 in plain float64 loops behind the LanguageModel contract: an independent model for the arithmetic of CE and KL, small and slow.
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { LanguageModel, TokenBatch } from "../../../src/model/languageModel.ts";
import { RecomputedContinuation, RecomputedReader } from "../../../src/model/recomputedHalves.ts";

const D = 32;
const HEADS = 4;
const LAYERS = 2;
const VOCABULARY = 300;
const EPS = 1e-5;

/** The golden GPT-2 of test/golden/probing/ce_kl; padding 0, BOS 1 and EOS 2 are special. */
export async function plainGpt2(path: string): Promise<LanguageModel> {
  const file = await readSafetensors(path);
  const w = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) w.set(name.replace("transformer.", ""), await tensorFloat32(file, name));
  const weight = (name: string) => w.get(name)!;

  /** y = x W + b, W [in, out]. */
  const affine = (x: Float64Array, name: string) => {
    const b = weight(`${name}.bias`);
    const W = weight(`${name}.weight`);
    const y = Float64Array.from(b);
    for (let i = 0; i < x.length; i++) for (let o = 0; o < y.length; o++) y[o]! += x[i]! * W[i * y.length + o]!;
    return y;
  };
  const layerNorm = (x: Float64Array, name: string) => {
    const mean = x.reduce((s, v) => s + v, 0) / D;
    const variance = x.reduce((s, v) => s + (v - mean) ** 2, 0) / D;
    const scale = weight(`${name}.weight`);
    const shift = weight(`${name}.bias`);
    return x.map((v, j) => ((v - mean) / Math.sqrt(variance + EPS)) * scale[j]! + shift[j]!);
  };
  const gelu = (v: number) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  const plus = (x: Float64Array, y: Float64Array) => x.map((v, j) => v + y[j]!);

  const block = (x: Float64Array[], l: number): Float64Array[] => {
    const qkv = x.map((row) => affine(layerNorm(row, `h.${l}.ln_1`), `h.${l}.attn.c_attn`));
    const size = D / HEADS;
    return x.map((row, t) => {
      const z = new Float64Array(D);
      for (let h = 0; h < HEADS; h++) {
        const scores = [];
        for (let s = 0; s <= t; s++) {
          let score = 0;
          for (let j = h * size; j < (h + 1) * size; j++) score += qkv[t]![j]! * qkv[s]![D + j]!;
          scores.push(Math.exp(score / Math.sqrt(size)));
        }
        const total = scores.reduce((sum, v) => sum + v, 0);
        for (let s = 0; s <= t; s++) {
          for (let j = h * size; j < (h + 1) * size; j++) z[j]! += (scores[s]! / total) * qkv[s]![2 * D + j]!;
        }
      }
      const middle = plus(row, affine(z, `h.${l}.attn.c_proj`));
      const hidden = affine(layerNorm(middle, `h.${l}.ln_2`), `h.${l}.mlp.c_fc`).map(gelu);
      return plus(middle, affine(hidden, `h.${l}.mlp.c_proj`));
    });
  };

  /** Runs every row; `atHook` sees the residual after each block and may replace it. */
  const run = (batch: TokenBatch, atHook: (name: string, x: Float64Array, position: number) => Float64Array) => {
    const ends: (Float64Array | null)[] = [];
    for (let row = 0; row < batch.rows; row++) {
      const first = row * batch.length;
      let x: Float64Array[] = [];
      for (let t = 0; t < batch.lengths[row]!; t++) {
        const id = batch.ids[first + t]!;
        x.push(
          Float64Array.from(
            { length: D },
            (_, j) => weight("wte.weight")[id * D + j]! + weight("wpe.weight")[t * D + j]!,
          ),
        );
      }
      for (let l = 0; l < LAYERS; l++) {
        x = block(x, l).map((v, t) => atHook(`blocks.${l}.hook_resid_post`, v, first + t));
      }
      for (let t = 0; t < batch.length; t++) ends.push(x[t] ?? null);
    }
    return ends;
  };

  const model: LanguageModel = {
    info: { modelName: "tiny-gpt2", family: "gpt2", nLayers: LAYERS, dModel: D, dVocab: VOCABULARY, contextSize: 32 },
    tokenizer: {
      vocabularySize: VOCABULARY,
      bosId: 1,
      eosId: 2,
      specialIds: new Set([0, 1, 2]),
      encode: () => [],
      decode: () => "",
      tokenText: String,
    },
    hookNames: ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"],
    capture: async (batch, hookName) => {
      const captured = new Float32Array(batch.rows * batch.length * D);
      run(batch, (name, x, position) => {
        if (name === hookName) captured.set(x, position * D);
        return x;
      });
      return captured;
    },
    logits: async (batch, intervention) => {
      const ends = run(batch, (name, x, position) =>
        name === intervention?.hookName ? x.map((v, j) => v + intervention.delta[position * D + j]!) : x,
      );
      const logits = new Float32Array(ends.length * VOCABULARY);
      ends.forEach((x, position) => {
        if (x === null) return;
        const normalised = layerNorm(x, "ln_f");
        for (let v = 0; v < VOCABULARY; v++) {
          let sum = 0;
          for (let j = 0; j < D; j++) sum += normalised[j]! * weight("wte.weight")[v * D + j]!;
          logits[position * VOCABULARY + v] = sum;
        }
      });
      return logits;
    },
    unembed: () => Promise.reject(new Error("not needed here")),
    readTo: (hookName) => new RecomputedReader(model, hookName),
    goOnFrom: (hookName) => new RecomputedContinuation(model, hookName),
    close: async () => {},
  };
  return model;
}
