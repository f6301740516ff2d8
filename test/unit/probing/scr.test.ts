// Effects, chosen features, SCR in both directions, cells and worst group against golden values, for one SAE, bagging and boosting; SAEBench's padding; the formula at its edges.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FourCellSets } from "../../../src/data/fourCells.ts";
import { ablatedLogits, ablatedRows, encodedPadding } from "../../../src/probing/ablation.ts";
import { randomFeatures } from "../../../src/probing/baselines.ts";
import { codeColumns } from "../../../src/probing/codeColumns.ts";
import { type DebiasProbes, debiasCurve } from "../../../src/probing/debias.ts";
import {
  classDifference,
  decoderProjection,
  scrEffects,
  topFeatures,
  topFeaturesSaeBench,
} from "../../../src/probing/effects.ts";
import type { Examples } from "../../../src/probing/examples.ts";
import type { PooledTexts } from "../../../src/probing/pool.ts";
import { accuracyOf, logits } from "../../../src/probing/probe.ts";
import { headlineDirection, type ScrInput, scr, scrScore } from "../../../src/probing/scr.ts";
import type { TrainedProbe } from "../../../src/probing/trainProbe.ts";
import {
  distance,
  type GoldenModel,
  goldenJson,
  goldenModel,
  goldenPart,
  modelNames,
  probeFile,
} from "./goldenProbing.ts";

const probeNames = ["spurious", "desired", "biased"] as const;
const ascending = (features: Uint32Array): number[] => Array.from(features).sort((a, b) => a - b);

async function effectsOf(model: GoldenModel, probes: string) {
  const sets = await probeFile("scr_probes.safetensors");
  const file = await probeFile(probes);
  const entries = await Promise.all(
    probeNames.map(async (name) => {
      const rows = await sets.rows(`${name}.train_rows`);
      const labels = await sets.labels(`${name}.train_labels`);
      const { w } = await file.probe(name);
      const difference = classDifference(model.train.codes, { rows, labels });
      return [name, scrEffects(difference, decoderProjection(model.W_dec, w))] as const;
    }),
  );
  return Object.fromEntries(entries) as Record<(typeof probeNames)[number], Float64Array>;
}

async function scrInput(model: GoldenModel, probes: string): Promise<ScrInput> {
  const sets = await probeFile("scr_probes.safetensors");
  const file = await probeFile(probes);
  const rows = await sets.rows("desired.test_rows");
  const { label, attribute } = await goldenPart("test");
  return {
    probes: {
      biased: await file.probe("biased"),
      desired: await file.probe("desired"),
      spurious: await file.probe("spurious"),
    },
    effects: await effectsOf(model, probes),
    test: {
      x: model.test.activations,
      rows,
      labels: Uint8Array.from(rows, (row) => label[row]!),
      attributes: Uint8Array.from(rows, (row) => attribute[row]!),
    },
    columns: codeColumns(model.test.codes, rows),
    W_dec: model.W_dec,
    n_values: [2, 5, 10, 20, 50, 100],
  };
}

for (const [key, file] of [
  ["with_saebench_probes", "scr_probes.safetensors"],
  ["with_own_probes", "own_probes.safetensors"],
] as const) {
  for (const name of modelNames) {
    test(`${name}, ${key.replaceAll("_", " ")}: effects, choices, SCR and cells`, async () => {
      const model = await goldenModel(name);
      const stored = goldenJson("own_default.json")[key];
      const effects = await effectsOf(model, file);
      for (const probe of probeNames) {
        assert.ok(distance(effects[probe], stored[name].effects[probe]) < 1e-6, `effects ${probe}`);
        for (const [n, chosen] of Object.entries(stored[name].selected[probe]))
          assert.deepEqual(ascending(topFeatures(effects[probe], Number(n))), chosen, `${probe}, n = ${n}`);
      }
      const result = scr(await scrInput(model, file));
      close(result.dir1.A_clean, stored.base.A_clean);
      close(result.dir1.A_biased, stored.base.A_biased);
      close(result.dir2.A_clean, stored.base.A_clean_dir2);
      close(result.dir2.A_biased, stored.base.A_biased_dir2);
      close(result.base.worst_group, stored.base.worst_biased);
      close(result.oracle.worst_group, stored.base.worst_oracle);
      assert.ok(distance(result.base.cells, stored.base.cells_biased) < 1e-12);
      assert.ok(distance(result.oracle.cells, stored.base.cells_desired) < 1e-12);
      assert.equal(result.headline, "dir1");
      assert.ok(result.dir1.hasRoom && result.dir2.hasRoom);
      for (const point of result.points) {
        const expected = stored[name].scr[point.n];
        for (const field of ["dir1", "dir2", "headline", "A_ablated_dir1", "A_ablated_dir2"] as const)
          close(point[field]!, expected[field]);
        assert.ok(distance(point.scores.cells, expected.cells_dir1) < 1e-12);
        close(point.scores.worst_group, expected.worst_dir1);
        assert.ok(Math.abs(point.min_abs_logit - expected.min_abs_logit_dir1) < 1e-5);
        assert.deepEqual(point.scores.counts, [100, 100, 100, 100]);
      }
    });
  }
}

for (const name of ["relu", "topk"] as const) {
  test(`${name}, saebench_compatible: SAEBench's own effects, choices, nine accuracies and SCR`, async () => {
    const model = await goldenModel(name);
    const stored = goldenJson("scr_saebench.json").sae[`sae_${name}`];
    const effects = await effectsOf(model, "scr_probes.safetensors");
    const sets = await probeFile("scr_probes.safetensors");
    const length = goldenPaddedLength;
    for (const probe of probeNames) {
      assert.ok(distance(effects[probe], stored.effects[probe]) < 1e-6);
      for (const [n, chosen] of Object.entries(stored.selected[probe])) {
        const features = topFeaturesSaeBench(effects[probe], Number(n));
        assert.deepEqual(ascending(features), chosen);
        for (const [key, expected] of Object.entries(stored.ablated_accuracies[probe][n]) as [string, number][]) {
          const [which, on] = SAEBENCH_KEYS[key]!;
          const rows = await sets.rows(`${on}.test_rows`);
          const { w, b } = await sets.probe(which);
          const ablated = ablatedLogits(
            logits({ w, b }, model.test.activations, rows),
            codeColumns(model.test.codes, rows),
            decoderProjection(model.W_dec, w),
            features,
            encodedPadding(
              length,
              Array.from(rows, (row) => model.test.tokens[row]!),
              model.codesOfZero,
            ),
          );
          const reached = accuracyOf(ablated, await sets.labels(`${on}.test_labels`));
          assert.ok(Math.abs(reached - expected) < 1e-6, `${probe}, n = ${n}, ${key}: ${reached} for ${expected}`);
        }
      }
    }
    const input = await scrInput(model, "scr_probes.safetensors");
    const tokens = Array.from(input.test.rows, (row) => model.test.tokens[row]!);
    const padding = encodedPadding(length, tokens, model.codesOfZero);
    const result = scr({ ...input, padding, select: topFeaturesSaeBench });
    for (const { n, dir1, dir2, headline } of result.points) {
      assert.ok(Math.abs(dir1 - stored.scr[`scr_dir1_threshold_${n}`]) < 1e-5);
      assert.ok(Math.abs(dir2 - stored.scr[`scr_dir2_threshold_${n}`]) < 1e-5);
      assert.ok(Math.abs(headline! - stored.scr[`scr_metric_threshold_${n}`]) < 1e-5);
    }
    const rows = (await sets.rows("desired.test_rows")).slice().sort();
    const inSetOrder = Uint32Array.from(goldenJson("scr_saebench.json").rows.test["professor / nurse"].slice(0, 8));
    assert.ok(inSetOrder.every((row) => rows.includes(row)));
    const first8 = ablatedRows(
      model.test.activations,
      inSetOrder,
      codeColumns(model.test.codes, inSetOrder),
      model.W_dec,
      stored.selected.spurious[10],
      encodedPadding(
        length,
        Array.from(inSetOrder, (row) => model.test.tokens[row]!),
        model.codesOfZero,
      ),
    );
    assert.ok(distance(first8.values, stored.ablated_pooled_first8_n10_spurious.flat()) < 2e-6);
  });
}

/** Tokens to which the golden run padded its texts. */
const goldenPaddedLength = 24;

/** SAEBench's key → the probe and the data set that it names. */
const SAEBENCH_KEYS: Record<string, readonly [string, string]> = {
  "male / female": ["spurious", "spurious"],
  "professor / nurse": ["desired", "desired"],
  "male_professor / female_nurse": ["biased", "biased"],
  "professor / nurse probe on male / female data": ["desired", "spurious"],
  "male_professor / female_nurse probe on male / female data": ["biased", "spurious"],
  "male / female probe on professor / nurse data": ["spurious", "desired"],
  "male_professor / female_nurse probe on professor / nurse data": ["biased", "desired"],
  "male / female probe on male_professor / female_nurse data": ["spurious", "biased"],
  "professor / nurse probe on male_professor / female_nurse data": ["desired", "biased"],
};

for (const name of ["relu", "topk"] as const) {
  test(`${name}: a debiasing with saebench_compatible, given SAEBench's probes, has SAEBench's scores; flags are scored with its padding as well`, async () => {
    const model = await goldenModel(name);
    const stored = goldenJson("scr_saebench.json").sae[`sae_${name}`];
    const file = await probeFile("scr_probes.safetensors");
    const { label, attribute } = await goldenPart("train");
    const x = model.train.activations;
    // Test rows come behind the training rows: a debiasing has all texts in one.
    const texts = joined(model.train, model.test);
    const input = await scrInput(model, "scr_probes.safetensors");
    const rows = await file.rows("desired.train_rows");
    const trained = async (which: string): Promise<TrainedProbe> => {
      const probe = await file.probe(which);
      return { probe, last: probe, epoch: 0, accuracies: [], steps: 0 };
    };
    const by = (of: Uint8Array): Examples => ({
      x: texts.activations,
      rows,
      labels: Uint8Array.from(rows, (row) => of[row]!),
    });
    const held = { ...input.test, x: texts.activations, rows: input.test.rows.map((row) => row + x.rows) };
    const sets = { seed: 1 } as FourCellSets;
    const plan = { train: by(label), selection: by(label), orders: [] };
    const probes: DebiasProbes = {
      sets,
      x: texts.activations,
      biased: await trained("biased"),
      desired: await trained("desired"),
      spurious: await trained("spurious"),
      biasedPlan: plan,
      byAttribute: by(attribute),
      byLabel: by(label),
      test: held,
      saebenchCompatible: true,
    };
    const curve = debiasCurve(probes, texts, model.W_dec, {
      n_values: [2, 5, 10, 20, 50, 100],
      padding: { length: goldenPaddedLength, codesOfZero: model.codesOfZero },
    });
    for (const [at, { n, dir1, dir2, features }] of curve.scr.points.entries()) {
      assert.ok(Math.abs(dir1 - stored.scr[`scr_dir1_threshold_${n}`]) < 1e-5);
      assert.ok(Math.abs(dir2 - stored.scr[`scr_dir2_threshold_${n}`]) < 1e-5);
      // The same features as a person's flags: what is taken out is the same.
      const expected =
        stored.ablated_accuracies.spurious[n]["male_professor / female_nurse probe on professor / nurse data"];
      assert.ok(Math.abs(curve.scorer.ablated(features).accuracy - expected) < 1e-6);
      const control = curve.scorer.ablated(randomFeatures(texts.codes, features.length, 1)).accuracy;
      assert.equal(curve.scr_random[at], scrScore({ ...curve.scr.dir1, A_ablated: control }));
    }
  });
}

function joined(first: PooledTexts, second: PooledTexts): PooledTexts {
  const { d } = first.activations;
  const offset = first.codes.indices.length;
  return {
    activations: {
      rows: first.activations.rows + second.activations.rows,
      d,
      values: Float64Array.from([...first.activations.values, ...second.activations.values]),
    },
    tokens: Uint32Array.from([...first.tokens, ...second.tokens]),
    codes: {
      ...first.codes,
      rows: first.codes.rows + second.codes.rows,
      offsets: Uint32Array.from([
        ...first.codes.offsets,
        ...Array.from(second.codes.offsets.subarray(1), (at) => at + offset),
      ]),
      indices: Uint32Array.from([...first.codes.indices, ...second.codes.indices]),
      values: Float32Array.from([...first.codes.values, ...second.codes.values]),
    },
  };
}

test("the score at its edges, as SAEBench computes it", () => {
  for (const { result, ...given } of goldenJson("edge_cases.json").scr) {
    const of = (dir: string): number =>
      scrScore({
        A_clean: given[`A_clean_${dir}`],
        A_biased: given[`A_biased_${dir}`],
        A_ablated: given[`A_ablated_${dir}`],
      });
    assert.equal(of("dir1"), result.scr_dir1_threshold_5);
    assert.equal(of("dir2"), result.scr_dir2_threshold_5);
    const headline = headlineDirection(given.A_biased_dir1, given.A_biased_dir2);
    assert.equal(headline === null ? undefined : of(headline), result.scr_metric_threshold_5);
  }
});

test("choosing among zero, negative and tied effects", () => {
  for (const { effects, n, selected } of goldenJson("edge_cases.json").select_top_n_features) {
    const chosen = topFeaturesSaeBench(Float64Array.from(effects), n);
    // Which of five equal effects torch takes is not specified.
    if (new Set(effects).size === 1 && effects[0] !== 0) assert.equal(chosen.length, selected.length);
    else assert.deepEqual(ascending(chosen), selected);
  }
  assert.deepEqual(topFeatures(Float64Array.of(0, 3, -1, 3, 5, 0), 3), Uint32Array.of(4, 1, 3));
  assert.deepEqual(topFeatures(Float64Array.of(0, 3, -1, 0), 3), Uint32Array.of(1));
});

test("a class without a row is refused by name", async () => {
  const { train } = await goldenModel("relu");
  const one: Pick<Examples, "rows" | "labels"> = { rows: Uint32Array.of(1, 2), labels: Uint8Array.of(0, 0) };
  assert.throws(() => classDifference(train.codes, one), /comparing two classes' codes: no row with the label 1/);
});

function close(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) < 1e-9, `${found} for ${expected}`);
}

test("SAEBench's padding has no place for a text longer than it", () => {
  const zero = Float64Array.of(1);
  assert.deepEqual([...encodedPadding(128, [64, 128], zero).share], [1, 0]);
  assert.throws(() => encodedPadding(128, [64, 129], zero), RangeError);
});
