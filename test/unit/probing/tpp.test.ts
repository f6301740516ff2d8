// TPP against golden values: the probes replayed, signed effects, positive choices, accuracies and totals; and SAEBench's own numbers with its choices and padding.
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodedPadding } from "../../../src/probing/ablation.ts";
import { topFeaturesSaeBench } from "../../../src/probing/effects.ts";
import { type TppInput, tpp } from "../../../src/probing/tpp.ts";
import { trainProbe } from "../../../src/probing/trainProbe.ts";
import {
  distance,
  type GoldenModel,
  goldenJson,
  goldenModel,
  goldenPart,
  modelNames,
  probeFile,
} from "./goldenProbing.ts";

const n_values = [2, 5, 10, 20, 50, 100];
const ascending = (features: Uint32Array): number[] => Array.from(features).sort((a, b) => a - b);

async function input(model: GoldenModel): Promise<TppInput> {
  const { task_rows } = goldenJson("own_tpp_sparse.json");
  const topics = { train: (await goldenPart("train")).topic, test: (await goldenPart("test")).topic };
  const file = await probeFile("tpp_probes.safetensors");
  const classes = await Promise.all(
    [0, 1, 2, 3].map(async (topic) => {
      const part = (name: "train" | "test") => {
        const rows = Uint32Array.from(task_rows[name][topic]);
        return { rows, labels: Uint8Array.from(rows, (row) => Number(topics[name][row] === topic)) };
      };
      return { probe: await file.probe(`${topic}`), train: part("train"), test: part("test") };
    }),
  );
  return { train: model.train, test: model.test, W_dec: model.W_dec, classes, n_values };
}

for (const name of modelNames) {
  test(`${name}: effects, choices, accuracies and totals as stored`, async () => {
    const stored = goldenJson("own_tpp_sparse.json").tpp[name];
    const result = tpp(await input(await goldenModel(name)));
    assert.ok(distance(result.clean, stored.clean) < 1e-12);
    for (const topic of [0, 1, 2, 3]) assert.ok(distance(result.effects[topic]!, stored.effects[topic]) < 1e-6);
    for (const { n, features, accuracies, total } of result.points) {
      for (const topic of [0, 1, 2, 3]) {
        assert.deepEqual(ascending(features[topic]!), stored.selected[topic][n]);
        assert.ok(distance(accuracies[topic]!, stored.default.accuracy_matrix_ablated_x_probe[n][topic]) < 1e-12);
      }
      assert.ok(Math.abs(total - stored.default.total[n]) < 1e-9);
    }
  });
}

for (const name of ["relu", "topk"] as const) {
  test(`${name}, saebench_compatible: SAEBench's accuracies and totals`, async () => {
    const stored = goldenJson("tpp_saebench.json").sae[`sae_${name}`];
    const model = await goldenModel(name);
    const padding = ({ rows }: { rows: Uint32Array }) =>
      encodedPadding(
        24,
        Array.from(rows, (row) => model.test.tokens[row]!),
        model.codesOfZero,
      );
    const given = await input(model);
    // Which features of no effect torch takes is not specified: beyond the positive effects the stored choice is scored.
    let topic = 0;
    const select = (_: Float64Array, n: number): Uint32Array =>
      Uint32Array.from(stored.selected[topic++ % 4][n] as number[]);
    const result = tpp({ ...given, padding, select });
    for (const { n, accuracies, total } of result.points) {
      for (const ablated of [0, 1, 2, 3])
        for (const probe of [0, 1, 2, 3])
          assert.ok(Math.abs(accuracies[ablated]![probe]! - stored.ablated_accuracies[ablated][n][probe]) < 1e-6);
      assert.ok(Math.abs(total - stored.total[`tpp_threshold_${n}_total_metric`]) < 1e-6);
    }
    for (const [c, effects] of result.effects.entries()) {
      assert.ok(distance(effects, stored.effects[c]) < 1e-6);
      for (const n of n_values) {
        const own = topFeaturesSaeBench(effects, n);
        assert.equal(own.length, stored.selected[c][n].length);
        if (n <= stored.n_positive_effects[c]) assert.deepEqual(ascending(own), stored.selected[c][n]);
      }
    }
  });
}

test("SAEBench's four probes replayed from their starts, rows in their given order", async () => {
  const file = await probeFile("tpp_probes.safetensors");
  const { train, test: held, classes } = await input(await goldenModel("relu"));
  const stored = goldenJson("tpp_saebench.json").best_test_acc;
  for (const [topic, one] of classes.entries()) {
    const order = Uint32Array.from({ length: one.train.rows.length }, (_, at) => at);
    const trained = trainProbe({
      train: { x: train.activations, ...one.train },
      selection: { x: held.activations, ...one.test },
      orders: Array.from({ length: 20 }, () => order),
      initial: await file.probe(`${topic}`, "init_w", "init_b"),
    });
    assert.ok(Math.abs(trained.accuracies[trained.epoch]! - stored[topic]) < 1e-6);
    assert.ok(distance(trained.probe.w, one.probe.w) < 1e-4, `${distance(trained.probe.w, one.probe.w)}`);
  }
});
