// Concept detection against golden values: features, coefficients and accuracies of every class, for codes, folded codes and raw activations; logistic regression against its own optimality; drawing of tasks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { classTasks } from "../../../src/probing/classTasks.ts";
import {
  type ConceptResult,
  type ConceptTask,
  detectConcepts,
  fullWidthDetection,
  fullWidthProbeSettings,
  meanDifferences,
  mostDifferent,
} from "../../../src/probing/conceptDetection.ts";
import type { Rows } from "../../../src/probing/examples.ts";
import { codesTable, denseDesign, denseTable, type FeatureTable } from "../../../src/probing/featureTable.ts";
import { fitLogistic } from "../../../src/probing/logisticRegression.ts";
import { testSelectedPlan } from "../../../src/probing/probePlan.ts";
import { trainProbe } from "../../../src/probing/trainProbe.ts";
import { decoderNorms } from "../../../src/sae/encode.ts";
import { distance, goldenJson, goldenModel, goldenPart, type ModelName } from "./goldenProbing.ts";

/** The golden tasks: rows of each class first, then as many of the others. */
async function goldenTasks(): Promise<ConceptTask[]> {
  const { task_rows } = goldenJson("own_tpp_sparse.json");
  const topics = { train: (await goldenPart("train")).topic, test: (await goldenPart("test")).topic };
  return [0, 1, 2, 3].map((topic) => {
    const part = (name: "train" | "test") => {
      const rows = Uint32Array.from(task_rows[name][topic]);
      return { rows, labels: Uint8Array.from(rows, (row) => Number(topics[name][row] === topic)) };
    };
    return { train: part("train"), test: part("test") };
  });
}

async function tables(name: string): Promise<{ train: FeatureTable; test: FeatureTable }> {
  if (name === "raw_activations") {
    const { train, test: held } = await goldenModel("relu");
    return { train: denseTable(train.activations), test: denseTable(held.activations) };
  }
  const model = await goldenModel(name.replace(/_.*/, "") as ModelName);
  const scales = name === "relu_folded" ? decoderNorms(model.ensemble.members[0]!.weights, 32) : undefined;
  return { train: codesTable(model.train.codes, scales), test: codesTable(model.test.codes, scales) };
}

for (const name of ["relu_folded", "relu_unfolded", "topk", "bagging", "boosting", "raw_activations"]) {
  test(`${name}: k = 1, 2, 5 and the full width as stored`, async () => {
    const stored = goldenJson("own_tpp_sparse.json").sparse[name];
    const { train, test: held } = await tables(name);
    const tasks = await goldenTasks();
    for (const k of [1, 2, 5]) {
      const expected = stored[`top_${k}`];
      const { classes, mean } = detectConcepts(train, held, tasks, k);
      assert.ok(Math.abs(mean - expected.mean) < 1e-12);
      for (const [topic, result] of classes.entries()) {
        const found = byFeature(result);
        assert.deepEqual(found.features, expected.features[topic]);
        assert.ok(distance(found.coef, expected.coef[topic]) < 1e-6, `${distance(found.coef, expected.coef[topic])}`);
        assert.ok(Math.abs(result.intercept - expected.intercept[topic]) < 1e-6);
        assert.ok(Math.abs(result.accuracy - expected.accuracy[topic]) < 1e-12);
      }
    }
    const full = fullWidthDetection(train, held, tasks);
    assert.ok(Math.abs(full.mean - stored.full_width.mean) < 1e-12);
    for (const [topic, { coef, intercept }] of full.classes.entries()) {
      const norm = Math.sqrt(coef.reduce((sum, value) => sum + value * value, 0));
      assert.ok(Math.abs(norm - stored.full_width.coef_norm[topic]) < 1e-6);
      assert.ok(Math.abs(intercept - stored.full_width.intercept[topic]) < 1e-6);
    }
  });
}

for (const [key, name] of [
  ["sae_relu", "relu_folded"],
  ["sae_topk", "topk"],
  ["raw_activations", "raw_activations"],
] as const) {
  test(`${key}: SAEBench's features, and its early-stopped fit within its own tolerance`, async () => {
    const stored = goldenJson("sparse_probing_saebench.json").identity.sets[key];
    const { train, test: held } = await tables(name);
    for (const k of [1, 2, 5]) {
      const { classes, mean } = detectConcepts(train, held, await goldenTasks(), k);
      assert.ok(Math.abs(mean - stored[`top_${k}`].mean) < 0.005);
      for (const [topic, result] of classes.entries()) {
        const found = byFeature(result);
        assert.deepEqual(found.features, stored[`top_${k}`].features[topic]);
        assert.ok(distance(found.coef, stored[`top_${k}`].coef[topic]) < 0.0131);
      }
    }
  });
}

test("SAEBench's full-width probe is an AdamW probe: its settings reach its accuracies on raw activations", async () => {
  const stored = goldenJson("sparse_probing_saebench.json").seed42.sets.raw_activations.full_width_saebench;
  const { train, test: held } = await goldenModel("relu");
  const accuracies = (await goldenTasks()).map((task, topic) => {
    const learnt = { x: train.activations, ...task.train };
    const plan = testSelectedPlan(learnt, { x: held.activations, ...task.test }, 1, `${topic}`, fullWidthProbeSettings);
    return Math.max(...trainProbe(plan, fullWidthProbeSettings).accuracies);
  });
  const mean = accuracies.reduce((sum, value) => sum + value, 0) / 4;
  assert.ok(Math.abs(mean - stored.mean) < 0.015, `${mean} for ${stored.mean}`);
});

test("the fit is the optimum: of correlated, badly scaled columns, and of columns without a signal", () => {
  const random = SeededRandom.derive(2, "logistic");
  const [rows, d] = [300, 12];
  const values = new Float64Array(rows * d);
  const labels = new Uint8Array(rows);
  for (let t = 0; t < rows; t++) {
    labels[t] = t & 1;
    const common = random.uniform() - 0.5;
    for (let j = 0; j < d; j++)
      values[t * d + j] = 10 ** ((j % 5) - 2) * (common + random.uniform() - 0.5 + labels[t]! / 5);
  }
  const x: Rows = { rows, d, values };
  const all = Uint32Array.from({ length: rows }, (_, t) => t);
  const fitted = fitLogistic(denseDesign(x, all), labels);
  const gradient = Float64Array.from(fitted.coef);
  let ofIntercept = 0;
  for (let t = 0; t < rows; t++) {
    let logit = fitted.intercept;
    for (let j = 0; j < d; j++) logit += values[t * d + j]! * fitted.coef[j]!;
    const error = 1 / (1 + Math.exp(-logit)) - labels[t]!;
    for (let j = 0; j < d; j++) gradient[j]! += error * values[t * d + j]!;
    ofIntercept += error;
  }
  assert.ok(Math.max(...gradient.map(Math.abs), Math.abs(ofIntercept)) < 1e-6);
  const nothing = fitLogistic(denseDesign({ rows, d: 3, values: new Float64Array(rows * 3) }, all), labels);
  assert.deepEqual(Array.from(nothing.coef), [0, 0, 0]);
  assert.throws(() => fitLogistic(denseDesign(x, all), new Uint8Array(rows)), /no row with the label 1/);
});

test("dense and sparse tables say the same", async () => {
  const { test: texts } = await goldenModel("topk");
  const { codes } = texts;
  const values = new Float64Array(codes.rows * codes.width);
  for (let t = 0; t < codes.rows; t++)
    for (let at = codes.offsets[t]!; at < codes.offsets[t + 1]!; at++)
      values[t * codes.width + codes.indices[at]!] = codes.values[at]! * 2;
  const dense = denseTable({ rows: codes.rows, d: codes.width, values });
  const sparse = codesTable(codes, new Float64Array(codes.width).fill(2));
  const rows = Uint32Array.of(5, 3, 90, 700);
  const task = { rows, labels: Uint8Array.of(1, 0, 1, 0) };
  assert.ok(distance(meanDifferences(dense, task), meanDifferences(sparse, task)) < 1e-12);
  const features = mostDifferent(meanDifferences(dense, task), 4);
  assert.deepEqual(sparse.columns(rows, features), dense.columns(rows, features));
});

test("tasks are balanced, take the others evenly, follow the seed and refuse an empty class", () => {
  const classes = Uint8Array.from({ length: 120 }, (_, t) => (t < 60 ? 0 : t < 90 ? 1 : t < 110 ? 2 : 3));
  const rows = Uint32Array.from(classes, (_, t) => t + 1000);
  const tasks = classTasks(rows, classes, 4, 7);
  for (const [positive, { rows: chosen, labels }] of tasks.entries()) {
    assert.equal(new Set(chosen).size, chosen.length);
    const own = labels.reduce((sum, label) => sum + label, 0);
    assert.equal(2 * own, labels.length);
    for (const [at, row] of chosen.entries()) assert.equal(classes[row - 1000] === positive, labels[at] === 1);
  }
  assert.equal(tasks[2]!.rows.length, 40, "20 of its own, 7 from each other, cut to 20");
  assert.equal(tasks[0]!.rows.length, 2 * (20 + 20 + 10), "fewer others than positives: the positives are cut");
  assert.deepEqual(classTasks(rows, classes, 4, 7), tasks);
  assert.notDeepEqual(classTasks(rows, classes, 4, 8), tasks);
  assert.throws(() => classTasks(rows, classes, 5, 7), /class 4 has no rows/);
  assert.throws(() => classTasks(rows, new Uint8Array(120), 1, 7), /1 class/);
});

function byFeature({ features, coef }: ConceptResult): { features: number[]; coef: number[] } {
  const order = Array.from(features.keys()).sort((a, b) => features[a]! - features[b]!);
  return { features: order.map((at) => features[at]!), coef: order.map((at) => coef[at]!) };
}
