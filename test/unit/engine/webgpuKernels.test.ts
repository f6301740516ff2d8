// What the kernels' texts have to keep to where no GPU at hand would show the fault.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const folder = join(import.meta.dirname, "..", "..", "..", "src", "engine", "webgpu", "kernels");

test("whole numbers of the header are never read as floats, in which a GPU may flush them to 0", () => {
  let readers = 0;
  for (const file of readdirSync(folder)) {
    if (file === "shared.wgsl") continue;
    const text = readFileSync(join(folder, file), "utf8");
    if (!/\b(DEAD_COUNT|CUT|REMAINING|TOTAL)\b/.test(text)) continue;
    readers += 1;
    assert.match(text, /> header: array<(u32|atomic<u32>)>;/, file);
    assert.doesNotMatch(text, /\bbias\[[^\]]*\]\[(DEAD_COUNT|CUT|REMAINING|TOTAL)\b/, file);
  }
  assert.equal(readers, 3);
});
