// The bench's own promises, not its numbers: every claim is listed, a wrong name is refused, turns alternate, medians are medians.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { median, takeTurns } from "../../../bench/median.ts";
import { unavailable } from "../../../scripts/realVsCode.ts";
import { STATE_VARIABLE } from "../../../src/jobs/stateFolder.ts";

const bench = join(import.meta.dirname, "..", "..", "..", "bench", "run.ts");
const state = mkdtempSync(join(tmpdir(), "sae-bench-"));
after(() => rmSync(state, { recursive: true, force: true }));
const run = (...args: string[]) =>
  spawnSync(process.execPath, [bench, ...args], { encoding: "utf8", env: { ...process.env, [STATE_VARIABLE]: state } });

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
      "train-step-matryoshka",
      "train-step-dense",
      "bagging-8",
      "gpu-train-step",
      "gpu-bagging-8",
      "gpu-shared",
      "device-channel",
      "harvest",
      "harvest-gpt2",
      "harvest-gpt_neox",
      "harvest-llama",
      "harvest-mistral",
      "harvest-qwen2",
      "harvest-qwen3",
      "harvest-gemma2",
      "harvest-gelu-1l",
      "index-build",
      "index-query",
      "import-large",
      "import-large-cold",
      "flags-to-scores",
      "click-to-screen",
      "pooling",
      "scr",
      "inspect-first",
      "inspect-edit",
      "inspect-hover",
      "inspect-pause",
      "generate",
      "activation",
      "browser-open",
      "browser-open-panel",
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

test("gpu-train-step, gpu-bagging-8 and gpu-shared run anywhere: without a GPU they say so, and with --software they go through the motions", (t) => {
  if (unavailable) return t.diagnostic(`no software GPU: ${unavailable}`);
  for (const name of ["gpu-train-step", "gpu-bagging-8", "gpu-shared"]) {
    const { stdout, stderr, status } = run("--json", "--software", name);
    assert.equal(status, 0, stderr);
    const measured = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(measured["ratio"], null, "a software GPU's ratio is no result");
    assert.match(String(measured["adapter"]), /swiftshader|llvmpipe/i);
    assert.ok(Number(measured["ours"]) > 0);
    assert.match(JSON.stringify(measured["notes"]), /A software GPU at a tiny size/);
    if (name === "gpu-bagging-8") assert.equal(measured["dispatches_8"], measured["dispatches_1"]);
  }
  // Products are tuned as for a run: the shape's is in the user's file.
  const { products } = JSON.parse(readFileSync(join(state, "gpu-products.json"), "utf8")) as { products: object };
  assert.match(Object.keys(products).join(), /d16 F64/);
  const { stderr, status, stdout } = run("gpu-bagging-8");
  // A machine with a GPU measures; ours have none.
  if (status === 0) return assert.match(stdout, /ratio/);
  assert.match(stderr, /gpu-bagging-8: not measured: (only a software adapter is here|no GPU is here).*--software/);
});
