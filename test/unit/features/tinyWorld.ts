// A world small enough to recompute by hand: a tokenizer, a "model" and an ensemble with formulas of a line each, and every activation they give.

import { SeededRandom } from "../../../src/data/seededRandom.ts";
import type { Encoder, SparseCodes } from "../../../src/engine/engine.ts";
import type { FeatureIndexBuild } from "../../../src/features/buildFeatureIndex.ts";
import type { IndexRow } from "../../../src/features/indexWindows.ts";
import type { TokenBatch, Tokenizer } from "../../../src/model/languageModel.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import { encoderFrom } from "../engine/encoderFrom.ts";

export const d = 6;
export const hook = "blocks.1.hook_resid_post";
const bytesOfLetter = new Map([
  [6, 0xc3],
  [7, 0xa9],
]);
const vocabulary = [
  "<s>",
  " the",
  " she",
  "She",
  " nurse",
  "<img src=x>",
  "⟨C3⟩",
  "⟨A9⟩",
  "東",
  "京",
  " the\u0301",
  "ers",
  '"',
  " she",
];

export const tokenizer: Tokenizer = {
  vocabularySize: vocabulary.length,
  bosId: 0,
  eosId: null,
  specialIds: new Set([0]),
  encode: () => {
    throw new Error("not needed here");
  },
  decode: (ids) =>
    Buffer.concat(
      ids.map((id) => {
        const byte = bytesOfLetter.get(id);
        return byte === undefined ? Buffer.from(vocabulary[id]!) : Buffer.of(byte);
      }),
    ).toString("utf8"),
  tokenText: (id) => vocabulary[id]!,
};

/** Rows of random tokens, BOS first; every second one holds two documents. Token 11 never occurs. */
export function makeRows(count: number, length: number, seed = 1): IndexRow[] {
  const random = SeededRandom.derive(seed, "rows");
  return Array.from({ length: count }, (_, r) => {
    const n = 1 + length + random.integer(5);
    const ids = Int32Array.from({ length: n }, (_, t) => (t === 0 ? 0 : 1 + random.integer(10)));
    // "é" is two tokens, one byte each, and whole wherever its first half is.
    for (let t = 1; t < n; t++) if (ids[t - 1] === 6) ids[t] = 7;
    const boundary = r % 2 === 1 ? Math.floor(n / 2) : n;
    let at = 0;
    const starts: number[] = [];
    const ends: number[] = [];
    for (let t = 0; t < n; t++) {
      if (t === boundary) at = 0;
      starts.push(at);
      at += t === 0 ? 0 : bytesOfLetter.has(ids[t]!) ? 1 : Buffer.byteLength(vocabulary[ids[t]!]!);
      ends.push(at);
    }
    return {
      ids,
      documents: Array.from({ length: n }, (_, t) => (t === 0 ? -1 : 2 * r + (t >= boundary ? 1 : 0))),
      starts,
      ends,
    };
  });
}

/** Three members of eight features. The second shares rows 0-3 of the first; feature 7 of each never fires; feature 6 of member 0 has no direction. */
export function makeEnsemble(): Ensemble {
  const random = SeededRandom.derive(7, "ensemble");
  const normal = () => random.uniform() + random.uniform() + random.uniform() - 1.5;
  const members = Array.from({ length: 3 }, (_, j) => {
    const W_dec = Float32Array.from({ length: 8 * d }, normal);
    const W_enc = Float32Array.from({ length: 8 * d }, normal);
    const b_enc = Float32Array.from({ length: 8 }, (_, i) => (i === 7 ? -1000 : -0.3));
    if (j === 0) W_dec.fill(0, 6 * d, 7 * d);
    return {
      config: {
        architecture: "standard" as const,
        d_in: d,
        d_sae: 8,
        apply_b_dec_to_input: false,
        normalize_activations: "none" as const,
        dtype: "float32" as const,
        metadata: { hook_name: hook },
      },
      weights: { W_enc, W_dec, b_enc, b_dec: new Float32Array(d) },
    };
  });
  for (let p = 0; p < 4 * d; p++) members[1]!.weights.W_dec[p] = 3 * members[0]!.weights.W_dec[p]!;
  // Equal rows tie in every list of neighbours.
  members[2]!.weights.W_dec.copyWithin(5 * d, 4 * d, 5 * d);
  return { method: "bagging", members, weights: [1 / 3, 1 / 3, 1 / 3], seeds: [0, 1, 2], hook, provenance: {} };
}

const embedding = (() => {
  const random = SeededRandom.derive(3, "embedding");
  return Float32Array.from({ length: vocabulary.length * d }, () => 4 * random.uniform() - 2);
})();
const unembedding = (() => {
  const random = SeededRandom.derive(4, "unembedding");
  return Float32Array.from({ length: vocabulary.length * d }, () => 2 * random.uniform() - 1);
})();

/** The activation of a token: its embedding, bent a little by its place. */
function activation(id: number, place: number, c: number): number {
  return Math.fround(embedding[id * d + c]! * (1 + 0.25 * Math.sin(place + c)));
}

/** Stands in for a language model: no transformer, the same contract. */
export const model: FeatureIndexBuild["model"] = {
  info: { modelName: "tiny", family: "none", nLayers: 2, dModel: d, dVocab: vocabulary.length, contextSize: 512 },
  tokenizer,
  capture: async (batch: TokenBatch) => {
    const x = new Float32Array(batch.rows * batch.length * d);
    for (let r = 0; r < batch.rows; r++) {
      for (let t = 0; t < batch.lengths[r]!; t++) {
        const position = r * batch.length + t;
        for (let c = 0; c < d; c++) x[position * d + c] = activation(batch.ids[position]!, t, c);
      }
    }
    return x;
  },
  unembed: async (directions, rows) =>
    Float32Array.from({ length: rows * vocabulary.length }, (_, p) =>
      logit(directions.subarray(Math.floor(p / vocabulary.length) * d), p % vocabulary.length),
    ),
};

export function logit(direction: Float32Array, id: number): number {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += direction[c]! * unembedding[id * d + c]!;
  return Math.fround(sum);
}

/** f_i = α_j · relu(x·W_enc,i + b_enc,i), rounded once. */
function code(ensemble: Ensemble, x: (c: number) => number, feature: number): number {
  const member = Math.floor(feature / 8);
  const { W_enc, b_enc } = ensemble.members[member]!.weights;
  let pre = b_enc![feature % 8]!;
  for (let c = 0; c < d; c++) pre += x(c) * W_enc[(feature % 8) * d + c]!;
  // Halves and quarters only, so that ties of values and of sums are common.
  return Math.fround(ensemble.weights[member]! * 3 * (Math.floor(Math.max(0, pre) * 4) / 4));
}

export function makeEncoder(ensemble: Ensemble): Encoder {
  const width = 8 * ensemble.members.length;
  return encoderFrom(async (x, rows) => {
    const offsets = new Uint32Array(rows + 1);
    const indices: number[] = [];
    const values: number[] = [];
    for (let r = 0; r < rows; r++) {
      for (let i = 0; i < width; i++) {
        const value = code(ensemble, (c) => x[r * d + c]!, i);
        if (value === 0) continue;
        indices.push(i);
        values.push(value);
      }
      offsets[r + 1] = indices.length;
    }
    const codes: SparseCodes = {
      rows,
      width,
      offsets,
      indices: Uint32Array.from(indices),
      values: Float32Array.from(values),
    };
    return { codes, reconstruction: new Float32Array(rows * d) };
  });
}

/** One activation of one feature on one token. */
export interface Fired {
  readonly row: number;
  readonly place: number;
  readonly token: number;
  readonly value: number;
}

/** Every activation, feature by feature, in the order of the text; BOS left out. */
export function allActivations(ensemble: Ensemble, rows: readonly IndexRow[]): Fired[][] {
  return Array.from({ length: 8 * ensemble.members.length }, (_, feature) =>
    rows.flatMap((row, r) =>
      Array.from(row.ids, (token, place) => ({
        row: r,
        place,
        token,
        value: token === 0 ? 0 : code(ensemble, (c) => activation(token, place, c), feature),
      })).filter(({ value }) => value > 0),
    ),
  );
}

export async function* streamed(rows: readonly IndexRow[]): AsyncGenerator<IndexRow> {
  for (const row of rows) yield row;
}
