// Intrinsic metrics against the golden values, and what must hold of them whatever the data.
import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluateEnsemble, type IntrinsicMetrics } from "../../../src/evaluation/evaluateEnsemble.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import type { Sae } from "../../../src/sae/sae.ts";
import { encoderFrom } from "../engine/encoderFrom.ts";
import {
  alone,
  D_IN,
  definitionEngine,
  goldenEnsemble,
  goldenX,
  metricsJson,
  sourceOf,
  sparse,
  TOKENS,
} from "./goldenEnsembles.ts";

const NAMES = ["bagging_a", "bagging_b", "boosting_a", "boosting_b"];

function near(actual: number | null | undefined, expected: number, relative: number, what: string): void {
  assert.ok(typeof actual === "number", `${what} is there`);
  const difference = Math.abs(actual - expected);
  assert.ok(difference <= relative * Math.max(Math.abs(expected), 1e-9), `${what}: ${actual}, expected ${expected}`);
}

for (const name of NAMES) {
  test(`${name}: every metric equals the golden one to 1e-6`, async () => {
    const x = await goldenX();
    const result = await evaluateEnsemble(definitionEngine, await goldenEnsemble(name), sourceOf(x, D_IN));
    const expected = metricsJson.numpy_float64[name];
    const { metrics } = result;
    const keys: [keyof IntrinsicMetrics, number][] = [
      ["mse", expected.mse],
      ["explained_variance", expected.explained_variance_per_dimension_mean],
      ["explained_variance_global", expected.explained_variance_global],
      ["l0", expected.l0],
      ["relative_sparsity", expected.relative_sparsity],
      ["l1", expected.other_conventions.l1],
      ["connectivity", expected.connectivity],
      ["diversity", expected["diversity_0.7"]],
      ["dead_share", expected.dead_share],
      ["cosine", expected.cosine],
      ["l2_ratio", expected.l2_ratio],
      ["relative_reconstruction_bias", expected.relative_reconstruction_bias],
    ];
    assert.equal(result.tokens, TOKENS);
    for (const [key, value] of keys) near(metrics[key].value, value, 1e-6, key);
    expected.explained_variance_per_dimension.forEach((value: number, j: number) => {
      near(result.explainedVariancePerDimension[j], value, 1e-6, `explained variance of dimension ${j}`);
    });
    expected.log10_density.forEach((value: number, i: number) => {
      near(result.logDensity[i], value, 1e-6, `density of feature ${i}`);
    });
    const members = expected.members_alone ?? expected.after_each_member;
    assert.equal(result.byMember.length, members.length);
    members.forEach((member: { mse: number; explained_variance_global: number }, j: number) => {
      near(result.byMember[j]!.mse.value, member.mse, 1e-6, `mse of member ${j}`);
      near(result.byMember[j]!.explained_variance_global.value, member.explained_variance_global, 1e-6, `member ${j}`);
    });
  });
}

test("a single member evaluates as SAELens and the golden values say", async () => {
  const x = await goldenX();
  const { members } = await goldenEnsemble("bagging_a");
  const { metrics } = await evaluateEnsemble(definitionEngine, alone(members[0]!), sourceOf(x, D_IN));
  const expected = metricsJson.numpy_float64["bagging_a.member_0"];
  near(metrics.connectivity.value, expected.connectivity, 1e-6, "connectivity");
  near(metrics.cosine.value, expected.cosine, 1e-6, "cosine");
  const saeLens = metricsJson["sae_lens_6.54"]["bagging_a.member_0 as a SAELens TopKSAE"].one_batch_of_500;
  near(metrics.mse.value, saeLens.mse, 1e-6, "mse");
  near(metrics.explained_variance_global.value, saeLens.explained_variance, 1e-6, "explained_variance");
  near(metrics.l2_ratio.value, saeLens.l2_ratio, 1e-6, "l2_ratio");
});

test("the codes and reconstruction evaluated are those of the ensemble's own encoder", async () => {
  const x = await goldenX();
  for (const name of ["bagging_a", "boosting_a"]) {
    const ensemble = await goldenEnsemble(name);
    const { reconstruction, codes } = await (await definitionEngine.createEncoder(ensemble)).encode(x, TOKENS);
    let squaredError = 0;
    reconstruction.forEach((value, i) => {
      squaredError += (x[i]! - value) ** 2;
    });
    const { metrics } = await evaluateEnsemble(definitionEngine, ensemble, sourceOf(x, D_IN));
    near(metrics.mse.value, squaredError / TOKENS, 1e-6, "mse");
    near(metrics.l1.value, codes.values.reduce((sum, value) => sum + value, 0) / TOKENS, 1e-6, "l1");
  }
});

test("members that don't wait for one another are asked for all at once, those of a chain in turn", async () => {
  const x = await goldenX();
  for (const [name, most] of [
    ["bagging_a", 3],
    ["boosting_a", 1],
  ] as const) {
    let [asked, mostAsked] = [0, 0];
    const counting: typeof definitionEngine = {
      ...definitionEngine,
      createEncoder: async (ensemble) => {
        const encoder = await definitionEngine.createEncoder(ensemble);
        return {
          ...encoder,
          encode: async (...batch) => {
            mostAsked = Math.max(mostAsked, ++asked);
            const encoded = await encoder.encode(...batch);
            asked -= 1;
            return encoded;
          },
        };
      },
    };
    const ensemble = await goldenEnsemble(name);
    assert.equal(ensemble.members.length, 3);
    await evaluateEnsemble(counting, ensemble, sourceOf(x, D_IN));
    assert.equal(mostAsked, most, name);
  }
});

test("any batch size gives the same bits", async () => {
  const x = await goldenX();
  const ensemble = await goldenEnsemble("boosting_a");
  const whole = await evaluateEnsemble(definitionEngine, ensemble, sourceOf(x, D_IN), { batchTokens: TOKENS });
  for (const batchTokens of [1, 7, 128]) {
    const other = await evaluateEnsemble(definitionEngine, ensemble, sourceOf(x, D_IN), { batchTokens });
    assert.deepEqual(other, whole);
  }
});

/** An SAE without active features whose reconstruction is its b_dec. */
function constantSae(b_dec: Float32Array): Sae {
  const d_in = b_dec.length;
  return {
    config: {
      architecture: "standard",
      d_in,
      d_sae: 2,
      apply_b_dec_to_input: false,
      normalize_activations: "none",
      dtype: "float32",
      metadata: {},
    },
    weights: {
      W_enc: new Float32Array(2 * d_in),
      W_dec: new Float32Array(2 * d_in).fill(1),
      b_dec,
      b_enc: Float32Array.of(-1, -1),
    },
  };
}

function meanOf(x: Float32Array, d: number): Float32Array {
  const sum = new Float64Array(d);
  x.forEach((value, i) => {
    sum[i % d]! += value;
  });
  return Float32Array.from(sum, (value) => value / (x.length / d));
}

test("a constant prediction at the mean scores 0, also far from the origin", async () => {
  const x = await goldenX();
  for (const shift of [0, 3000]) {
    const shifted = x.map((value) => value + shift);
    const { metrics } = await evaluateEnsemble(
      definitionEngine,
      alone(constantSae(meanOf(shifted, D_IN))),
      sourceOf(shifted, D_IN),
    );
    // The mean rounded to float32 is off by up to 1.2e-4 at 3000, its square against a variance of 0.5: 3e-8.
    for (const key of ["explained_variance", "explained_variance_global"] as const) {
      assert.ok(Math.abs(metrics[key].value!) < 1e-7, `${key} ${metrics[key].value}`);
    }
    assert.equal(metrics.l0.value, 0);
    assert.equal(metrics.connectivity.value, 1);
    assert.equal(metrics.dead_share.value, 1);
  }
});

test("explained variance does not depend on the scale of the activations", async () => {
  const x = await goldenX();
  const ensemble = await goldenEnsemble("bagging_a");
  const scale = 64;
  const scaled: Ensemble = {
    ...ensemble,
    members: ensemble.members.map(({ config, weights }) => ({
      config,
      weights: {
        ...weights,
        b_dec: weights.b_dec.map((value) => value * scale),
        b_enc: weights.b_enc!.map((value) => value * scale),
      },
    })),
  };
  const one = await evaluateEnsemble(definitionEngine, ensemble, sourceOf(x, D_IN));
  const other = await evaluateEnsemble(
    definitionEngine,
    scaled,
    sourceOf(
      x.map((value) => value * scale),
      D_IN,
    ),
  );
  for (const key of ["explained_variance", "explained_variance_global", "cosine", "connectivity"] as const) {
    near(other.metrics[key].value, one.metrics[key].value!, 1e-12, key);
  }
  near(other.metrics.mse.value, one.metrics.mse.value! * scale * scale, 1e-12, "mse");
});

test("adding every bias in full, as the paper's released code does, is not what is computed", async () => {
  const { wrong_if_every_b_dec_is_added_in_full_mse: wrong } = metricsJson.numpy_float64.bagging_a;
  const { metrics } = await evaluateEnsemble(
    definitionEngine,
    await goldenEnsemble("bagging_a"),
    sourceOf(await goldenX(), D_IN),
  );
  assert.ok(metrics.mse.value! < 0.6 * wrong);
});

test("what can't be computed says why: constant dimensions, too little memory, no tokens", async () => {
  const x = (await goldenX()).map((value, i) => (i % D_IN === 3 ? 7 : value));
  const ensemble = await goldenEnsemble("bagging_a");
  const { metrics } = await evaluateEnsemble(definitionEngine, ensemble, sourceOf(x, D_IN), {
    connectivityMemory: 1000,
  });
  assert.deepEqual(
    { ...metrics.explained_variance },
    { value: null, reason: "1 of 32 dimensions are constant over the 500 tokens: their share of variance is 0/0" },
  );
  assert.equal(metrics.connectivity.value, null);
  assert.match(
    (metrics.connectivity as { reason: string }).reason,
    /192 features needs 1 MiB, more than the 1 MiB allowed$/,
  );
  assert.ok(metrics.explained_variance_global.value !== null);
  await assert.rejects(evaluateEnsemble(definitionEngine, ensemble, sourceOf(new Float32Array(0), D_IN)), /no tokens/);
});

test("zeros among stored codes did not fire", async () => {
  const zeros = sparse(Float32Array.of(1, 0, 2), 1, 3);
  const withZero = {
    ...zeros,
    offsets: Uint32Array.of(0, 3),
    indices: Uint32Array.of(0, 1, 2),
    values: Float32Array.of(1, 0, 2),
  };
  const engine = {
    ...definitionEngine,
    createEncoder: async () => encoderFrom(async (x) => ({ codes: withZero, reconstruction: x })),
  };
  const sae = constantSae(new Float32Array(2));
  const wide = { ...sae, config: { ...sae.config, d_sae: 3 }, weights: { ...sae.weights, W_dec: new Float32Array(6) } };
  const { metrics } = await evaluateEnsemble(engine, alone(wide), sourceOf(Float32Array.of(1, 2), 2));
  assert.equal(metrics.l0.value, 2);
  assert.equal(metrics.dead_share.value, 1 / 3);
  near(metrics.connectivity.value, 1 - 4 / 9, 1e-12, "connectivity");
});
