// Regular expressions over tokens: what they find, and that no pattern can hold the program up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { QueryError } from "../../../src/features/featureIndex.ts";
import { matchingTexts } from "../../../src/features/tokenPattern.ts";

test("positions of the texts that match, without regard to case", () => {
  assert.deepEqual(matchingTexts("^ ?she$", [" She", "shed", "she", "⟨E2⟩"]), [0, 2]);
  assert.deepEqual(matchingTexts("\\p{Script=Han}", ["東", "a"]), [0]);
  assert.deepEqual(matchingTexts("", ["", "a"]), [0, 1]);
});

test("a pattern that backtracks for ever ends in an error that says so", () => {
  assert.throws(
    () => matchingTexts("(a+)+$", [`${"a".repeat(60)}b`]),
    (error) => error instanceof QueryError && /took longer/.test(error.message),
  );
});
