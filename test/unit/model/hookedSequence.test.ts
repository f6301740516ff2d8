// The contract of a model's halves (readTo, goOnFrom), over the one that keeps keys and values and the one that recomputes: piece by piece gives what whole batches and transformers give.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { restartAt, SEQUENCE_STEP } from "../../../src/model/hookedSequence.ts";
import { hookWidth } from "../../../src/model/hookPoints.ts";
import type { LanguageModel } from "../../../src/model/languageModel.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { RecomputedContinuation, RecomputedReader } from "../../../src/model/recomputedHalves.ts";
import { golden } from "../fixtures.ts";
import { isInStream, oneRow, reference, referenceBatch } from "./references.ts";

const kinds: Record<string, (model: LanguageModel) => Pick<LanguageModel, "readTo" | "goOnFrom">> = {
  "keys and values kept": (model) => model,
  recomputed: (model) => ({
    readTo: (hookName) => new RecomputedReader(model, hookName),
    goOnFrom: (hookName) => new RecomputedContinuation(model, hookName),
  }),
};

/** Tolerances of the references: five times the worst float32 error against float64. */
const models = {
  llama: 5.7e-5,
  llama3_rope: 7.5e-5,
  mistral: 7.8e-5,
  gpt2: 4.4e-5,
  gpt_neox: 4.5e-5,
  qwen2: 5.1e-5,
  gemma2: 2.5e-5,
};

for (const [name, tolerance] of Object.entries(models)) {
  describe(name, async () => {
    const model = await openLanguageModel(golden("models", name), { threads: 1 });
    after(() => model.close());
    const file = await reference(name);
    const batch = await referenceBatch(file);
    const d = model.info.dModel;
    const V = model.info.dVocab;
    const ids = batch.ids.slice(0, batch.length);
    const targets = Int32Array.from(ids, (_, t) => ids[t + 1] ?? -1);
    const close = (values: Float32Array, expected: Float32Array, what: string) => {
      assert.equal(values.length, expected.length, what);
      for (const [i, value] of values.entries())
        assert.ok(Math.abs(value - expected[i]!) <= tolerance, `${what}: ${value} for ${expected[i]} at ${i}`);
    };

    for (const [kind, halvesOf] of Object.entries(kinds)) {
      const halves = halvesOf(model);

      test(`${kind}: values at every hook and logits from it, in pieces of 5, 1, 4 and 2`, async () => {
        const logits = await tensorFloat32(file, "logits");
        for (const hook of model.hookNames) {
          const expected = isInStream(hook) ? await tensorFloat32(file, hook) : await model.capture(oneRow(ids), hook);
          const d = hookWidth(model.info, hook);
          const reader = halves.readTo(hook);
          const continuation = halves.goOnFrom(hook);
          for (const [from, to] of [
            [0, 5],
            [5, 6],
            [6, 10],
            [10, 12],
          ] as const) {
            const values = await reader.append(ids.slice(from, to));
            close(values, expected.slice(from * d, to * d), hook);
            const continued = await continuation.append(ids.slice(from, to), values, { logits: true });
            close(continued.logits, logits.slice((to - 1) * V, to * V), `logits from ${hook}`);
            assert.equal(continued.logprobs.length, 0);
          }
          assert.equal(reader.length, 12);
          assert.equal(continuation.length, 12);
        }
      });

      test(`${kind}: an intervention at the hook is Python's`, async () => {
        const hook = "blocks.1.hook_resid_post";
        const delta = await tensorFloat32(file, "delta");
        const expected = await tensorFloat32(file, "logits.add_delta");
        const values = await halves.readTo(hook).append(ids);
        const changed = values.map((value, at) => value + delta[at]!);
        const continuation = halves.goOnFrom(hook);
        for (let t = 0; t < ids.length; t++) {
          const { logits } = await continuation.append(ids.slice(t, t + 1), changed.slice(t * d, (t + 1) * d), {
            logits: true,
          });
          close(logits, expected.slice(t * V, (t + 1) * V), `position ${t}`);
        }
        const mlpOut = await tensorFloat32(file, "logits.zero_mlp_out");
        const zero = await halves
          .goOnFrom("blocks.1.hook_mlp_out")
          .append(ids, new Float32Array(ids.length * d), { logits: true });
        close(zero.logits, mlpOut.slice(-V), "mlp_out set to zero");
      });

      test(`${kind}: log-probabilities and ranks of what follows`, async () => {
        const hook = "blocks.0.hook_resid_post";
        const values = await halves.readTo(hook).append(ids);
        const { logprobs, ranks } = await halves.goOnFrom(hook).append(ids, values, { targets, logits: false });
        const logits = await model.logits(oneRow(ids));
        for (const [t, target] of targets.entries()) {
          if (target < 0) {
            assert.ok(Number.isNaN(logprobs[t]) && Number.isNaN(ranks[t]));
            continue;
          }
          const row = logits.subarray(t * V, (t + 1) * V);
          const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
          assert.ok(Math.abs(logprobs[t]! - (row[target]! - Math.log(sum))) < 1e-4);
          assert.equal(ranks[t], row.filter((logit) => logit > row[target]!).length);
        }
      });

      test(`${kind}: back to a step and on again gives the same bits; forks go their own ways`, async () => {
        const hook = "blocks.0.hook_resid_post";
        const reader = halves.readTo(hook);
        const continuation = halves.goOnFrom(hook);
        const values = await reader.append(ids);
        const { logits } = await continuation.append(ids, values, { logits: true });
        const other = reader.fork();
        await other.append(ids.slice(0, 1));
        const changed = continuation.fork();
        await changed.append(ids.slice(0, 1), new Float32Array(d), { logits: true });
        assert.deepEqual([reader.length, other.length, continuation.length, changed.length], [12, 13, 12, 13]);
        reader.truncate(0);
        continuation.truncate(0);
        assert.deepEqual(await reader.append(ids), values);
        assert.deepEqual((await continuation.append(ids, values, { logits: true })).logits, logits);
        assert.throws(() => reader.truncate(13), RangeError);
      });

      test(`${kind}: what can't be read changes nothing`, async () => {
        const reader = halves.readTo("blocks.0.hook_resid_post");
        const values = await reader.append(ids);
        await assert.rejects(reader.append(Int32Array.of(V)), RangeError);
        await assert.rejects(reader.append(ids, AbortSignal.abort()), { name: "AbortError" });
        await assert.rejects(reader.append(new Int32Array(model.info.contextSize)), RangeError);
        assert.equal(reader.length, ids.length);
        reader.truncate(0);
        assert.deepEqual(await reader.append(ids), values);
        const continuation = halves.goOnFrom("blocks.0.hook_resid_post");
        await assert.rejects(continuation.append(ids, values.slice(1), { logits: false }), RangeError);
        await assert.rejects(continuation.append(ids, values, { logits: false, targets: ids.slice(1) }), RangeError);
        assert.equal(continuation.length, 0);
      });
    }
  });
}

test("a row longer than one step has the bits of its pieces, whichever way it came to be", async () => {
  const model = await openLanguageModel(golden("models", "llama3_rope"), { threads: 1 });
  const hook = "blocks.0.hook_resid_post";
  const ids = Int32Array.from({ length: SEQUENCE_STEP * 2 + 9 }, (_, t) => (t * 37) % model.info.dVocab);
  const whole = await model.readTo(hook).append(ids);
  const grown = model.readTo(hook);
  await grown.append(ids.slice(0, SEQUENCE_STEP + 7));
  grown.truncate(SEQUENCE_STEP);
  const rest = await grown.append(ids.slice(SEQUENCE_STEP));
  assert.deepEqual(rest, whole.slice(SEQUENCE_STEP * model.info.dModel));
  await model.close();
});

test("gone on with from any token, a row has the numbers of one that was read at once", async () => {
  const model = await openLanguageModel(golden("models", "llama3_rope"), { threads: 1 });
  const hook = "blocks.0.hook_resid_post";
  const { dModel: d, dVocab } = model.info;
  const n = SEQUENCE_STEP + 30;
  const ids = Int32Array.from({ length: n }, (_, t) => (t * 37) % dVocab);
  const targets = ids.map((_, t) => ids[t + 1] ?? -1);
  const whole = await model.readTo(hook).append(ids);
  const wanted = await model.goOnFrom(hook).append(ids, whole, { targets, logits: true });
  for (const at of [1, 40, SEQUENCE_STEP - 1, SEQUENCE_STEP, SEQUENCE_STEP + 1, n - 2, n - 1]) {
    // Before, the row went on with other tokens.
    const other = ids.map((id, t) => (t < at ? id : (id + 1) % dVocab)).slice(0, at + 3);
    const [reader, continuation] = [model.readTo(hook), model.goOnFrom(hook)];
    await continuation.append(other, await reader.append(other), { logits: false });
    const from = restartAt(at, n);
    reader.truncate(from);
    continuation.truncate(from);
    const values = await reader.append(ids.slice(from));
    const options = { targets: targets.slice(from), logits: true };
    const { logits, logprobs, ranks } = await continuation.append(ids.slice(from), values, options);
    const near = (got: Float32Array, expected: Float32Array) => {
      assert.equal(got.length, expected.length);
      for (const [i, value] of got.entries())
        assert.ok(Object.is(value, expected[i]) || Math.abs(value - expected[i]!) < 1e-5, `${at}: ${value}`);
    };
    near(values, whole.subarray(from * d));
    near(logits, wanted.logits);
    near(logprobs, wanted.logprobs.subarray(from));
    near(ranks, wanted.ranks.subarray(from));
  }
  await model.close();
});

test("a piece is gone on with by two tokens or more, unless it has no more than one", () => {
  assert.equal(restartAt(10, 30), 10);
  assert.equal(restartAt(29, 30), 28);
  assert.equal(restartAt(SEQUENCE_STEP - 1, SEQUENCE_STEP + 9), SEQUENCE_STEP - 2);
  assert.equal(restartAt(SEQUENCE_STEP, SEQUENCE_STEP + 1), SEQUENCE_STEP);
  assert.equal(restartAt(SEQUENCE_STEP + 1, SEQUENCE_STEP + 2), SEQUENCE_STEP);
  assert.equal(restartAt(0, 1), 0);
});
