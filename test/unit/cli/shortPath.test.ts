// Paths as they would be typed: what a person copies from the command line's output names the same file.
import assert from "node:assert/strict";
import { test } from "node:test";
import { quoted } from "../../../src/cli/foreground.ts";

test("a path with spaces is one word, in Windows' shells with its separators as they are", () => {
  assert.equal(quoted("runs\\small one", "\\"), '"runs\\small one"');
  assert.equal(quoted("runs\\demo", "\\"), "runs\\demo");
  assert.equal(quoted("runs/small one", "/"), '"runs/small one"');
  assert.equal(quoted("runs/demo", "/"), "runs/demo");
});
