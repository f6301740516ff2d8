// Labels by a language model: what it would be asked, how answers are read, and that detection tells a good label from a bad one. The models are stand-ins: a function that reads the prompt.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { featureExcerpts } from "../../../src/features/excerpts.ts";
import type { FeatureDetail, FeatureSequence, SequenceBand } from "../../../src/features/featureIndex.ts";
import {
  detectionPrompt,
  LabelAnswerError,
  labelPrompt,
  parseLabel,
  scoreDetection,
} from "../../../src/features/labelling.ts";

/** Windows of 40 tokens, each its own document, in which the word " nurse" stands once and fires; bands as the index makes them. */
function nurseFeature(windows = 24): FeatureDetail {
  const sequence = (window: number): FeatureSequence => {
    const peak = 5 + (window % 4);
    let start = 0;
    const tokens = Array.from({ length: 40 }, (_, i) => {
      const text = i === peak ? " nurse" : ` w${window}x${i}`;
      const token = {
        id: i,
        text,
        activation: i === peak ? 10 - window / 4 : 0,
        document: window,
        start,
        end: start + text.length,
      };
      start += text.length;
      return token;
    });
    return { window, peak, tokens };
  };
  const all = Array.from({ length: windows }, (_, window) => sequence(window));
  const band = (kind: SequenceBand["kind"], sequences: FeatureSequence[]): SequenceBand => ({
    kind,
    quantiles: [0, 1],
    range: [0, 10],
    sequences,
  });
  return {
    id: 7,
    member: 0,
    index: 7,
    tokens: [{ id: 1, text: " nurse", count: 24, mean: 5, max: 10, share: 1, occurrences: 30 }],
    bands: [band("top", all.slice(0, windows / 2)), band("quantile", all.slice(windows / 2))],
  } as unknown as FeatureDetail;
}

const text = (excerpt: { tokens: readonly { text: string }[] }) => excerpt.tokens.map((token) => token.text).join("");

describe("passages", () => {
  const { shown, heldOut, silent } = featureExcerpts(nurseFeature());

  test("held-out ones share no byte with shown ones, silent ones hold no activation", () => {
    assert.equal(shown.length, 12);
    assert.equal(heldOut.length, 8);
    assert.equal(silent.length, 8);
    for (const other of [...heldOut, ...silent])
      for (const excerpt of shown)
        assert.ok(
          other.document !== excerpt.document || other.end <= excerpt.start || excerpt.end <= other.start,
          "an overlap",
        );
    for (const excerpt of [...shown, ...heldOut]) assert.ok(excerpt.tokens.some(({ activation }) => activation > 0));
    for (const excerpt of silent) assert.ok(excerpt.tokens.every(({ activation }) => activation === 0));
    assert.ok(silent.every((excerpt) => excerpt.tokens.length >= 8));
  });

  test("are the same each time", () => {
    assert.deepEqual(featureExcerpts(nurseFeature()), featureExcerpts(nurseFeature()));
  });

  test("end where their document ends", () => {
    const detail = nurseFeature();
    for (const { sequences } of detail.bands)
      for (const { tokens, peak } of sequences)
        for (const [i, token] of tokens.entries()) if (i < peak - 1) Object.assign(token, { document: 1000 });
    for (const excerpt of featureExcerpts(detail).shown) assert.ok(!text(excerpt).includes("x0"), text(excerpt));
  });
});

test("the question for a label marks what fires and names the strongest tokens", () => {
  const prompt = labelPrompt(nurseFeature())!;
  assert.match(prompt, /" nurse" 100%/);
  assert.match(prompt, /1\. .*w0x4 «nurse» w0x6/);
  assert.equal(prompt.match(/«nurse»/g)!.length, 12);
});

test("neighbouring active tokens share their guillemets", () => {
  const detail = nurseFeature();
  for (const { sequences } of detail.bands)
    for (const { tokens, peak } of sequences) Object.assign(tokens[peak + 1]!, { activation: 1, text: "'s" });
  assert.match(labelPrompt(detail)!, /«nurse's» w0x7/);
});

test("a label is read out of what models wrap around it", () => {
  for (const [answer, label] of [
    ["hospital staff", "hospital staff"],
    ['\n"Hospital staff."\nBecause …', "Hospital staff"],
    ["**Label:** hospital staff", "hospital staff"],
    ["- label: `hospital staff`", "hospital staff"],
  ])
    assert.equal(parseLabel(answer!), label);
  assert.throws(() => parseLabel(" \n "), LabelAnswerError);
  assert.throws(() => parseLabel("word ".repeat(60)), /a text of \d+ characters, not a label/);
});

describe("detection", () => {
  const detail = nurseFeature();
  const passagesOf = (prompt: string) =>
    [...prompt.matchAll(/^(\d+)\. (.*)$/gm)].map(([, number, passage]) => ({
      number: Number(number),
      passage: passage!,
    }));
  /** Answers as a model would that takes the description at its word. */
  const standInModelThatLooksForTheDescription = (prompt: string) => {
    const description = /described as: (.*)/.exec(prompt)![1]!;
    const chosen = passagesOf(prompt).filter(({ passage }) => passage.includes(description));
    return `Those are ${JSON.stringify(chosen.map(({ number }) => number))}.`;
  };

  test("a label that says what fires is perfect, one that says something else is chance", () => {
    const right = scoreDetection(detail, standInModelThatLooksForTheDescription(detectionPrompt(detail, "nurse")!));
    assert.deepEqual(right, { score: 1, firing: 8, firingFound: 8, silent: 8, silentFound: 8 });
    const wrong = scoreDetection(detail, standInModelThatLooksForTheDescription(detectionPrompt(detail, "king")!));
    assert.deepEqual([wrong.score, wrong.firingFound, wrong.silentFound], [0.5, 0, 8]);
    const everything = detectionPrompt(detail, "x");
    assert.equal(scoreDetection(detail, standInModelThatLooksForTheDescription(everything!)).score, 0.5);
  });

  test("the score is the mean of both shares", () => {
    const passages = passagesOf(detectionPrompt(detail, "")!);
    const [firing, silent] = [true, false].map((fires) =>
      passages.filter(({ passage }) => passage.includes("nurse") === fires),
    );
    const answer = [...firing!.slice(0, 6), ...silent!.slice(0, 1)].map(({ number }) => number);
    assert.equal(scoreDetection(detail, JSON.stringify(answer)).score, (6 / 8 + 7 / 8) / 2);
  });

  test("passages come in an order that tells nothing, without the marks of the activation", () => {
    const prompt = detectionPrompt(detail, "nurse")!;
    assert.ok(!prompt.includes("«"));
    const order = passagesOf(prompt).map(({ passage }) => passage.includes("nurse"));
    assert.notDeepEqual(order, [...order].sort());
    assert.notDeepEqual(order, [...order].sort().reverse());
  });

  test("an answer that is no list, or names no passage of ours, is refused", () => {
    assert.throws(() => scoreDetection(detail, "the first three"), /no list/);
    assert.throws(() => scoreDetection(detail, "[1, 17]"), /passage 17 of 16/);
    assert.throws(() => scoreDetection(detail, "[0]"), /passage 0 of 16/);
    assert.equal(scoreDetection(detail, "[]").score, 0.5);
  });

  test("too few passages give no score, none give no question", () => {
    assert.equal(detectionPrompt(nurseFeature(4), "nurse"), null);
    assert.notEqual(labelPrompt(nurseFeature(4)), null);
    assert.equal(labelPrompt({ ...nurseFeature(), bands: [] }), null);
  });
});
