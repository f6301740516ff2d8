// Which ensemble the Features view shows, and by what it knows that its rows are old.
import assert from "node:assert/strict";
import { test } from "node:test";
import { currentEnsemble } from "../../../src/extension/trees/currentEnsemble.ts";
import type { EnsembleEntry } from "../../../src/protocol/service.ts";

function entry(folder: string, indexTime: number | null): EnsembleEntry {
  return {
    folder,
    name: folder,
    method: "bagging",
    members: 2,
    features: 64,
    hook: "blocks.1.hook_resid_post",
    explainedVariance: null,
    l0: null,
    indexed: indexTime !== null,
    indexTime,
    indexable: true,
    replaced: null,
    damage: "",
    indexDamage: "",
    annotated: 0,
  };
}

test("the one that is shown stays as long as it is there, with or without an index", () => {
  const all = [entry("a", 1), entry("b", 2), entry("c", null)];
  assert.deepEqual(currentEnsemble(all, "b"), { folder: "b", indexTime: 2 });
  assert.deepEqual(currentEnsemble(all, "c"), { folder: "c", indexTime: null });
});

test("where none is shown, or the one that was is gone, it is the first that has an index", () => {
  assert.deepEqual(currentEnsemble([entry("c", null), entry("b", 2)], undefined), { folder: "b", indexTime: 2 });
  assert.deepEqual(currentEnsemble([entry("c", null), entry("b", 2)], "a"), { folder: "b", indexTime: 2 });
  assert.deepEqual(currentEnsemble([entry("c", null)], "a"), { folder: undefined, indexTime: null });
});

test("an index that was built anew is another one", () => {
  assert.notDeepEqual(currentEnsemble([entry("a", 1)], "a"), currentEnsemble([entry("a", 2)], "a"));
});
