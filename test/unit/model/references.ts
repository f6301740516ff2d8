// What the model tests compare with: reference tensors, and differences at real positions only.
import assert from "node:assert/strict";
import { readSafetensors, type Safetensors, tensorData, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { TokenBatch } from "../../../src/model/languageModel.ts";
import { golden } from "../fixtures.ts";

export function reference(model: string): Promise<Safetensors> {
  return readSafetensors(golden("models", model, "reference.safetensors"));
}

/** TransformerLens' attn.hook_z [1, 12, heads, width] and mlp.hook_post [1, 12, d_mlp] of one layer, over the batch's first row, which has no padding. */
export function innerReference(model: string): Promise<Safetensors> {
  return readSafetensors(golden("models", model, "transformerlens.safetensors"));
}

/** The reference's batch, [3, 12] with lengths 12, 9, 5. */
export async function referenceBatch(file: Safetensors): Promise<TokenBatch> {
  const [rows, length] = file.tensors.get("input_ids")!.shape as [number, number];
  const ids = Int32Array.from((await tensorData(file, "input_ids")) as BigInt64Array, Number);
  const mask = Array.from((await tensorData(file, "attention_mask")) as BigInt64Array, Number);
  const lengths = Int32Array.from({ length: rows }, (_, row) =>
    mask.slice(row * length, (row + 1) * length).reduce((sum, one) => sum + one, 0),
  );
  return { rows, length, ids, lengths };
}

export async function referenceIds(file: Safetensors, name: string): Promise<Int32Array> {
  return Int32Array.from(Array.from((await tensorData(file, name)) as BigInt64Array, Number));
}

/** Hooks of the model's width, which reference.safetensors has for every layer; the others are innerHooks.test.ts's. */
export function isInStream(hookName: string): boolean {
  return /\.hook_(resid_(pre|mid|post)|attn_out|mlp_out)$/.test(hookName);
}

/** One row without padding. */
export function oneRow(ids: ArrayLike<number>): TokenBatch {
  return { rows: 1, length: ids.length, ids: Int32Array.from(ids), lengths: Int32Array.of(ids.length) };
}

/** Largest absolute difference over real positions of [rows, T, width]; positions of padding must hold zeros in `values`. */
export function largestDifference(values: Float32Array, expected: Float32Array, batch: TokenBatch): number {
  const width = expected.length / (batch.rows * batch.length);
  assert.equal(values.length, expected.length);
  let largest = 0;
  for (let row = 0; row < batch.rows; row++) {
    for (let position = 0; position < batch.length; position++) {
      const at = (row * batch.length + position) * width;
      for (let i = at; i < at + width; i++) {
        if (position < batch.lengths[row]!) {
          // Not Math.max alone: it would pass NaN on only if asked last.
          const difference = Math.abs(values[i]! - expected[i]!);
          assert.ok(Number.isFinite(difference), `value ${values[i]} at ${i}`);
          largest = Math.max(largest, difference);
        } else assert.equal(values[i], 0, "padding holds zeros");
      }
    }
  }
  return largest;
}

export async function expectClose(
  values: Float32Array,
  file: Safetensors,
  name: string,
  batch: TokenBatch,
  tolerance: number,
): Promise<void> {
  const difference = largestDifference(values, await tensorFloat32(file, name), batch);
  assert.ok(difference <= tolerance, `${name}: largest difference ${difference}, tolerance ${tolerance}`);
}
