// Members that normalise each token, alone and among others: ablating their pooled codes equals ablating at every token, by the definition of decode.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { createCpuEngine } from "../../../src/engine/cpu/cpuEngine.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { ablatedRows } from "../../../src/probing/ablation.ts";
import { inActivationUnits } from "../../../src/probing/activationUnits.ts";
import { codeColumns } from "../../../src/probing/codeColumns.ts";
import { codesOfZero, TextPooler } from "../../../src/probing/pool.ts";
import { combinedRows } from "../../../src/sae/combine.ts";
import { type Ensemble, ensembleWidth, memberOffsets } from "../../../src/sae/ensemble.ts";
import type { NormalizeActivations, SaeConfig } from "../../../src/sae/sae.ts";
import { encoderFrom } from "../engine/encoderFrom.ts";
import { ensembleOf, randomSae } from "../engine/randomCases.ts";
import { distance } from "./goldenProbing.ts";
import { shareOfFeatures } from "./tokenByToken.ts";

const d = 10;
const LENGTHS = [3, 1, 7, 12, 5];
const ROWS = LENGTHS.reduce((sum, n) => sum + n, 0);

function ensemble(method: Ensemble["method"], hows: readonly NormalizeActivations[]): Ensemble {
  const kinds: Partial<SaeConfig>[] = [
    { architecture: "topk", k: 4, rescale_acts_by_decoder_norm: true },
    { architecture: "standard" },
    { architecture: "jumprelu" },
  ];
  const members = hows.map((normalize_activations, j) =>
    randomSae({ ...kinds[j % kinds.length]!, d_in: d, d_sae: 30 + 7 * j, normalize_activations }, j),
  );
  return ensembleOf(method, members);
}

/** Tokens of unlike sizes and means, one of them the same number in every place. */
function tokens(): Float32Array {
  const random = SeededRandom.derive(4, "tokens");
  const x = new Float32Array(ROWS * d);
  for (let t = 0; t < ROWS; t++) {
    const [size, mean] = [0.2 + 2 * random.uniform(), random.normal()];
    for (let j = 0; j < d; j++) x[t * d + j] = t === 6 ? 0.5 : size * random.normal() + mean;
  }
  return x;
}

const cases: readonly [Ensemble["method"], readonly NormalizeActivations[]][] = [
  ["single", ["layer_norm"]],
  ["bagging", ["layer_norm", "none", "constant_norm_rescale"]],
  ["bagging", ["none", "constant_norm_rescale", "layer_norm", "layer_norm"]],
  ["boosting", ["layer_norm", "constant_norm_rescale", "none"]],
  ["boosting", ["none", "layer_norm", "layer_norm"]],
];

for (const [method, hows] of cases) {
  test(`${method} of ${hows.join(", ")}: ablating pooled codes equals ablating at every token`, async () => {
    const one = ensemble(method, hows);
    const x = tokens();
    const width = ensembleWidth(one);
    const features = Array.from({ length: width }, (_, i) => i).filter((i) => i % 3 !== 1);
    const share = shareOfFeatures(new Set(features), one, x);
    const expected = new Float64Array(LENGTHS.length * d);
    for (let text = 0, t = 0; text < LENGTHS.length; text++) {
      for (let n = 0; n < LENGTHS[text]!; n++, t++)
        for (let j = 0; j < d; j++) expected[text * d + j]! += (x[t * d + j]! - share[t * d + j]!) / LENGTHS[text]!;
    }
    const rows = Uint32Array.from(LENGTHS.keys());
    const cpu = await createCpuEngine({ threads: 1 });
    try {
      for (const engine of [createReferenceEngine(), cpu]) {
        const encoder = inActivationUnits(one, await engine.createEncoder(one));
        const pooler = new TextPooler(encoder, d, width);
        await pooler.add(x, LENGTHS);
        const { activations, codes } = pooler.result();
        for (let t = 0; t < codes.rows; t++) {
          const own = codes.indices.subarray(codes.offsets[t]!, codes.offsets[t + 1]!);
          assert.deepEqual(own, Uint32Array.from(new Set(own)).sort(), "each feature once, in order");
        }
        const pooled = ablatedRows(activations, rows, codeColumns(codes, rows), combinedRows(one), features);
        const apart = distance(pooled.values, expected);
        assert.ok(apart < (engine === cpu ? 1e-5 : 1e-6), `${engine.name}: ${apart}`);
        await encoder.close();
      }
    } finally {
      await cpu.close();
    }
  });
}

test("a vector of zeros has no codes in a member that normalises it: nothing of it reaches the activation", async () => {
  const one = ensemble("bagging", ["layer_norm", "none", "constant_norm_rescale"]);
  const encoder = inActivationUnits(one, await createReferenceEngine().createEncoder(one));
  const zero = await codesOfZero(encoder, d, ensembleWidth(one));
  const [, second, third] = memberOffsets(one);
  assert.ok(zero.every((code, i) => code === 0 || (i >= second! && i < third!)));
  assert.ok(zero.some((code) => code > 0));
});

test("where nobody normalises each token the encoder is the same one", () => {
  const one = ensemble("bagging", ["none", "expected_average_only_in"]);
  const encoder = encoderFrom(
    () => assert.fail(),
    () => assert.fail(),
  );
  assert.equal(inActivationUnits(one, encoder), encoder);
});
