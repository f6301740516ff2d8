// The ranking of clear features on rows made by hand, one quality changed at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clarityRanking, type FeatureGist } from "../../../src/features/clearestFeatures.ts";
import type { TokenStatistic } from "../../../src/features/featureIndex.ts";

const corpusTokens = 100_000;

function token(text: string, share: number, count = 40, occurrences = 50): TokenStatistic {
  return { id: text.length, text, count, mean: 1, max: 4, share, occurrences };
}

function feature(id: number, more: Partial<FeatureGist>): FeatureGist {
  return { id, count: 100, mean: 1, max: 4, tokens: [token(" nurse", 0.9)], foundIn: 2, ...more };
}

const ranking = (rows: readonly FeatureGist[], members = 2) => clarityRanking(rows, corpusTokens, members);
const ids = (rows: readonly FeatureGist[]) => ranking(rows).map(({ id }) => id);

test("each quality counts: concentration, reliability, contrast, stability, evidence", () => {
  const best = feature(0, { tokens: [token(" alpha", 0.9)] });
  const worse: Partial<FeatureGist>[] = [
    { tokens: [token(" beta", 0.5)] },
    { tokens: [token(" beta", 0.9, 5)] },
    { mean: 3, tokens: [token(" beta", 0.9)] },
    { foundIn: 1, tokens: [token(" beta", 0.9)] },
    { count: 12, tokens: [token(" beta", 0.9)] },
  ];
  for (const change of worse) {
    const rows = [feature(1, change), best];
    assert.deepEqual(ids(rows), [0, 1]);
    const [first, second] = ranking(rows);
    assert.ok(first!.clarity > second!.clarity && first!.clarity <= 1 && second!.clarity > 0);
  }
});

test("clarity is the product that is documented", () => {
  const tokens = [
    token(" Nurse", 0.4, 30, 40),
    token("nurse", 0.1, 5, 10),
    token(" care", 0.2, 4, 100),
    token("x", 0.1),
    token("y", 0.05),
  ];
  const [clear] = ranking([feature(0, { tokens })], 4);
  assert.deepEqual(clear!.words, ["nurse", "care", "x"]);
  const expected = 0.8 * Math.sqrt(79 / 200) * Math.sqrt(3 / 4) * 0.75 * (100 / 110);
  assert.ok(Math.abs(clear!.clarity - expected) < 1e-12);
});

test("one feature a word; pieces of words, words without letters, rare and dense features are left out", () => {
  const rows = [
    feature(0, { tokens: [token(" Nurse", 0.7)] }),
    feature(1, { tokens: [token("nurse", 0.9)] }),
    feature(2, { tokens: [token(" ...", 1)] }),
    feature(3, { tokens: [token(" rare", 1)], count: 9 }),
    feature(4, { tokens: [token(" the", 1)], count: 3001 }),
    feature(5, { tokens: [token(" doctor", 0.6)] }),
    feature(6, { tokens: [token("ob", 1)] }),
    feature(7, { tokens: [token("医", 0.5)] }),
  ];
  assert.deepEqual(ids(rows), [1, 5, 7]);
});
