// The ranking of clear features on rows made by hand, one quality changed at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clearestFeatures } from "../../../src/features/clearestFeatures.ts";
import type { FeatureIndex, FeatureSummary, TokenStatistic } from "../../../src/features/featureIndex.ts";

function token(text: string, share: number, count = 40, occurrences = 50): TokenStatistic {
  return { id: text.length, text, count, mean: 1, max: 4, share, occurrences };
}

function feature(id: number, more: Partial<FeatureSummary>): FeatureSummary {
  return {
    id,
    member: 0,
    index: id,
    count: 100,
    density: 0.001,
    mean: 1,
    max: 4,
    tokens: [token(" nurse", 0.9)],
    histogram: { width: 1, counts: [] },
    found: [true, true],
    annotation: {},
    ...more,
  };
}

/** A stand-in for an index that holds these rows and applies the one filter that is asked for. */
function holding(rows: readonly FeatureSummary[]): Pick<FeatureIndex, "info" | "ids" | "gists" | "summaries"> {
  return {
    info: { tokens: 100_000, members: rows[0]!.found } as unknown as FeatureIndex["info"],
    ids: ({ filter }) =>
      Uint32Array.from(
        rows.filter((r) => r.density >= filter!.minDensity! && r.density <= filter!.maxDensity!).map(({ id }) => id),
      ),
    gists: (ids) =>
      rows
        .filter(({ id }) => ids.includes(id))
        .map((row) => ({ ...row, foundIn: row.found.filter((is) => is).length })),
    summaries: (ids) => ids.map((id) => rows.find((row) => row.id === id)!),
  };
}

const words = (rows: readonly FeatureSummary[], n = 10) =>
  clearestFeatures(holding(rows), n).map(({ feature: { id } }) => id);

test("each quality counts: concentration, reliability, contrast, stability, evidence", () => {
  const best = feature(0, { tokens: [token(" alpha", 0.9)] });
  const worse: Partial<FeatureSummary>[] = [
    { tokens: [token(" beta", 0.5)] },
    { tokens: [token(" beta", 0.9, 5)] },
    { mean: 3, tokens: [token(" beta", 0.9)] },
    { found: [true, false], tokens: [token(" beta", 0.9)] },
    { count: 12, tokens: [token(" beta", 0.9)] },
  ];
  for (const change of worse) {
    const rows = [feature(1, change), best];
    assert.deepEqual(words(rows), [0, 1]);
    const [first, second] = clearestFeatures(holding(rows), 2);
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
  const [clear] = clearestFeatures(holding([feature(0, { tokens, found: [true, false, false, true] })]), 1);
  assert.deepEqual(clear!.words, ["nurse", "care", "x"]);
  const expected = 0.8 * Math.sqrt(79 / 200) * Math.sqrt(3 / 4) * 0.75 * (100 / 110);
  assert.ok(Math.abs(clear!.clarity - expected) < 1e-12);
});

test("one feature a word; pieces of words, words without letters, rare and dense features are left out", () => {
  const rows = [
    feature(0, { tokens: [token(" Nurse", 0.7)] }),
    feature(1, { tokens: [token("nurse", 0.9)] }),
    feature(2, { tokens: [token(" ...", 1)] }),
    feature(3, { tokens: [token(" rare", 1)], density: 0.00005 }),
    feature(4, { tokens: [token(" the", 1)], density: 0.05 }),
    feature(5, { tokens: [token(" doctor", 0.6)] }),
    feature(6, { tokens: [token("ob", 1)] }),
    feature(7, { tokens: [token("医", 0.5)] }),
  ];
  assert.deepEqual(words(rows), [1, 5, 7]);
  assert.deepEqual(words(rows, 1), [1]);
});
