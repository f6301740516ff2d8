// The sampler against sorting everything: strongest windows, least hashes, and their activations, through many compactions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { SequenceSampler } from "../../../src/features/sequenceSampler.ts";

const features = 5;
const random = SeededRandom.derive(2, "windows");
/** Activations by window and feature; whole numbers, so that maxima tie often. The list is long enough to overflow the first log many times. */
const offers = Array.from({ length: 3000 }, (_, window) =>
  Array.from({ length: features }, () =>
    Array.from({ length: random.integer(60) }, (_, place) => ({
      place: 2 * place + (window % 2),
      value: 1 + random.integer(9),
    })),
  ),
);

function sampled(top: number, sample: number, seed: number): SequenceSampler {
  const sampler = new SequenceSampler(features, { top, sample, seed });
  offers.forEach((byFeature, window) => {
    byFeature.forEach((list, feature) => {
      if (list.length === 0) return;
      const maximum = Math.max(...list.map(({ value }) => value));
      sampler.offer(feature, {
        window,
        maximum,
        peak: list.find(({ value }) => value === maximum)!.place,
        positions: Uint32Array.from(list, (_, p) => p),
        values: Float32Array.from(list, ({ value }) => value),
        from: 0,
        to: list.length,
        places: Uint32Array.from(list, ({ place }) => place + 100),
        origin: 100,
      });
    });
  });
  return sampler;
}

test("top and sample are those of a full sort, activations included", () => {
  const sampler = sampled(7, 11, 3);
  for (let feature = 0; feature < features; feature++) {
    const all = offers
      .map((byFeature, window) => ({ window, list: byFeature[feature]! }))
      .filter(({ list }) => list.length > 0)
      .map(({ window, list }) => ({
        window,
        list,
        maximum: Math.max(...list.map(({ value }) => value)),
        hash: sampler.hash(feature, window),
      }));
    const top = all.toSorted((a, b) => b.maximum - a.maximum || a.window - b.window).slice(0, 7);
    const sample = all.toSorted((a, b) => a.hash - b.hash || a.window - b.window).slice(0, 11);
    for (const [found, expected] of [
      [sampler.topOf(feature), top],
      [sampler.sampleOf(feature), sample],
    ] as const) {
      assert.deepEqual(
        found.map((chosen) => {
          const { places, values } = sampler.activations(chosen);
          const { window, maximum, peak } = chosen;
          return { window, maximum, peak, places: [...places], values: [...values] };
        }),
        expected.map(({ window, maximum, list }) => ({
          window,
          maximum,
          peak: list.find(({ value }) => value === maximum)!.place,
          places: list.map(({ place }) => place),
          values: list.map(({ value }) => value),
        })),
      );
    }
  }
});

test("the sample is spread evenly over the text, differs by feature and by seed, and not by run", () => {
  const windows = (sampler: SequenceSampler, feature: number) => sampler.sampleOf(feature).map(({ window }) => window);
  const one = sampled(1, 300, 3);
  assert.deepEqual(windows(one, 0), windows(sampled(1, 300, 3), 0));
  assert.notDeepEqual(windows(one, 0), windows(sampled(1, 300, 4), 0));
  const both = windows(one, 0).filter((window) => windows(one, 1).includes(window));
  assert.ok(both.length < 60, `${both.length} of 300 in common, 30 expected`);
  for (let feature = 0; feature < features; feature++) {
    const firstHalf = windows(one, feature).filter((window) => window < 1500).length;
    // Binomial with 300 draws: five standard deviations are 43.
    assert.ok(Math.abs(firstHalf - 150) < 43, `${firstHalf} of 300 in the first half`);
  }
});
