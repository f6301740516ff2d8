// Rotary scaling against what transformers 5.23 computes (ROPE_INIT_FUNCTIONS), for heads of 16 and a context of 64.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ropeOf } from "../../../src/model/modelConfig.ts";
import { rotaryFrequencies, rotaryTables } from "../../../src/model/rotary.ts";

const unscaled = [1, 0.3162278, 0.1, 0.03162278, 0.01, 0.003162278, 0.001, 0.0003162278];
const long = [1, 0.1976424, 0.025, 0.007905695, 0.0025, 0.0007905695, 0.00025, 7.905695e-5];

test("a share that was divided out of a count gives that count", () => {
  for (const head of [88, 104, 176, 224])
    for (let count = 2; count <= head; count += 2) {
      const config = { partial_rotary_factor: count / head, max_position_embeddings: 64 };
      assert.equal(ropeOf(config, { path: "config.json" }, head).width, count, `${count} of ${head}`);
    }
});

/** Fields of rope_scaling, the frequencies, and the length of a rotated vector of length 1. */
const cases: [string, object, number[], number][] = [
  ["YaRN", { type: "yarn", factor: 4, original_max_position_embeddings: 32 }, long, 1.138629436111989],
  [
    "YaRN with a length of its own",
    { type: "yarn", factor: 4, original_max_position_embeddings: 32, attention_factor: 1.25 },
    long,
    1.25,
  ],
  [
    "YaRN with DeepSeek's fields and a ramp that isn't rounded",
    {
      rope_type: "yarn",
      factor: 3,
      original_max_position_embeddings: 16,
      beta_fast: 8,
      beta_slow: 2,
      truncate: false,
      mscale: 0.7,
      mscale_all_dim: 1.1,
    },
    [1, 0.1054092, 0.03333334, 0.01054092, 0.003333333, 0.001054093, 0.0003333333, 0.0001054093],
    0.9607935090554693,
  ],
  ["dynamic, within the context", { type: "dynamic", factor: 2 }, unscaled, 1],
  ["none", { type: "default" }, unscaled, 1],
];

for (const [what, rope_scaling, frequencies, length] of cases)
  test(what, () => {
    const rotary = ropeOf(
      { rope_theta: 10_000, max_position_embeddings: 64, rope_scaling },
      { path: "config.json" },
      16,
    );
    for (const [i, frequency] of rotaryFrequencies(rotary).entries())
      assert.ok(Math.abs(frequency / frequencies[i]! - 1) < 1e-6, `pair ${i}: ${frequency}`);
    const { cos, sin } = rotaryTables(rotary, 3);
    for (const [i, x] of cos.entries()) assert.ok(Math.abs(Math.hypot(x, sin[i]!) - length) < 1e-6);
  });
