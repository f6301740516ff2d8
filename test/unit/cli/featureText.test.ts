// Features in a terminal: aligned, within the width, with what is asked for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { featureDetail, featureList, sequenceLine } from "../../../src/cli/featureText.ts";
import type {
  FeatureDetail,
  FeatureIndexInfo,
  FeatureSequence,
  FeatureSummary,
} from "../../../src/features/featureIndex.ts";

const info: FeatureIndexInfo = {
  method: "bagging",
  hook: "blocks.1.hook_resid_post",
  modelName: "tiny",
  members: [
    { first: 0, size: 2000 },
    { first: 2000, size: 2000 },
  ],
  features: 4000,
  tokens: 10_000,
  windows: 100,
  foundCosine: 0.7,
  source: {},
};

const token = (text: string, share: number) => ({
  id: 1,
  text,
  count: 12,
  mean: 1.5,
  max: 3.25,
  share,
  occurrences: 20,
});

const row: FeatureSummary = {
  id: 3047,
  member: 1,
  index: 1047,
  count: 84,
  density: 0.0084,
  mean: 1.25,
  max: 12.125,
  tokens: [token(" she", 0.6), token(" her", 0.25), token("\n", 0.1)],
  histogram: { width: 4, counts: [70, 0, 13, 1] },
  found: [false, true],
  annotation: {},
};

const words = " The old nurse said that she would come home".split(/(?= )/);
const sequence: FeatureSequence = {
  window: 1,
  peak: words.indexOf(" she"),
  tokens: words.map((text, i) => ({
    id: i,
    text,
    activation: text === " she" ? 12.125 : 0,
    document: 0,
    start: 0,
    end: 0,
  })),
};

const detail: FeatureDetail = {
  ...row,
  sum: 105,
  distinctTokens: 40,
  bands: [{ kind: "top", quantiles: [1, 1], range: [8, 12.125], sequences: [sequence] }],
  logits: { top: [{ id: 1, text: " herself", logit: 2.5 }], bottom: [{ id: 2, text: " he", logit: -1.25 }] },
  nearest: [[{ id: 12, cosine: 0.91 }], []],
};

test("a list has one aligned line a feature, none wider than asked", () => {
  const other = {
    ...row,
    member: 0,
    index: 3,
    density: 1 / 240_000,
    tokens: Array.from({ length: 8 }, () => token(" incomprehensibilities", 0.1)),
  };
  const lines = featureList([row, other], info, 80).split("\n");
  assert.equal(lines.length, 3);
  assert.equal(lines[1]!, "1/1047           0.84%    12.1  ○●     ␣she  ␣her  ↵");
  assert.ok(lines.every((line) => [...line].length <= 80));
  assert.equal(lines[0]!.indexOf("tokens"), lines[2]!.indexOf("␣incomprehensibilities"));
  assert.match(lines[2]!, /1 in 240,000/);
});

test("one feature in full: name, rates, histogram, tokens, logits, contexts, neighbours", () => {
  const text = featureDetail(detail, info, false, 80);
  for (const part of [
    "Feature 1/1047",
    "fires on 0.84% of tokens (84 of 10,000), mean 1.25, max 12.1, found in ○●",
    "␣she           60.0%    1.50    3.25  12 of 20",
    "… 40 different tokens in all",
    "␣herself           2.50     ␣he               -1.25",
    "Top activations (max 8.00 to 12.1)",
    "nurse said that [she] would",
    "0/12 0.91",
  ])
    assert.ok(text.includes(part), `${part}\n\n${text}`);
  assert.ok(text.split("\n").every((line) => [...line].length <= 80));
});

test("a feature that never fired says so", () => {
  const text = featureDetail({ ...detail, count: 0, density: 0 }, info, false);
  assert.match(text, /\nnever fired on the [\d,]+ tokens of the index(, found in \S+)?$/);
});

test("a context keeps its peak and what stands before it, within the width", () => {
  const line = sequenceLine(sequence, 12.125, false, 40);
  assert.match(line, /^ {3}12\.1 {2}….*\[she\]/);
  assert.ok([...line].length <= 40, line);
});

test("what is the same up to the peak is shown once, with how often it is there", () => {
  const { tokens, peak } = sequence;
  const same = { ...sequence, tokens: tokens.map((token, i) => (i > peak ? { ...token, id: 900 } : token)) };
  const other = { ...sequence, tokens: tokens.map((token, i) => (i === 0 ? { ...token, id: 901 } : token)) };
  const bands = [{ ...detail.bands[0]!, sequences: [sequence, other, same] }];
  const lines = featureDetail({ ...detail, bands }, info, false, 60)
    .split("\n")
    .filter((line) => line.includes("[she]"));
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, /\[she\].* {2}\(2 times\)$/);
  assert.doesNotMatch(lines[1]!, /times/);
  assert.ok(lines.every((line) => [...line].length <= 60));
});

test("tokens of no document are a mark between documents, and nothing at the beginning", () => {
  const bos = { id: 0, text: "<|endoftext|>", activation: 0, document: null, start: 0, end: 0 };
  const { tokens, peak } = sequence;
  const joined = { ...sequence, peak: peak + 2, tokens: [bos, tokens[0]!, bos, ...tokens.slice(1)] };
  const line = sequenceLine(joined, 12.125, false);
  assert.ok(line.includes(" The ¶  old nurse said that [she]"), line);
});

test("with colour the text is the same, tinted", () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
  const plain = sequenceLine(sequence, 12.125, true).replace(/\u001b\[[\d;]*m/g, "");
  assert.ok(plain.includes("nurse said that she would"));
});
