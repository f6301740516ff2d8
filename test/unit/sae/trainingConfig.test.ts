// Training settings of an SAE: SAELens' defaults, and wrong keys of each architecture refused. Initialisation: SAELens' statistics.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { geometricMedian } from "../../../src/sae/geometricMedian.ts";
import { initialiseSae } from "../../../src/sae/initialise.ts";
import {
  completeTrainingSaeConfig,
  expandedConfig,
  type TrainingSaeConfig,
  trainingSaeSchema,
} from "../../../src/sae/trainingConfig.ts";
import { goldenBatches, goldenTensors } from "../engine/goldenTraining.ts";
import { golden } from "../fixtures.ts";

function config(options: Record<string, unknown>, d_in = 64): TrainingSaeConfig {
  return completeTrainingSaeConfig(trainingSaeSchema.parse(options), d_in);
}

test("defaults are SAELens'", () => {
  const topk = config({ architecture: "topk", d_sae: 128 });
  assert.deepEqual(topk, {
    architecture: "topk",
    d_in: 64,
    d_sae: 128,
    dtype: "float32",
    apply_b_dec_to_input: true,
    normalize_activations: "none",
    decoder_init_norm: 0.1,
    b_dec_init: "zeros",
    decoder_norm: "free",
    aux_loss_coefficient: 1,
    aux_loss_form: "sae_lens",
    rescale_acts_by_decoder_norm: true,
    k: 100,
  });
  const jumprelu = config({ architecture: "jumprelu", expansion_factor: 4 });
  assert.equal(jumprelu.d_sae, 256);
  assert.ok(jumprelu.architecture === "jumprelu");
  assert.deepEqual(
    [jumprelu.jumprelu_init_threshold, jumprelu.jumprelu_bandwidth, jumprelu.l0_coefficient],
    [0.01, 0.05, 1],
  );
});

for (const [what, options, message] of [
  ["a key of another architecture", { architecture: "standard", d_sae: 8, k: 4 }, /k/],
  ["l1 for topk", { architecture: "topk", d_sae: 8, l1_coefficient: 1 }, /l1_coefficient/],
  ["a mistyped key", { architecture: "gated", d_sae: 8, l1_coeficient: 1 }, /l1_coeficient/],
  ["an architecture that is not trained here", { architecture: "temporal", d_sae: 8 }, /architecture/],
  ["a matryoshka without widths", { architecture: "matryoshka_batchtopk", d_sae: 8 }, /matryoshka_widths/],
  [
    "a matryoshka whose widths don't ascend",
    { architecture: "matryoshka_batchtopk", d_sae: 8, matryoshka_widths: [4, 4] },
    /widths that ascend/,
  ],
  ["widths of what has none", { architecture: "batchtopk", d_sae: 8, matryoshka_widths: [4] }, /matryoshka_widths/],
  [
    "d_sae and expansion_factor together",
    { architecture: "standard", d_sae: 8, expansion_factor: 2 },
    /either d_sae or expansion_factor/,
  ],
  ["neither of them", { architecture: "standard" }, /either d_sae or expansion_factor/],
  [
    "normalising each token",
    { architecture: "standard", d_sae: 8, normalize_activations: "layer_norm" },
    /normalize_activations/,
  ],
  ["a k that is not whole", { architecture: "topk", d_sae: 8, k: 2.5 }, /k/],
] as const) {
  test(`refused: ${what}`, () => {
    const parsed = trainingSaeSchema.safeParse(options);
    assert.ok(!parsed.success);
    assert.match(JSON.stringify(parsed.error.issues), message);
  });
}

test("more active features than features are refused", () => {
  assert.throws(() => config({ architecture: "topk", d_sae: 8, k: 9 }), /k 9 .* 8 features/);
});

test("a matryoshka's last width is d_sae, added where it isn't given, as SAELens does", () => {
  const widths = (matryoshka_widths: number[], rest: Record<string, unknown> = { d_sae: 8 }) => {
    const complete = config({ architecture: "matryoshka_batchtopk", k: 2, matryoshka_widths, ...rest });
    assert.ok(complete.architecture === "matryoshka_batchtopk");
    return complete.matryoshka_widths;
  };
  assert.deepEqual(widths([2, 4]), [2, 4, 8]);
  assert.deepEqual(widths([2, 8]), [2, 8]);
  assert.deepEqual(widths([16], { expansion_factor: 2 }), [16, 128]);
  assert.throws(() => widths([2, 9]), /matryoshka_widths ends with 9, more than the 8 features/);
});

test("the expanded baseline has n times the features, and for the topk family n times the k", () => {
  const topk = expandedConfig(config({ architecture: "topk", d_sae: 8, k: 2 }), 4);
  assert.deepEqual([topk.d_sae, topk.architecture === "topk" && topk.k], [32, 8]);
  assert.equal(expandedConfig(config({ architecture: "standard", d_sae: 8 }), 4).d_sae, 32);
  const matryoshka = config({ architecture: "matryoshka_batchtopk", d_sae: 8, k: 2, matryoshka_widths: [1, 4] });
  const expanded = expandedConfig(matryoshka, 4);
  assert.ok(expanded.architecture === "matryoshka_batchtopk");
  assert.deepEqual([expanded.d_sae, expanded.k, expanded.matryoshka_widths], [32, 8, [4, 16, 32]]);
});

test("initial weights have SAELens' statistics", () => {
  const all = JSON.parse(readFileSync(golden("training", "init.json"), "utf8"));
  for (const architecture of ["standard", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu", "gated"]) {
    for (const decoder_init_norm of [0.1, null]) {
      const golden = all[`${architecture} decoder_init_norm=${decoder_init_norm ?? "None"}`];
      const k = architecture.endsWith("topk") ? { k: 8 } : {};
      const widths = architecture.startsWith("matryoshka") ? { matryoshka_widths: [100] } : {};
      const weights = initialiseSae(config({ architecture, d_sae: 1000, decoder_init_norm, ...k, ...widths }), 1);
      const norms = Array.from({ length: 1000 }, (_, i) => Math.hypot(...weights.W_dec.subarray(i * 64, (i + 1) * 64)));
      assert.ok(Math.abs(mean(norms) / golden.W_dec_norm_mean - 1) < 0.02);
      assert.ok(Math.abs(deviation(norms) - golden.W_dec_norm_std) < 0.02 * golden.W_dec_norm_mean);
      assert.ok(Math.abs(deviation(weights.W_dec) / golden.W_dec_entry_std - 1) < 0.02);
      const kurtosis = mean(weights.W_dec, 4) / mean(weights.W_dec, 2) ** 2;
      assert.ok(Math.abs(kurtosis - golden.kurtosis_of_W_dec_entries) < 0.05, `kurtosis ${kurtosis}`);
      assert.deepEqual(weights.W_enc, weights.W_dec);
      assert.notEqual(weights.W_enc.buffer, weights.W_dec.buffer, "a copy, not tied");
      for (const name of golden.zero_parameters)
        assert.ok(weights[name as "b_dec"].every((value: number) => value === 0));
      if (architecture === "jumprelu") assert.ok(weights.threshold!.every((value) => value === Math.fround(0.01)));
    }
  }
});

test("the same seed gives the same bits, another seed other weights", () => {
  const settings = config({ architecture: "standard", d_sae: 16 });
  assert.deepEqual(initialiseSae(settings, 5), initialiseSae(settings, 5));
  assert.notDeepEqual(initialiseSae(settings, 5).W_dec, initialiseSae(settings, 6).W_dec);
});

test("the geometric median equals dictionary_learning's", async () => {
  const expected = (await goldenTensors("dictionary_learning", "topk.safetensors")).get(
    "geometric_median_of_batch_0",
  )!.values;
  const got = geometricMedian((await goldenBatches())[0]!, 64, 24);
  for (let j = 0; j < 24; j++) assert.ok(Math.abs(got[j]! - expected[j]!) < 1e-4, `${j}: ${got[j]} for ${expected[j]}`);
});

function mean(values: ArrayLike<number>, power = 1): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at]! ** power;
  return sum / values.length;
}

function deviation(values: ArrayLike<number>): number {
  const centre = mean(values);
  return Math.sqrt(
    mean(
      Float64Array.from(values, (value) => value - centre),
      2,
    ),
  );
}
