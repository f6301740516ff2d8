// What features are called in lists: their label, or their tokens with white space as signs.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { featureWords, namedFrom } from "../../../src/extension/words.ts";
import { withSigns } from "../../../src/protocol/whiteSpace.ts";

const named = (label: string, ...tokens: string[]) => featureWords({ label, tokens: tokens.map((text) => ({ text })) });

test("a label goes before tokens; three of them, without the spaces around words", () => {
  assert.equal(named("pronouns", " she", " her"), "pronouns");
  assert.equal(named("", " she", "her ", " he", " his"), "she her he");
});

test("a token that is nothing but white space is seen", () => {
  assert.equal(named("", " ", "\n\n", "\t"), "␣ ↵↵ ⇥");
  assert.equal(withSigns(" a\r\n b"), "␣a␍↵␣b");
});

test("files of the workspace are called as they are there, others in full", () => {
  const [folder, other] = [join("/home", "a"), join("/home", "ab", "text.txt")];
  const message = `${join(folder, "runs", "x.sae.jsonc")}:5:3, seed: found ${other}`;
  assert.equal(namedFrom([folder], message), `${join("runs", "x.sae.jsonc")}:5:3, seed: found ${other}`);
});
