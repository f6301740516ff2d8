// Stability, diversity and the matching against golden values and against brute force.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { bestAssignment } from "../../../src/evaluation/assignment.ts";
import { diversity, largestCosines, largestCosinesWithin } from "../../../src/evaluation/decoderCosines.ts";
import { stability } from "../../../src/evaluation/stability.ts";
import { alone, goldenEnsemble, metricsJson } from "./goldenEnsembles.ts";

function near(actual: number | null | undefined, expected: number, what: string): void {
  assert.ok(typeof actual === "number", `${what} is there`);
  assert.ok(Math.abs(actual - expected) <= 1e-6 * Math.abs(expected), `${what}: ${actual}, expected ${expected}`);
}

for (const [a, b] of [
  ["bagging_a", "bagging_b"],
  ["boosting_a", "boosting_b"],
  ["bagging_a", "boosting_a"],
] as const) {
  test(`${a} and ${b}: both forms equal the golden ones`, async () => {
    const expected = metricsJson.stability[`${a} | ${b}`];
    const result = await stability([await goldenEnsemble(a), await goldenEnsemble(b)]);
    near(result.pairs[0]!.aToB, expected.max_cosine_a_to_b, "a to b");
    near(result.pairs[0]!.bToA, expected.max_cosine_b_to_a, "b to a");
    near(result.stability.value, expected.max_cosine_mean_of_ordered_pairs, "mean");
    near(result.stability_hungarian.value, expected.hungarian, "Hungarian");
    assert.equal(result.byMember.length, 3);
    // Members are of equal width, so their mean is the whole.
    near(result.byMember.reduce((sum, value) => sum + value, 0) / 3, result.stability.value!, "mean over members");
  });
}

test("single members", async () => {
  const [a, b] = [await goldenEnsemble("bagging_a"), await goldenEnsemble("bagging_b")];
  const result = await stability([alone(a.members[0]!), alone(b.members[0]!)]);
  const expected = metricsJson.stability["bagging_a.member_0 | bagging_b.member_0"];
  near(result.stability.value, expected.max_cosine_mean_of_ordered_pairs, "stability");
  near(result.stability_hungarian.value, expected.hungarian, "Hungarian");
});

test("three seed sets: the mean over all six ordered pairs; the same ensemble twice is 1; one alone has none", async () => {
  const [a, b, c] = await Promise.all(["bagging_a", "bagging_b", "boosting_a"].map(goldenEnsemble));
  const seen: string[] = [];
  const result = await stability([a!, b!, c!], { onTiles: (done, of) => seen.push(`${done}/${of}`) });
  assert.deepEqual(seen, ["0/3", "1/3", "1/3", "2/3", "2/3", "3/3"]);
  const sum = result.pairs.reduce((total, pair) => total + pair.aToB + pair.bToA, 0);
  assert.equal(result.pairs.length, 3);
  near(result.stability.value, sum / 6, "mean of six");
  near((await stability([a!, a!])).stability.value, 1, "the same twice");
  near((await stability([a!, a!])).stability_hungarian.value, 1, "the same twice, matched");
  const none = await stability([a!]);
  assert.equal(none.stability.value, null);
  assert.match((none.stability as { reason: string }).reason, /1 given, 2 or more needed/);
});

test("above its limit the Hungarian form is left out with a reason, the other stays", async () => {
  const [a, b] = [await goldenEnsemble("bagging_a"), await goldenEnsemble("bagging_b")];
  const result = await stability([a, b], { hungarianFeatures: 100 });
  assert.equal(result.stability_hungarian.value, null);
  assert.match((result.stability_hungarian as { reason: string }).reason, /192 pass the limit of 100/);
  assert.ok(result.stability.value !== null);
});

test("decoder norms don't matter, signs do", async () => {
  const ensemble = await goldenEnsemble("bagging_a");
  const changed = {
    ...ensemble,
    members: ensemble.members.map(({ config, weights }, j) => ({
      config,
      weights: { ...weights, W_dec: weights.W_dec.map((value, at) => value * (1 + j + (at >> 5))) },
    })),
  };
  near((await stability([ensemble, changed])).stability.value, 1, "scaled rows");
  assert.equal(await diversity(changed), await diversity(ensemble));
  const negated = {
    ...ensemble,
    members: ensemble.members.map(({ config, weights }) => ({
      config,
      weights: { ...weights, W_dec: weights.W_dec.map((value) => -value) },
    })),
  };
  assert.ok((await stability([ensemble, negated])).stability.value! < 0.9);
});

test("a decoder row of zeros is not diverse", async () => {
  const ensemble = await goldenEnsemble("bagging_a");
  const { d_in } = ensemble.members[0]!.config;
  const members = ensemble.members.map(({ config, weights }, j) => {
    const W_dec = new Float32Array(weights.W_dec.length);
    // Two directions in all, one of them twice.
    if (j < 2) W_dec[0] = 1;
    if (j === 1) W_dec[3 * d_in + 1] = 5;
    return { config, weights: { ...weights, W_dec } };
  });
  assert.equal(await diversity({ ...ensemble, members }), 1);
});

test("largest cosines over several tiles equal a plain search", async () => {
  const random = new SeededRandom(3);
  const d = 8;
  const rows = (n: number) => ({ n, d, values: new Float32Array(n * d).map(() => random.uniform() - 0.5) });
  const a = rows(2100);
  const b = rows(2500);
  const normalise = (set: typeof a) => {
    for (let i = 0; i < set.n; i++) {
      const row = set.values.subarray(i * d, (i + 1) * d);
      const norm = Math.hypot(...row);
      for (let j = 0; j < d; j++) row[j] = row[j]! / norm;
    }
  };
  normalise(a);
  normalise(b);
  const dot = (p: typeof a, i: number, q: typeof a, j: number) => {
    let sum = 0;
    for (let t = 0; t < d; t++) sum += p.values[i * d + t]! * q.values[j * d + t]!;
    return sum;
  };
  const seen: string[] = [];
  const onTiles = (done: number, of: number) => seen.push(`${done}/${of}`);
  const { ofA, ofB } = await largestCosines(a, b, { onTiles });
  const within = await largestCosinesWithin(a, { onTiles });
  assert.deepEqual(seen, ["0/4", "1/4", "2/4", "3/4", "4/4", "0/3", "1/3", "2/3", "3/3"]);
  // Rows at both sides of a tile's edge and at random.
  for (const i of [0, 1, 2047, 2048, 2049, 2099, random.integer(2100)]) {
    let best = -2;
    let bestWithin = -2;
    for (let j = 0; j < b.n; j++) best = Math.max(best, dot(a, i, b, j));
    for (let j = 0; j < a.n; j++) if (j !== i) bestWithin = Math.max(bestWithin, dot(a, i, a, j));
    assert.ok(Math.abs(ofA.cosine[i]! - best) < 1e-6);
    assert.ok(Math.abs(within.cosine[i]! - bestWithin) < 1e-6);
    assert.notEqual(within.index[i], i);
  }
  for (const j of [0, 2047, 2048, 2499]) {
    let best = -2;
    for (let i = 0; i < a.n; i++) best = Math.max(best, dot(a, i, b, j));
    assert.ok(Math.abs(ofB.cosine[j]! - best) < 1e-6);
  }
});

function bestByPermutations(scores: Float64Array, rows: number, columns: number): number {
  const used = new Set<number>();
  const from = (row: number): number => {
    if (row === rows) return 0;
    let best = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < columns; c++) {
      if (used.has(c)) continue;
      used.add(c);
      best = Math.max(best, scores[row * columns + c]! + from(row + 1));
      used.delete(c);
    }
    return best;
  };
  return from(0);
}

test("the assignment is the best of all permutations, square and rectangular, with ties and negatives", () => {
  const random = new SeededRandom(11);
  for (let round = 0; round < 60; round++) {
    const rows = 1 + random.integer(6);
    const columns = rows + random.integer(3);
    const coarse = round % 2 === 0;
    const scores = new Float64Array(rows * columns).map(() =>
      coarse ? random.integer(4) - 2 : random.uniform() * 2 - 1,
    );
    const columnOf = bestAssignment(scores, rows, columns);
    assert.equal(new Set(columnOf).size, rows, "one column each");
    let total = 0;
    columnOf.forEach((column, row) => {
      total += scores[row * columns + column]!;
    });
    assert.ok(Math.abs(total - bestByPermutations(scores, rows, columns)) < 1e-9, `round ${round}`);
  }
});
