// Ensembles side by side: their own numbers from their runs' reports, and cosines against a plain double loop.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { REPORT_COLUMNS } from "../../../src/evaluation/report.ts";
import { compareEnsembles } from "../../../src/jobs/compareEnsembles.ts";
import { loadEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const root = temporaryFolder();

/** A run folder with golden ensembles under the names that a run gives them. */
function run(name: string, ensembles: Record<string, string>): string {
  const folder = join(root, name);
  mkdirSync(join(folder, "ensembles"), { recursive: true });
  for (const [own, source] of Object.entries(ensembles))
    cpSync(golden("evaluation", source), join(folder, "ensembles", own), { recursive: true });
  return folder;
}

test("metrics are an ensemble's own, those of its method where only that has them, or a reason", async () => {
  const folder = run("one", {
    bagging: "bagging_a",
    "bagging-1": "bagging_b",
    "boosting.2026-11-22-203005": "boosting_a",
  });
  const second = join(folder, "ensembles", "bagging-1", "ensemble.json");
  const file = JSON.parse(await readFile(second, "utf8")) as object;
  writeFileSync(second, JSON.stringify({ ...file, provenance: { method: "bagging", seed_set: 1 } }));
  const seeds = await Promise.all(
    ["bagging", "bagging-1"].map(async (name) => (await loadEnsemble(join(folder, "ensembles", name))).seeds),
  );
  const runs = seeds.map((own, i) => ({
    seeds: own,
    metrics: { mse: { value: 10 + i } },
    model: { ce_loss_score: { value: 0.9 + i / 100 }, counted: "input" },
  }));
  const metrics = { mse: { value: 10.5 }, stability: { value: 0.7 } };
  writeFileSync(
    join(folder, "report.json"),
    JSON.stringify({ methods: [{ method: "bagging", label: "bagging", metrics, runs }] }),
  );
  const names = ["bagging", "bagging-1", "boosting.2026-11-22-203005"];
  const { ensembles } = await compareEnsembles(names.map((name) => join(folder, "ensembles", name)));
  const column = (key: string) =>
    ensembles.map(({ metrics }) => metrics[REPORT_COLUMNS.findIndex((c) => c.key === key)]!);
  assert.deepEqual(
    column("mse").map(({ value }) => value),
    [10, 11, null],
  );
  assert.deepEqual(
    column("ce_loss_score").map(({ value }) => value),
    [0.9, 0.91, null],
  );
  assert.deepEqual(
    column("stability").map(({ value }) => value),
    [0.7, 0.7, null],
  );
  assert.deepEqual(
    ensembles.map(({ seedSet }) => seedSet),
    [null, 2, null],
  );
  assert.match(column("mse")[2]!.reason!, /taken its place/);
  assert.match(column("l0")[0]!.reason!, /not in the run's report/);
});

test("features found in each other, in both directions, are those of a plain double loop", async () => {
  const folder = run("two", { bagging: "bagging_a", boosting: "boosting_b" });
  const folders = ["bagging", "boosting"].map((name) => join(folder, "ensembles", name));
  const { matches } = await compareEnsembles([...folders, folders[0]!]);
  const rows = await Promise.all(folders.map(decoderRows));
  for (const [of, inside] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const largest = rows[of]!.map((row) => Math.max(...rows[inside]!.map((other) => cosine(row, other))));
    const match = matches.find((candidate) => candidate.of === of && candidate.in === inside)!;
    assert.ok(Math.abs(match.meanCosine! - mean(largest)) < 1e-6);
    assert.equal(match.found, largest.filter((value) => value >= 0.7).length / largest.length);
  }
  // With itself: everything is found.
  assert.deepEqual(
    matches.filter(({ of, in: inside }) => of + inside === 2 && of !== inside).map(({ found }) => found),
    [1, 1],
  );
});

test("ensembles of other hooks are not matched, and why is said", async () => {
  const folder = run("three", { bagging: "bagging_a", single: "bagging_a" });
  const file = join(folder, "ensembles", "single", "ensemble.json");
  const other = JSON.parse(await readFile(file, "utf8")) as { hook: string; members: string[] };
  other.hook = "blocks.0.hook_resid_mid";
  writeFileSync(file, JSON.stringify(other));
  for (const member of other.members) {
    const path = join(folder, "ensembles", "single", member, "cfg.json");
    const config = JSON.parse(await readFile(path, "utf8")) as { metadata?: { hook_name?: string } };
    if (config.metadata?.hook_name) config.metadata.hook_name = other.hook;
    writeFileSync(path, JSON.stringify(config));
  }
  const { matches } = await compareEnsembles(["bagging", "single"].map((name) => join(folder, "ensembles", name)));
  for (const match of matches) {
    assert.equal(match.found, null);
    assert.match(match.reason, /blocks\.0\.hook_resid_mid/);
  }
});

async function decoderRows(folder: string): Promise<number[][]> {
  const { members } = await loadEnsemble(folder);
  return members.flatMap(({ config, weights }) =>
    Array.from({ length: config.d_sae }, (_, i) =>
      Array.from(weights.W_dec.subarray(i * config.d_in, (i + 1) * config.d_in)),
    ),
  );
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
