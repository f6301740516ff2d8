// What follows from the reading of a text: strengths beside a feature's maximum, the part that is selected, and pinned features that fire nowhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  firing,
  maxima,
  nothingPinnedFires,
  type Reading,
  selectedSpan,
  strengths,
} from "../../../../src/extension/editor/inspected.ts";
import type { NamedFeature } from "../../../../src/protocol/inspection.ts";

/** A reading of tokens of two characters, from offset 100 of the document on: [token] what fires there, by feature. */
function reading(
  tokens: readonly Readonly<Record<number, number>>[],
  maxima: Readonly<Record<number, number | null>>,
  pinned: readonly number[] = [],
): Reading {
  const row = (feature: number): NamedFeature => ({
    feature,
    member: 0,
    index: feature,
    label: "",
    flagged: false,
    max: maxima[feature]!,
    tokens: [],
    foundIn: [],
  });
  return {
    base: 100,
    pinned,
    rows: new Map(Object.keys(maxima).map((feature) => [Number(feature), row(Number(feature))])),
    result: {
      tokens: tokens.map((fires, t) => ({
        start: 2 * t,
        end: 2 * t + 2,
        id: t,
        text: "ab",
        special: false,
        logprob: null,
        rank: null,
        features: Object.entries(fires).map(([feature, value]) => ({ feature: Number(feature), value })),
      })),
      likelihoods: false,
      pinned: pinned.map((feature) => tokens.map((fires) => fires[feature] ?? 0)),
      rows: [],
      read: { start: 0, end: 2 * tokens.length },
      wholeScreen: true,
      unknown: 0,
    },
  };
}

test("what fires on a token: its strongest features, and a pinned one that is weaker", () => {
  const all = reading([{ 7: 2 }, { 7: 1 }], { 7: 4, 9: 1, 11: 1 }, [7, 9, 11]);
  const { result } = all;
  const weaker = {
    ...all,
    result: {
      ...result,
      pinned: [
        [2, 1],
        [0.5, 0],
        [0, 0],
      ],
    },
  };
  assert.deepEqual(firing(result.tokens[0]!, weaker), [
    { feature: 7, value: 2 },
    { feature: 9, value: 0.5 },
  ]);
  assert.deepEqual(firing(result.tokens[1]!, weaker), [{ feature: 7, value: 1 }]);
});

test("a token is as strong as its value is beside the feature's maximum in the corpus, at most 1", () => {
  const tokens = [{ 7: 2, 9: 1 }, { 7: 8 }, {}];
  const all = reading(tokens, { 7: 4, 9: 1.25 });
  assert.deepEqual(strengths(all), [
    { strength: 0.8, hue: 0 },
    { strength: 1, hue: 0 },
    { strength: 0, hue: 0 },
  ]);
  const pinned = reading(tokens, { 7: 4, 9: 1.25 }, [9, 7]);
  assert.deepEqual(
    strengths(pinned).map(({ hue }) => hue),
    [0, 1, 0],
  );
});

test("a feature that never fired in the corpus is measured by its largest value in the text", () => {
  for (const never of [0, null]) {
    const tokens = [{ 7: 2 }, { 7: 8 }, { 9: 1 }];
    for (const pinned of [[], [7]]) {
      const all = reading(tokens, { 7: never, 9: 4 }, pinned);
      assert.equal(maxima(all)(7), 8);
      assert.equal(maxima(all)(9), 4);
      assert.deepEqual(
        strengths(all).map(({ strength }) => strength),
        [0.25, 1, pinned.length > 0 ? 0 : 0.25],
      );
    }
  }
});

test("a selection is a part of what was read, or none of it; never all of it", () => {
  const of = reading([{}, {}, {}, {}], {});
  assert.deepEqual(selectedSpan({ start: 102, end: 105 }, of), { start: 2, end: 5 });
  assert.deepEqual(selectedSpan({ start: 50, end: 103 }, of), { start: 0, end: 3 });
  assert.deepEqual(selectedSpan({ start: 106, end: 400 }, of), { start: 6, end: 8 });
  for (const [start, end] of [
    [10, 20],
    [90, 100],
    [108, 120],
  ] as const)
    assert.equal(selectedSpan({ start, end }, of), null);
});

test("pinned features that fire nowhere are told from those that do, and from none", () => {
  const fires = (pinned: readonly number[]) => !nothingPinnedFires(reading([{ 7: 2 }, {}], { 7: 4, 9: 4 }, pinned));
  assert.equal(fires([]), true);
  assert.equal(fires([7]), true);
  assert.equal(fires([9]), false);
  assert.equal(fires([9, 7]), true);
});
