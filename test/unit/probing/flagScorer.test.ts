// SHIFT against golden values: base, ablated, retrained and oracle for two sets of flags and four ensembles; and on planted data with a dictionary that holds the directions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { drawFourCells } from "../../../src/data/fourCells.ts";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import type { SparseCodes } from "../../../src/engine/engine.ts";
import { meanDifference, projectOut, randomFeatures } from "../../../src/probing/baselines.ts";
import { codeColumns } from "../../../src/probing/codeColumns.ts";
import { debiasBaselines, trainDebiasProbes } from "../../../src/probing/debias.ts";
import { classDifference, decoderProjection, scrEffects } from "../../../src/probing/effects.ts";
import type { Examples, Rows } from "../../../src/probing/examples.ts";
import { FlagScorer } from "../../../src/probing/flagScorer.ts";
import { joinPooled } from "../../../src/probing/pooledTexts.ts";
import { accuracy, logits } from "../../../src/probing/probe.ts";
import { heldOutPlan } from "../../../src/probing/probePlan.ts";
import { type GroupedExamples, scr } from "../../../src/probing/scr.ts";
import { type ProbePlan, trainProbe } from "../../../src/probing/trainProbe.ts";
import { distance, goldenJson, goldenModel, goldenPart, modelNames, probeFile } from "./goldenProbing.ts";

for (const name of modelNames) {
  test(`${name}: SHIFT with golden flags, with and without retraining`, async () => {
    const model = await goldenModel(name);
    const file = await probeFile("own_probes.safetensors");
    const sets = await probeFile("scr_probes.safetensors");
    const texts = joinPooled([model.train, model.test]);
    const first = model.train.activations.rows;
    const x = texts.activations;
    const examples = async (part: "train" | "val"): Promise<Examples> => ({
      x,
      rows: await file.rows(`biased.${part}_rows`),
      labels: await file.labels(`biased.${part}_labels`),
    });
    const plan: ProbePlan = {
      train: await examples("train"),
      selection: await examples("val"),
      orders: await file.orders("biased"),
    };
    const rows = await sets.rows("desired.test_rows");
    const { label, attribute } = await goldenPart("test");
    const scorer = new FlagScorer({
      texts,
      W_dec: model.W_dec,
      biased: trainProbe(plan),
      plan,
      test: {
        x,
        rows: rows.map((row) => row + first),
        labels: Uint8Array.from(rows, (row) => label[row]!),
        attributes: Uint8Array.from(rows, (row) => attribute[row]!),
      },
    });
    const stored = goldenJson("own_default.json").with_own_probes[name];
    for (const which of ["shift_flagged", "shift_top20"]) {
      const { flags, base, ablated, retrained } = stored[which];
      const same = (
        found: { accuracy: number; cells: readonly number[]; worst_group: number },
        expected: typeof base,
      ) => {
        assert.ok(Math.abs(found.accuracy - expected.acc) < 1e-9, `${which}: ${found.accuracy} for ${expected.acc}`);
        assert.ok(distance(found.cells, expected.cells) < 1e-9);
        assert.ok(Math.abs(found.worst_group - expected.worst) < 1e-9);
      };
      same(scorer.ablated([]), base);
      same(scorer.ablated(flags), ablated);
      const again = scorer.retrained(flags);
      same(again.scores, retrained);
      assert.equal(again.probe.epoch, retrained.chosen_epoch_index);
      assert.ok(distance(again.probe.probe.w, retrained.w) < 1e-5, `${distance(again.probe.probe.w, retrained.w)}`);
    }
  });
}

/** Texts in the plane: the first coordinate carries the attribute, strongly; the second the label, weakly; six more are noise. The dictionary is ± each axis. */
function planted() {
  const d = 8;
  const random = SeededRandom.derive(5, "planted");
  const cells = 4;
  const each = 500;
  const rows = cells * each * 2;
  const values = new Float64Array(rows * d);
  const labels = new Uint8Array(rows);
  const attributes = new Uint8Array(rows);
  for (let t = 0; t < rows; t++) {
    labels[t] = t & 1;
    attributes[t] = (t >> 1) & 1;
    for (let j = 0; j < d; j++) {
      const noise = random.uniform() + random.uniform() + random.uniform() - 1.5;
      const signal = j === 0 ? 3 * (2 * attributes[t]! - 1) : j === 1 ? 0.7 * (2 * labels[t]! - 1) : 0;
      values[t * d + j] = signal + noise;
    }
  }
  const W_dec = new Float32Array(2 * d * d);
  for (let j = 0; j < d; j++) {
    W_dec[2 * j * d + j] = 1;
    W_dec[(2 * j + 1) * d + j] = -1;
  }
  const indices = Uint32Array.from(values, (value, at) => 2 * (at % d) + (value > 0 ? 0 : 1));
  const codes: SparseCodes = {
    rows,
    width: 2 * d,
    offsets: Uint32Array.from({ length: rows + 1 }, (_, t) => t * d),
    indices,
    values: Float32Array.from(values, Math.abs),
  };
  const x: Rows = { rows, d, values };
  const pickRows = (from: number, wanted: (t: number) => boolean): Uint32Array =>
    Uint32Array.from({ length: rows / 2 }, (_, t) => from + t).filter(wanted);
  const of = (chosen: Uint32Array, source: Uint8Array): Examples => ({
    x,
    rows: chosen,
    labels: Uint8Array.from(chosen, (t) => source[t]!),
  });
  const biasedRows = pickRows(0, (t) => labels[t] === attributes[t]);
  const balanced = pickRows(0, () => true);
  const testRows = pickRows(rows / 2, () => true);
  return {
    texts: { activations: x, codes, tokens: new Uint32Array(rows).fill(1) },
    W_dec,
    biased: of(biasedRows, labels),
    desired: of(balanced, labels),
    spurious: of(balanced, attributes),
    test: {
      ...of(testRows, labels),
      attributes: Uint8Array.from(testRows, (t) => attributes[t]!),
    } satisfies GroupedExamples,
  };
}

test("planted direction: taking it out brings SCR near 1, a random feature near 0; retraining and projection reach the oracle", () => {
  const { texts, W_dec, biased, desired, spurious, test: balanced } = planted();
  const plan = heldOutPlan(biased, 1, "biased");
  const trained = trainProbe(plan);
  const probes = {
    biased: trained.probe,
    desired: trainProbe(heldOutPlan(desired, 1, "desired")).probe,
    spurious: trainProbe(heldOutPlan(spurious, 1, "spurious")).probe,
  };
  const effects = (examples: Examples, w: Float64Array): Float64Array =>
    scrEffects(classDifference(texts.codes, examples), decoderProjection(W_dec, w));
  const input = {
    probes,
    effects: { desired: effects(desired, probes.desired.w), spurious: effects(spurious, probes.spurious.w) },
    test: balanced,
    columns: codeColumns(texts.codes, balanced.rows),
    W_dec,
    n_values: [2],
  };
  const result = scr(input);
  assert.deepEqual(Array.from(result.points[0]!.features).sort(), [0, 1]);
  assert.ok(result.points[0]!.dir1 > 0.9, `${result.points[0]!.dir1}`);
  assert.ok(result.dir1.A_clean - result.dir1.A_biased > 0.1);
  const control = scr({ ...input, select: () => Uint32Array.of(6, 9) });
  assert.ok(Math.abs(control.points[0]!.dir1) < 0.1, `${control.points[0]!.dir1}`);

  const scorer = new FlagScorer({ texts, W_dec, biased: trained, plan, test: balanced });
  const before = scorer.ablated([]);
  const after = scorer.ablated([0, 1]);
  assert.ok(after.worst_group > before.worst_group + 0.2, `${before.worst_group} to ${after.worst_group}`);
  const oracle = result.oracle.worst_group;
  assert.ok(scorer.retrained([0, 1]).scores.worst_group > oracle - 0.08);
  assert.deepEqual(scorer.ablated([1, 0, 1]), after, "order and repetition of flags change nothing");

  const without = projectOut(texts.activations, meanDifference(spurious));
  const again = trainProbe({
    ...plan,
    train: { ...plan.train, x: without },
    selection: { ...plan.selection, x: without },
  }).probe;
  assert.ok(accuracy(again, { ...balanced, x: without }) > result.dir1.A_clean - 0.05);
});

test("the mean difference is projected out around the texts' middle: what all texts have in common changes no logit", () => {
  const { texts } = planted();
  const { rows, d, values } = texts.activations;
  // The first half is to learn from; both halves repeat the same four cells.
  const cell = (t: number): number => 2 * (1 - (t & 1)) + (1 - ((t >> 1) & 1));
  const numbered = (from: number) => new Map(Array.from({ length: rows / 2 }, (_, t) => [from + t, cell(from + t)]));
  const sets = drawFourCells(numbered(0), numbered(rows / 2), { seed: 1, perCell: { train: 150, test: 200 } });
  const probes = trainDebiasProbes(texts.activations, sets);
  const near = debiasBaselines(probes);
  assert.ok(near.mean_difference.worst_group > near.base.worst_group + 0.2, "the planted attribute is gone");
  // Far from 0 along every axis, the attribute's first of all; the probe's threshold goes along.
  const offset = Float64Array.from({ length: d }, (_, j) => (j === 0 ? 1000 : 50));
  const x: Rows = { rows, d, values: values.map((value, at) => value + offset[at % d]!) };
  const { w, b } = probes.biased.probe;
  const moved = { w, b: b - w.reduce((sum, value, j) => sum + value * offset[j]!, 0) };
  const far = debiasBaselines({
    ...probes,
    x,
    biased: { ...probes.biased, probe: moved },
    byAttribute: { ...probes.byAttribute, x },
    test: { ...probes.test, x },
  });
  assert.deepEqual(far.base, near.base);
  assert.deepEqual(far.mean_difference, near.mean_difference);
});

test("mean difference on the golden texts: each logit loses (w·u)((x − μ)·u), μ the mean of the balanced training rows", async () => {
  const model = await goldenModel("relu");
  const file = await probeFile("own_probes.safetensors");
  const sets = await probeFile("scr_probes.safetensors");
  const x = model.train.activations;
  const { d } = x;
  const probe = await file.probe("biased");
  const spurious: Examples = {
    x,
    rows: await sets.rows("spurious.train_rows"),
    labels: await sets.labels("spurious.train_labels"),
  };
  const at = (row: number, j: number): number => x.values[row * d + j]!;
  const mean = (rows: readonly number[], j: number): number =>
    rows.reduce((sum, row) => sum + at(row, j), 0) / rows.length;
  const all = Array.from(spurious.rows);
  const [of0, of1] = [0, 1].map((label) => all.filter((_, t) => spurious.labels[t] === label));
  const axis = Array.from({ length: d }, (_, j) => mean(of1!, j) - mean(of0!, j));
  const length = Math.hypot(...axis);
  const u = axis.map((value) => value / length);
  const middle = axis.map((_, j) => mean(all, j));
  const wu = u.reduce((sum, value, j) => sum + value * probe.w[j]!, 0);
  const rows = Uint32Array.from({ length: x.rows }, (_, row) => row);
  const before = logits(probe, x, rows);
  const expected = before.map(
    (logit, row) => logit - wu * u.reduce((sum, value, j) => sum + value * (at(row, j) - middle[j]!), 0),
  );
  assert.ok(distance(before, expected) > 0.1, "it does change them");
  assert.ok(distance(logits(probe, projectOut(x, meanDifference(spurious)), rows), expected) < 1e-9);
});

test("data without a bias leaves no room, and that is said", () => {
  const { texts, W_dec, desired, spurious, test: balanced } = planted();
  const clean = trainProbe(heldOutPlan(desired, 1, "desired")).probe;
  const result = scr({
    probes: { biased: clean, desired: clean, spurious: trainProbe(heldOutPlan(spurious, 1, "s")).probe },
    effects: { desired: new Float64Array(16).fill(1), spurious: new Float64Array(16).fill(1) },
    test: balanced,
    columns: codeColumns(texts.codes, balanced.rows),
    W_dec,
    n_values: [2],
  });
  assert.equal(result.dir1.hasRoom, false);
  assert.equal(result.points[0]!.dir1, 0);
});

test("random features fire somewhere, follow the seed and are never more than there are", () => {
  const { texts } = planted();
  const codes = { ...texts.codes, width: 100 };
  assert.ok(randomFeatures(codes, 8, 1).every((feature) => feature < 16));
  assert.deepEqual(randomFeatures(codes, 8, 1), randomFeatures(codes, 8, 1));
  assert.notDeepEqual(randomFeatures(codes, 8, 1), randomFeatures(codes, 8, 2));
  assert.equal(new Set(randomFeatures(codes, 50, 1)).size, 16);
});

test("a feature that isn't there is refused", () => {
  const { texts, W_dec, biased, test: balanced } = planted();
  const plan = heldOutPlan(biased, 1, "biased");
  const scorer = new FlagScorer({ texts, W_dec, biased: trainProbe(plan), plan, test: balanced });
  assert.throws(() => scorer.ablated([16]), /feature 16 of an ensemble of 16/);
});
