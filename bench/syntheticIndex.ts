// A feature index of any size from seeded synthetic codes: Zipf tokens, features that follow tokens, topics or nothing. Goes through the real builder; only model, encoder, cosines and logits are made up.
import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { SeededRandom } from "../src/data/seededRandom.ts";
import type { SparseCodes } from "../src/engine/engine.ts";
import { CorpusPass } from "../src/features/corpusPass.ts";
import { checkedIndexOptions } from "../src/features/featureIndexOptions.ts";
import type { IndexRow } from "../src/features/indexWindows.ts";
import { IndexWriter } from "../src/features/indexWriter.ts";
import type { Tokenizer } from "../src/model/languageModel.ts";

export interface SyntheticSize {
  readonly members: number;
  /** Features of each member. */
  readonly d_sae: number;
  /** Active features a token, over all members. */
  readonly k: number;
  readonly tokens: number;
  readonly seed: number;
}

export interface SyntheticBuild {
  readonly features: number;
  readonly tokens: number;
  /** Rate of the builder alone, over the pass and the writing of features and contexts; making up codes is not counted. */
  readonly tokensPerSecond: number;
  readonly passSeconds: number;
  readonly writeSeconds: number;
  /** The same in processor time of this thread, which a busy machine does not inflate. */
  readonly passCpuSeconds: number;
  readonly writeCpuSeconds: number;
  readonly bytes: number;
  /** Words that occur, from the most frequent to the rarest. */
  readonly words: readonly string[];
}

const vocabularySize = 32_768;
const rowTokens = 128;
const topics = 400;

/** Builds the index at `path`. */
export async function buildSyntheticIndex(path: string, size: SyntheticSize): Promise<SyntheticBuild> {
  const features = size.members * size.d_sae;
  const folder = join(dirname(path), `.${basename(path)}.building`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const options = checkedIndexOptions();
  const words = makeWords(size.seed);
  const tokenizer = wordTokenizer(words);
  const members = Array.from({ length: size.members }, (_, j) => ({ first: j * size.d_sae, size: size.d_sae }));
  const finished = join(folder, "index.sqlite");
  const writer = new IndexWriter(finished, join(folder, "windows.sqlite"), members, options);
  const pass = new CorpusPass({
    ...options,
    features,
    vocabularySize,
    excludedIds: tokenizer.specialIds,
    top: options.topSequences,
    sample: options.sampledSequences,
    folder,
    onWindow: (number, row, window) => writer.window(number, row, window, tokenizer),
  });
  const random = SeededRandom.derive(size.seed, "text");
  const zipf = zipfSampler(vocabularySize - 1);
  let passSeconds = 0;
  let passCpuSeconds = 0;
  const timed = (work: () => void) => {
    const start = performance.now();
    const cpu = cpuSeconds();
    work();
    passCpuSeconds += cpuSeconds() - cpu;
    passSeconds += (performance.now() - start) / 1000;
  };
  for (let tokens = 0, document = 0; tokens < size.tokens; tokens += rowTokens - 1, document++) {
    const row = makeRow(random, zipf, words, document);
    const codes = makeCodes(random, row.ids.subarray(1), document % topics, size);
    timed(() => pass.add(row, codes, 0));
  }
  timed(() => pass.flush());
  const start = performance.now();
  const cpu = cpuSeconds();
  await writer.features(pass, tokenizer, () => {});
  for (let feature = 0; feature < features; feature++) {
    writer.nearest(
      feature,
      members.map(({ first, size: length }) =>
        Array.from({ length: 3 }, (_, rank) => ({
          id: first + random.integer(length),
          cosine: 0.9 - 0.2 * rank - 0.2 * random.uniform(),
        })),
      ),
    );
    const logits = () => Array.from({ length: 10 }, () => ({ id: zipf(random.uniform()), logit: random.uniform() }));
    writer.logits(feature, logits(), logits());
  }
  await writer.contexts(() => {});
  writer.finish({
    method: "bagging",
    hook: "blocks.0.hook_resid_post",
    modelName: null,
    tokens: pass.counted,
    source: {},
  });
  const writeSeconds = (performance.now() - start) / 1000;
  const writeCpuSeconds = cpuSeconds() - cpu;
  pass.close();
  renameSync(finished, path);
  rmSync(folder, { recursive: true });
  return {
    features,
    tokens: pass.counted,
    tokensPerSecond: pass.counted / (passSeconds + writeSeconds),
    passSeconds,
    writeSeconds,
    passCpuSeconds,
    writeCpuSeconds,
    bytes: statSync(path).size,
    words,
  };
}

function cpuSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

/** Pronounceable words, shorter ones first: the frequent ones. Token 0 is BOS. */
function makeWords(seed: number): string[] {
  const random = SeededRandom.derive(seed, "words");
  const pick = (letters: string) => letters[random.integer(letters.length)]!;
  const words = new Set(["<s>"]);
  while (words.size < vocabularySize) {
    const syllables = 1 + Math.floor(Math.log10(1 + words.size / 20));
    let word = "";
    for (let s = 0; s < syllables; s++)
      word += pick("bcdfghjklmnprstvwz") + pick("aeiou") + (random.uniform() < 0.4 ? pick("nrstlm") : "");
    words.add(random.uniform() < 0.8 ? ` ${word}` : word);
  }
  return [...words];
}

function wordTokenizer(words: readonly string[]): Tokenizer {
  return {
    vocabularySize,
    bosId: 0,
    eosId: null,
    specialIds: new Set([0]),
    encode: () => {
      throw new Error("synthetic text is made of tokens");
    },
    decode: (ids) => ids.map((id) => words[id]).join(""),
    tokenText: (id) => words[id]!,
  };
}

/** Rank for a uniform number, with probability ∝ 1/(rank + 2.7): Zipf-Mandelbrot as English has it. Ranks start at 1. */
function zipfSampler(n: number): (uniform: number) => number {
  const sums = new Float64Array(n);
  for (let rank = 0, sum = 0; rank < n; rank++) {
    sum += 1 / (rank + 3.7);
    sums[rank] = sum;
  }
  return (uniform) => {
    const target = uniform * sums[n - 1]!;
    let low = 0;
    let high = n - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < target) low = middle + 1;
      else high = middle;
    }
    return 1 + low;
  };
}

function makeRow(
  random: SeededRandom,
  zipf: (u: number) => number,
  words: readonly string[],
  document: number,
): IndexRow {
  const ids = Int32Array.from({ length: rowTokens }, (_, t) => (t === 0 ? 0 : zipf(random.uniform())));
  const starts = new Uint32Array(rowTokens);
  const ends = new Uint32Array(rowTokens);
  for (let t = 1, at = 0; t < rowTokens; t++) {
    starts[t] = at;
    at += words[ids[t]!]!.length;
    ends[t] = at;
  }
  return { ids, documents: Array.from(ids, (_, t) => (t === 0 ? -1 : document)), starts, ends };
}

/** Half of a token's active features follow the token, a quarter the document's topic, a quarter come by a skewed chance. */
function makeCodes(random: SeededRandom, ids: Int32Array, topic: number, size: SyntheticSize): SparseCodes {
  const width = size.members * size.d_sae;
  const rows = ids.length;
  const offsets = new Uint32Array(rows + 1);
  const indices = new Uint32Array(rows * size.k);
  const values = new Float32Array(rows * size.k);
  let length = 0;
  for (let row = 0; row < rows; row++) {
    const active = new Set<number>();
    for (let slot = 0; active.size < size.k; slot++) {
      const kind = slot % 4;
      if (kind < 2) active.add(spread(ids[row]!, slot, width));
      else if (kind === 2) active.add(spread(1_000_000 + topic, Math.floor(slot * random.uniform() * 4), width));
      else active.add(Math.floor(width * random.uniform() ** 1.5));
    }
    for (const index of [...active].sort((a, b) => a - b)) {
      indices[length] = index;
      values[length++] = Math.fround(-Math.log(1 - random.uniform() * 0.9999) * (0.5 + (index % 13)));
    }
    offsets[row + 1] = length;
  }
  return { rows, width, offsets, indices, values };
}

/** A fixed feature for a pair of numbers. */
function spread(a: number, b: number, width: number): number {
  let h = Math.imul(a + 1, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return ((h ^ (h >>> 13)) >>> 0) % width;
}
