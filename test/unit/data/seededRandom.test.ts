// SeededRandom: fair, reproducible, and separable into independent streams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";

test("the same seed and labels give the same numbers, other ones give others", () => {
  const draw = (random: SeededRandom) => Array.from({ length: 8 }, () => random.uniform());
  assert.deepEqual(draw(new SeededRandom(42)), draw(SeededRandom.derive(42)));
  assert.deepEqual(draw(SeededRandom.derive(42, "member", 3)), draw(SeededRandom.derive(42, "member", 3)));
  const streams = [
    new SeededRandom(42),
    new SeededRandom(43),
    new SeededRandom(42 + 2 ** 32),
    new SeededRandom(-42),
    SeededRandom.derive(42, "member", 3),
    SeededRandom.derive(42, "member", 4),
    SeededRandom.derive(42, "member", "3"),
    SeededRandom.derive(42, "member3"),
    SeededRandom.derive(42, "shuffle", 3),
  ].map((random) => draw(random).join());
  assert.equal(new Set(streams).size, streams.length);
});

test("the bits of a stream stay what they are: a checkpoint of an older version goes on the same", () => {
  const random = SeededRandom.derive(42, "shuffle", 0);
  assert.deepEqual(random.state().state, [1582877787, 266662018, 1793968939, 925274981]);
  assert.deepEqual([...random.permutation(10)], [4, 1, 5, 8, 6, 9, 3, 0, 2, 7]);
});

test("a state goes through JSON and continues with the same numbers", () => {
  const random = new SeededRandom(7);
  for (let i = 0; i < 100; i++) random.normal();
  const copy = SeededRandom.fromState(JSON.parse(JSON.stringify(random.state())));
  for (let i = 0; i < 100; i++) {
    assert.equal(copy.uniform(), random.uniform());
    assert.equal(copy.integer(1000), random.integer(1000));
    assert.equal(copy.normal(), random.normal());
  }
});

test("what is not a state or not a seed is refused", () => {
  for (const state of [
    null,
    {},
    { generator: "mersenne", state: [1, 2, 3, 4] },
    { generator: "xoroshiro128plus", state: [0, 0, 0, 0] },
    { generator: "xoroshiro128plus", state: [1, 2, 3] },
    { generator: "xoroshiro128plus", state: [1, 2, 3, 2 ** 40] },
  ]) {
    assert.throws(() => SeededRandom.fromState(state as never), RangeError);
  }
  for (const seed of [0.5, Number.NaN, 2 ** 60]) assert.throws(() => new SeededRandom(seed), RangeError);
  for (const n of [0, -1, 1.5, Number.NaN]) assert.throws(() => new SeededRandom(1).integer(n), RangeError);
});

test("integer(n) is uniform: chi-squared over 7 values, and for an n that divides no power of two", () => {
  const random = new SeededRandom(1);
  const counts = new Float64Array(7);
  const draws = 70_000;
  for (let i = 0; i < draws; i++) counts[random.integer(7)]! += 1;
  const chiSquared = counts.reduce((sum, count) => sum + (count - draws / 7) ** 2 / (draws / 7), 0);
  assert.ok(chiSquared < 22.5, `chi-squared ${chiSquared} over 6 degrees of freedom`); // p = 0.001
  // With a modulo of 32 bits, n = 3·2^30 would give the lowest third twice as often.
  const n = 3 * 2 ** 30;
  let low = 0;
  for (let i = 0; i < 30_000; i++) if (random.integer(n) < n / 3) low++;
  assert.ok(Math.abs(low / 30_000 - 1 / 3) < 0.01, `${low} of 30,000 in the lowest third`);
});

test("normal() has mean 0, variance 1, and the normal's fourth moment", () => {
  const random = new SeededRandom(2);
  const n = 100_000;
  const moments = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const z = random.normal();
    for (let p = 0; p < 4; p++) moments[p]! += z ** (p + 1) / n;
  }
  const [m1, m2, m3, m4] = moments as [number, number, number, number];
  assert.ok(
    Math.abs(m1) < 0.015 && Math.abs(m2 - 1) < 0.02 && Math.abs(m3) < 0.05 && Math.abs(m4 - 3) < 0.15,
    moments.join(),
  );
});

test("uniformFloat32 is exact in float32 and stays below 1", () => {
  const random = new SeededRandom(3);
  for (let i = 0; i < 10_000; i++) {
    const u = random.uniformFloat32();
    assert.ok(u >= 0 && u < 1 && Math.fround(u) === u);
  }
});

test("permutation(n) holds every number once, and every order of three comes equally often", () => {
  assert.deepEqual(
    [...new SeededRandom(4).permutation(1000)].sort((a, b) => a - b),
    [...Array(1000).keys()],
  );
  assert.equal(new SeededRandom(4).permutation(0).length, 0);
  const random = new SeededRandom(5);
  const counts = new Map<string, number>();
  for (let i = 0; i < 12_000; i++) {
    const order = random.permutation(3).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const count of counts.values()) assert.ok(Math.abs(count - 2000) < 200, `${count} of about 2000`);
  assert.deepEqual(new SeededRandom(6).shuffle(["a", "b", "c", "d"]).toSorted(), ["a", "b", "c", "d"]);
});
