// CE and KL recovered against the golden GPT-2's numbers, by both conventions of which tokens count.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Encoder } from "../../../src/engine/engine.ts";
import { type ModelMetrics, modelMetrics } from "../../../src/evaluation/modelMetrics.ts";
import { crossEntropy, divergence, logSumExp } from "../../../src/evaluation/nextTokenLosses.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { TokenBatch } from "../../../src/model/languageModel.ts";
import { encoderFrom } from "../engine/encoderFrom.ts";
import { golden } from "../fixtures.ts";
import { alone, definitionEngine, goldenSae } from "./goldenEnsembles.ts";
import { plainGpt2 } from "./plainGpt2.ts";

const folder = ["probing", "ce_kl"];
// biome-ignore lint/suspicious/noExplicitAny: a file of numbers whose structure the tests themselves assert
const expected: any = JSON.parse(readFileSync(golden(...folder, "ce_kl.json"), "utf8"));
const LENGTH = 24;
const model = await plainGpt2(golden(...folder, "gpt2", "model.safetensors"));

function batchOf(rows: readonly number[][]): TokenBatch {
  return {
    rows: rows.length,
    length: LENGTH,
    ids: Int32Array.from(rows.flat()),
    lengths: Int32Array.from(rows, (row) => (row.includes(0) ? row.indexOf(0) : LENGTH)),
  };
}
const batch = batchOf(expected.ids);

async function encoderOf(layer: number): Promise<Encoder> {
  return definitionEngine.createEncoder(alone(await goldenSae(...folder, `sae_blocks${layer}`)));
}

function near(actual: number | null, wanted: number, what: string, tolerance = 1e-5): void {
  assert.ok(actual !== null && Math.abs(actual - wanted) <= tolerance, `${what}: ${actual}, expected ${wanted}`);
}

test("the in-test GPT-2 has the golden residuals and logits", async () => {
  const file = await readSafetensors(golden(...folder, "logits.safetensors"));
  for (const layer of [0, 1]) {
    const reference = await tensorFloat32(file, `l${layer}.resid`, [8, LENGTH, 32]);
    const captured = await model.capture(batch, `blocks.${layer}.hook_resid_post`);
    captured.forEach((value, i) => {
      const [row, t] = [Math.floor(i / (LENGTH * 32)), Math.floor(i / 32) % LENGTH];
      if (t < batch.lengths[row]!) near(value, reference[i]!, `resid ${i}`, 3e-5);
    });
  }
  const logits = await model.logits(batch);
  const row0 = await tensorFloat32(file, "l0.orig.logits_row0");
  for (let i = 0; i < batch.lengths[0]! * 300; i++) near(logits[i]!, row0[i]!, `logit ${i}`, 5e-5);
});

for (const layer of [0, 1]) {
  test(`layer ${layer}: counting by the input token equals the golden case`, async () => {
    const [result] = await modelMetrics(model, `blocks.${layer}.hook_resid_post`, [await encoderOf(layer)], [batch], {
      counted: "input",
    });
    const wanted = expected.layers[layer].own_float64.project_default;
    assert.equal(result!.ce_tokens, wanted.n_ce);
    assert.equal(result!.kl_tokens, wanted.n_kl);
    near(result!.ce_loss_without_sae.value, wanted.CE_orig, "CE_orig");
    near(result!.ce_loss_with_sae.value, wanted.CE_sae, "CE_sae");
    near(result!.ce_loss_with_ablation.value, wanted.CE_zero, "CE_zero");
    near(result!.kl_div_with_sae.value, wanted.KL_sae, "KL_sae");
    near(result!.kl_div_with_ablation.value, wanted.KL_zero, "KL_zero");
    near(result!.ce_loss_score.value, wanted.ce_loss_score, "CE score");
    near(result!.kl_div_score.value, wanted.kl_score, "KL score");
  });
}

test("by default only pairs of two real, non-special tokens count", async () => {
  const [result] = await modelMetrics(model, "blocks.0.hook_resid_post", [await encoderOf(0)], [batch]);
  let sum = 0;
  let count = 0;
  expected.ids.forEach((row: number[], r: number) => {
    for (let t = 0; t + 1 < LENGTH; t++) {
      if (row[t]! > 2 && row[t + 1]! > 2) {
        sum += expected.layers[0].mean_ce_per_token_orig[r][t];
        count++;
      }
    }
  });
  assert.equal(result!.ce_tokens, count);
  assert.equal(result!.kl_tokens, count);
  near(result!.ce_loss_without_sae.value, sum / count, "CE_orig over 118 pairs");
});

test("batches of any size, and several encoders at once, give the same values", async () => {
  const hook = "blocks.1.hook_resid_post";
  const encoders = [await encoderOf(1), await encoderOf(0)];
  const [whole, other] = await modelMetrics(model, hook, encoders, [batch]);
  const rows = expected.ids.map((row: number[]) => batchOf([row]));
  const [one] = await modelMetrics(model, hook, [encoders[0]!], rows);
  const [cut] = await modelMetrics(model, hook, [encoders[0]!], [batch], { logitsMemory: 3 * LENGTH * 300 * 4 });
  for (const key of Object.keys(whole!) as (keyof ModelMetrics)[]) {
    const value = whole![key];
    for (const again of [one!, cut!]) {
      if (typeof value === "object") near((again[key] as typeof value).value, value.value!, key, 1e-12);
      else assert.equal(again[key], value);
    }
  }
  assert.notEqual(other!.ce_loss_with_sae.value, whole!.ce_loss_with_sae.value);
  assert.equal(other!.ce_loss_with_ablation.value, whole!.ce_loss_with_ablation.value);
});

test("no more windows are taken than the tokens need, and progress says how many counted", async () => {
  const hook = "blocks.1.hook_resid_post";
  const encoders = [await encoderOf(1)];
  const rows = expected.ids.map((row: number[]) => batchOf([row]));
  const [first] = await modelMetrics(model, hook, encoders, [rows[0]!]);
  const [two] = await modelMetrics(model, hook, encoders, [rows[0]!, rows[1]!]);
  const seen: number[] = [];
  const onProgress = (tokens: number) => seen.push(tokens);
  // All rows are in one batch, which is cut behind the last window that is needed.
  const [exact] = await modelMetrics(model, hook, encoders, [batch, batch], { tokens: first!.kl_tokens, onProgress });
  const [more] = await modelMetrics(model, hook, encoders, rows, { tokens: first!.kl_tokens + 1, onProgress });
  assert.equal(exact!.kl_tokens, first!.kl_tokens);
  assert.equal(more!.kl_tokens, two!.kl_tokens);
  near(more!.ce_loss_with_sae.value, two!.ce_loss_with_sae.value!, "CE over two windows", 1e-12);
  assert.deepEqual(seen, [first!.kl_tokens, first!.kl_tokens, two!.kl_tokens]);
});

test("a perfect reconstruction recovers everything, zero nothing", async () => {
  const answer = (make: (x: Float32Array) => Float32Array): Encoder =>
    encoderFrom(async (x, rows) => ({
      codes: {
        rows,
        width: 1,
        offsets: new Uint32Array(rows + 1),
        indices: new Uint32Array(0),
        values: new Float32Array(0),
      },
      reconstruction: make(x),
    }));
  // Special positions keep their own activation, so zero there is not the zero condition: rows without special tokens.
  const plain = batchOf([[30, 53, 63, 144, 78, 62, 73, 257, 146, 174, 106, 231, ...new Array(12).fill(0)]]);
  const [perfect, zero] = await modelMetrics(
    model,
    "blocks.0.hook_resid_post",
    [answer((x) => x), answer((x) => new Float32Array(x.length))],
    [plain],
  );
  near(perfect!.ce_loss_score.value, 1, "CE score", 1e-12);
  near(perfect!.kl_div_score.value, 1, "KL score", 1e-12);
  near(zero!.ce_loss_score.value, 0, "CE score", 1e-12);
  near(zero!.kl_div_score.value, 0, "KL score", 1e-12);
});

test("no token that counts is a reason, not a number", async () => {
  const specials = batchOf([[1, 2, ...new Array(22).fill(0)]]);
  const [result] = await modelMetrics(model, "blocks.0.hook_resid_post", [await encoderOf(0)], [specials]);
  assert.equal(result!.ce_tokens, 0);
  assert.equal(result!.ce_loss_without_sae.value, null);
  assert.match((result!.ce_loss_score as { reason: string }).reason, /no token counts/);
});

test("losses of single rows: large logits don't overflow, equal rows don't diverge", () => {
  const logits = Float32Array.of(1000, 999, 0, 0, 1, 2);
  near(logSumExp(logits, 0, 2), 1000 + Math.log(1 + Math.exp(-1)), "logSumExp", 1e-12);
  near(crossEntropy(logits, 3, logSumExp(logits, 3, 3), 2), Math.log(Math.exp(-2) + Math.exp(-1) + 1), "CE", 1e-12);
  const row = { logits, at: 3, logNormaliser: logSumExp(logits, 3, 3) };
  near(divergence(row, row, 3), 0, "KL of itself", 1e-15);
  const uniform = { logits: new Float32Array(3), at: 0, logNormaliser: Math.log(3) };
  const p = [0, 1, 2].map((v) => Math.exp(v - row.logNormaliser));
  const direct = p.reduce((sum, v) => sum + v * Math.log(v * 3), 0);
  near(divergence(row, uniform, 3), direct, "KL to uniform", 1e-12);
});
