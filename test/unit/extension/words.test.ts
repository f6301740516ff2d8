// What features are called in lists: their label, or their tokens with white space as signs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { featureWords } from "../../../src/extension/words.ts";
import { withSigns } from "../../../src/protocol/whiteSpace.ts";

const named = (label: string, ...tokens: string[]) => featureWords({ label, tokens: tokens.map((text) => ({ text })) });

test("a label goes before tokens; three of them, with the signs that they have in every view", () => {
  assert.equal(named("pronouns", " she", " her"), "pronouns");
  assert.equal(named("", " she", "her ", " he", " his"), "␣she her␣ ␣he");
});

test("a token that is nothing but white space is seen", () => {
  assert.equal(named("", " ", "\n\n", "\t"), "␣ ↵↵ ⇥");
  assert.equal(withSigns(" a\r\n b"), "␣a␍↵␣b");
});
