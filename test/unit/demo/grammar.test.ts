// The demo's grammar: choices, bindings, articles and ranges, from a seed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Grammar, withArticle } from "../../../scripts/demo/grammar.ts";
import { SeededRandom } from "../../../src/data/seededRandom.ts";

const lexicon = { animal: ["owl", "fox"], seen: ["saw {a animal#x}"], number: ["{3-5}"] };

function grammar(seed = 1): Grammar {
  return new Grammar(SeededRandom.derive(seed), lexicon);
}

test("nested choices give one whole alternative each, and all of them occur", () => {
  const made = new Set<string>();
  const one = grammar();
  for (let i = 0; i < 200; i++) made.add(one.say("[a [b|c]|d|]!"));
  assert.deepEqual([...made].sort(), ["!", "a b!", "a c!", "d!"]);
});

test("a marked slot keeps its entry through a text, until cleared", () => {
  const one = grammar();
  for (let i = 0; i < 50; i++) {
    const words = one.say("{animal#x} {seen} {^ animal#x}").split(" ");
    assert.equal(words[0], words[3]);
    assert.equal(words[4]!.toLowerCase(), words[0]);
    assert.equal(words[2], words[0] === "owl" ? "an" : "a");
  }
  const seen = new Set<string>();
  for (let i = 0; i < 50; i++) {
    one.clear();
    seen.add(one.say("{animal#x}"));
  }
  assert.equal(seen.size, 2);
});

test("a binding stands before a list, a range holds both ends", () => {
  const one = grammar();
  one.bind({ animal: "bat" });
  assert.equal(one.say("{animal}"), "bat");
  const numbers = new Set<string>();
  for (let i = 0; i < 100; i++) numbers.add(one.say("{number}"));
  assert.deepEqual([...numbers].sort(), ["3", "4", "5"]);
});

test("articles follow the sound", () => {
  assert.deepEqual(["apple", "pear", "hour", "unit"].map(withArticle), ["an apple", "a pear", "an hour", "a unit"]);
});

test("an unknown list and an open bracket are errors", () => {
  assert.throws(() => grammar().say("{tree}"), /"tree"/);
  assert.throws(() => grammar().say("[a|b"), /not closed/);
});
