// Paths that Windows takes for one are spelled as one, and no other path is touched.
import assert from "node:assert/strict";
import { win32 } from "node:path";
import { test } from "node:test";
import { absolutePath, oneSpelling } from "../../../src/formats/absolutePath.ts";

test("a drive has a small letter, as VS Code spells it", () => {
  assert.equal(oneSpelling(win32.resolve("C:\\My Work", "runs/demo")), "c:\\My Work\\runs\\demo");
  assert.equal(oneSpelling("D:/models"), oneSpelling("d:/models"));
  assert.equal(oneSpelling("c:\\Work"), "c:\\Work");
});

test("what has no drive stays", () => {
  for (const path of ["\\\\server\\Share\\C:\\x", "/Home/C:/x", "/A", "\\\\?\\C:\\x"])
    assert.equal(oneSpelling(path), path);
  assert.equal(absolutePath("/a/b", "../C"), "/a/C");
});
