// Probes replay SAEBench's and the stored default trainings from their starts and orders; seeded plans reach the same accuracy.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Examples } from "../../../src/probing/examples.ts";
import { accuracy, type Probe } from "../../../src/probing/probe.ts";
import { heldOutPlan, testSelectedPlan } from "../../../src/probing/probePlan.ts";
import { probeDefaults, trainProbe } from "../../../src/probing/trainProbe.ts";
import { distance, goldenJson, goldenRows, probeFile } from "./goldenProbing.ts";

const names = ["spurious", "desired", "biased"] as const;

async function sets(name: string) {
  const file = await probeFile("scr_probes.safetensors");
  const [train, held] = [await goldenRows("train"), await goldenRows("test")];
  const examples = async (part: "train" | "test"): Promise<Examples> => ({
    x: part === "train" ? train : held,
    rows: await file.rows(`${name}.${part}_rows`),
    labels: await file.labels(`${name}.${part}_labels`),
  });
  return { train: await examples("train"), test: await examples("test") };
}

for (const name of names) {
  test(`${name}: replays SAEBench's training from its start and order`, async () => {
    const file = await probeFile("scr_probes.safetensors");
    const { train, test: held } = await sets(name);
    const initial = await file.probe(name, "init_w", "init_b");
    const trained = trainProbe({ train, selection: held, orders: await file.orders(name), initial });
    const kept = await file.probe(name);
    assert.ok(distance(trained.probe.w, kept.w) < 1e-4, `weights: ${distance(trained.probe.w, kept.w)}`);
    assert.ok(Math.abs(trained.probe.b - kept.b) < 1e-4);
    const stored = goldenJson("scr_saebench.json").probes[name];
    assert.equal(trained.epoch, stored.chosen_epoch_index);
    assert.ok(distance(trained.accuracies, stored.test_acc_per_epoch) < 1e-6, "accuracy of every epoch");
    assert.equal(trained.steps, 1000);
  });

  test(`${name}: replays the stored default training`, async () => {
    const file = await probeFile("own_probes.safetensors");
    const x = await goldenRows("train");
    const examples = async (part: "train" | "val"): Promise<Examples> => ({
      x,
      rows: await file.rows(`${name}.${part}_rows`),
      labels: await file.labels(`${name}.${part}_labels`),
    });
    const trained = trainProbe({
      train: await examples("train"),
      selection: await examples("val"),
      orders: await file.orders(name),
    });
    const stored = goldenJson("own_default.json").own_training[name];
    assert.equal(trained.epoch, stored.chosen_epoch_index);
    assert.deepEqual(trained.accuracies, stored.val_acc_per_epoch);
    assert.ok(distance(trained.probe.w, (await file.probe(name)).w) < 1e-9);
    assert.ok(Math.abs(trained.probe.b - (await file.probe(name)).b) < 1e-9);
    const last = await file.probe(name, "last_w", "last_b");
    assert.ok(distance(trained.last.w, last.w) < 1e-9);
    assert.ok(Math.abs(trained.last.b - last.b) < 1e-9);
  });

  test(`${name}: plans drawn from a seed come near the stored probe, and repeat themselves`, async () => {
    const { train, test: held } = await sets(name);
    const stored = await (await probeFile("own_probes.safetensors")).probe(name);
    const plan = heldOutPlan(train, 3, name);
    const trained = trainProbe(plan);
    assert.ok(Math.abs(accuracy(trained.probe, held) - accuracy(stored, held)) <= 0.015 + 1e-12);
    assert.ok(cosine(trained.probe, stored) > 0.985, `${cosine(trained.probe, stored)}`);
    assert.deepEqual(trainProbe(heldOutPlan(train, 3, name)).probe, trained.probe);
    assert.notDeepEqual(trainProbe(heldOutPlan(train, 4, name)).probe, trained.probe);
  });
}

test("a plan holds out a fifth of each label, and no row is in both parts", async () => {
  const { train } = await sets("desired");
  const plan = heldOutPlan(train, 1, "desired");
  assert.equal(plan.selection.rows.length, 160);
  assert.equal(plan.selection.labels.filter((label) => label === 1).length, 80);
  const all = new Set([...plan.train.rows, ...plan.selection.rows]);
  assert.deepEqual([...all].sort(), [...train.rows].sort());
  assert.equal(all.size, 800);
  for (const order of plan.orders) assert.equal(new Set(order).size, 640);
  assert.equal(plan.orders.length, probeDefaults.epochs);
});

test("SAEBench's plan learns from every row, begins as torch.nn.Linear and selects on the test rows", async () => {
  const { train, test: held } = await sets("desired");
  const plan = testSelectedPlan(train, held, 1, "desired");
  assert.equal(plan.train.rows.length, 800);
  assert.equal(plan.selection, held);
  const bound = 1 / Math.sqrt(32);
  assert.ok(plan.initial!.w.every((value) => Math.abs(value) <= bound));
  assert.ok(plan.initial!.w.some((value) => Math.abs(value) > bound / 2));
  assert.ok(Math.abs(accuracy(trainProbe(plan).probe, held) - 0.805) <= 0.015 + 1e-12);
});

test("patience ends a training that gets no better", async () => {
  const { train } = await sets("desired");
  const { accuracies, epoch } = trainProbe(heldOutPlan(train, 1, "p"), {
    ...probeDefaults,
    early_stopping_patience: 2,
  });
  assert.equal(accuracies.length, epoch + 3);
});

test("rows of one label are refused by name", () => {
  const x = { rows: 4, d: 1, values: Float64Array.of(1, 2, 3, 4) };
  const train = { x, rows: Uint32Array.of(0, 1, 2, 3), labels: Uint8Array.of(1, 1, 1, 1) };
  const plan = { train, selection: train, orders: Array.from({ length: 20 }, () => Uint32Array.of(0, 1, 2, 3)) };
  assert.throws(() => trainProbe(plan), /training a probe: no row with the label 0 among 4/);
});

function cosine(a: Probe, b: Probe): number {
  const dot = (u: Float64Array, v: Float64Array): number => u.reduce((sum, value, j) => sum + value * v[j]!, 0);
  return dot(a.w, b.w) / Math.sqrt(dot(a.w, a.w) * dot(b.w, b.w));
}
