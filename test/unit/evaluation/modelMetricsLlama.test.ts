// CE and KL through the product's own language model, against PyTorch in float64 on the same tiny Llama.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { modelMetrics } from "../../../src/evaluation/modelMetrics.ts";
import { readSafetensors, tensorData } from "../../../src/formats/safetensors.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { encoderFrom } from "../engine/encoderFrom.ts";
import { golden } from "../fixtures.ts";

/**
 * From transformers 5.23 with the same weights in float64: layer 1's output set to 0.8·x + 0.05 at real, non-special
 * positions, or to zero everywhere; means over the 21 pairs of real, non-special tokens.
 */
const PYTORCH = {
  ce_loss_without_sae: 9.839969203041917,
  ce_loss_with_sae: 9.797123763466159,
  ce_loss_with_ablation: 6.06610809010375,
  kl_div_with_sae: 0.06282716793094321,
  kl_div_with_ablation: 2.729331616902994,
} as const;

const model = await openLanguageModel(golden("models", "llama"), { threads: 1 });
after(() => model.close());

/** Stands in for an SAE: what it answers is known without one. */
const shrinking = encoderFrom(async (x, rows) => ({
  codes: {
    rows,
    width: 1,
    offsets: new Uint32Array(rows + 1),
    indices: new Uint32Array(),
    values: new Float32Array(),
  },
  reconstruction: x.map((value) => 0.8 * value + 0.05),
}));

test("losses equal PyTorch's; a score that has nothing to recover is left out with its reason", async () => {
  const file = await readSafetensors(golden("models", "llama", "reference.safetensors"));
  const ids = Int32Array.from((await tensorData(file, "input_ids")) as BigInt64Array, Number);
  const batch = { rows: 3, length: 12, ids, lengths: Int32Array.of(12, 9, 5) };
  const [result] = await modelMetrics(model, "blocks.1.hook_resid_post", [shrinking], [batch]);
  assert.equal(result!.ce_tokens, 21);
  for (const [key, expected] of Object.entries(PYTORCH) as [keyof typeof PYTORCH, number][]) {
    const { value } = result![key];
    assert.ok(value !== null && Math.abs(value - expected) < 1e-5, `${key}: ${value}, expected ${expected}`);
  }
  // An untrained model is better off without this layer.
  assert.equal(result!.ce_loss_score.value, null);
  assert.match((result!.ce_loss_score as { reason: string }).reason, /no loss to recover/);
  const kl = (PYTORCH.kl_div_with_ablation - PYTORCH.kl_div_with_sae) / PYTORCH.kl_div_with_ablation;
  assert.ok(Math.abs(result!.kl_div_score.value! - kl) < 1e-6);
});
