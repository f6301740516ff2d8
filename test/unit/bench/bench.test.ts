// The bench's own promises, not its numbers: every claim is listed, a wrong name is refused, turns alternate, medians are medians.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { median, takeTurns } from "../../../bench/median.ts";

const bench = join(import.meta.dirname, "..", "..", "..", "bench", "run.ts");
const run = (...args: string[]) => spawnSync(process.execPath, [bench, ...args], { encoding: "utf8" });

test("--list names every claim with its unit and goal", () => {
  const { stdout, status } = run("--list", "--json");
  const claims = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { name: string; unit: string; goal: number; against: string });
  assert.equal(status, 0);
  assert.deepEqual(
    claims.map(({ name }) => name),
    [
      "train-step-small",
      "gemm-share-small",
      "train-step-large",
      "gemm-share-large",
      "train-step-dense",
      "bagging-8",
      "harvest",
      "index-build",
      "index-query",
      "import-large",
      "flags-to-scores",
      "pooling",
      "scr",
      "inspect-first",
      "inspect-edit",
      "generate",
      "activation",
      "browser-open",
      "browser-scroll",
      "vsix-size",
    ],
  );
  for (const { name, unit, goal, against } of claims) assert.ok(unit && goal > 0 && against, name);
});

test("an unknown claim is refused with the names that there are", () => {
  const { stderr, status } = run("train-step-smal");
  assert.equal(status, 2);
  assert.match(stderr, /no claim train-step-smal; there are train-step-small,/);
});

test("medians, and turns that alternate", async () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), RangeError);
  const order: string[] = [];
  const turn = (name: string, values: number[]) => async () => {
    order.push(name);
    return values;
  };
  const collected = await takeTurns(2, { ours: turn("ours", [1, 2]), peer: turn("peer", [3]) });
  assert.deepEqual(order, ["ours", "peer", "ours", "peer"]);
  assert.deepEqual(collected, { ours: [1, 2, 1, 2], peer: [3, 3] });
});
