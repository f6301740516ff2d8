// The part of the engines' contract that compares with the reference engine: twenty steps at odd shapes and under every switch, rows of zeros, nearly silent latents.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Engine, entries } from "../../../src/engine/engine.ts";
import { copyMemberState } from "../../../src/engine/memberState.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { assertRelative, assertWithin } from "./closeness.ts";
import { architectures, randomShapes, type Shape, setUp, stepInput } from "./randomCases.ts";

/** Declares these tests for an engine that `engine()` gives. */
export function againstReferenceContract(
  engine: () => Engine,
  referenceTolerance: { readonly loss: number; readonly parameter: number },
): void {
  const reference = createReferenceEngine();

  describe("20 steps at odd shapes equal the reference engine's", () => {
    for (const shape of randomShapes) {
      test(shape.what, async () => {
        await compareWithReference(engine(), reference, shape, referenceTolerance);
      });
    }
  });

  describe("hard rows", () => {
    for (const architecture of architectures) {
      test(`${architecture}: rows of zeros, and rows with fewer than k positive pre-activations, train like the reference`, async () => {
        const shape: Shape = {
          what: "",
          architecture,
          d: 12,
          F: 24,
          k: 9,
          rows: 16,
          members: 1,
          window: 1,
          bias: -0.6,
        };
        await compareWithReference(engine(), reference, shape, referenceTolerance, (x) => {
          x.fill(0, 0, 3 * shape.d);
          x.fill(0, 11 * shape.d, 12 * shape.d);
          return x;
        });
      });
    }

    test("a batch of zeros gives numbers, not NaN, in losses and parameters", async () => {
      for (const architecture of architectures) {
        const shape: Shape = { what: "", architecture, d: 12, F: 24, k: 4, rows: 16, members: 1, window: 1 };
        const { config, states } = setUp(shape);
        const trainer = await engine().createTrainer(config, states);
        for (let s = 0; s < 4; s++) {
          const [report] = await trainer.step(new Float32Array(16 * 12), 16, stepInput(s));
          assert.ok(Number.isFinite(report!.loss), `${architecture}: loss ${report!.loss}`);
        }
        const [state] = await trainer.state();
        for (const [parameterName, values] of entries(state!.weights)) {
          assert.ok(values.every(Number.isFinite), `${architecture}: ${parameterName}`);
        }
        await trainer.close();
      }
    });
  });
}

async function compareWithReference(
  engine: Engine,
  reference: Engine,
  shape: Shape,
  tolerance: { loss: number; parameter: number },
  change: (x: Float32Array) => Float32Array = (x) => x,
): Promise<void> {
  const { config, states, batch } = setUp(shape);
  const [ours, theirs] = [
    await engine.createTrainer(config, states.map(copyMemberState)),
    await reference.createTrainer(config, states.map(copyMemberState)),
  ];
  for (let s = 0; s < 20; s++) {
    const x = change(batch(s));
    const [got, wanted] = [
      await ours.step(x, shape.rows, stepInput(s)),
      await theirs.step(x.slice(), shape.rows, stepInput(s)),
    ];
    for (const [m, want] of wanted.entries()) {
      const at = `member ${m}, step ${s}`;
      const have = got[m]!;
      assertRelative(have.loss, want.loss, tolerance.loss, `${at}: loss`);
      assert.deepEqual(Object.keys(have.losses).sort(), Object.keys(want.losses).sort());
      for (const [loss, value] of Object.entries(want.losses)) {
        assertRelative(have.losses[loss]!, value, 10 * tolerance.loss, `${at}: ${loss}`);
      }
      assertRelative(have.l0, want.l0, 1e-6 + 1 / (shape.rows * Math.max(1, want.l0) * 2), `${at}: L0`);
      assertWithin(
        [have.explained_variance],
        [want.explained_variance],
        10 * tolerance.loss,
        `${at}: explained variance`,
      );
      if (config.max_grad_norm === null)
        assert.ok(Number.isNaN(have.grad_norm), `${at}: no clipping, no gradient norm`);
      else assertRelative(have.grad_norm, want.grad_norm, 10 * tolerance.loss, `${at}: gradient norm`);
      assert.equal(have.n_dead, want.n_dead, `${at}: dead latents`);
    }
  }
  const [got, wanted] = [await ours.state(), await theirs.state()];
  for (const [m, want] of wanted.entries()) {
    assert.equal(got[m]!.step, 20);
    assert.deepEqual(got[m]!.n_forward_passes_since_fired, want.n_forward_passes_since_fired, `member ${m}: counters`);
    assertRelative(got[m]!.topk_threshold, want.topk_threshold, tolerance.loss, `member ${m}: threshold`);
    for (const [name, values] of entries(want.weights)) {
      const start = states[m]!.weights[name]!;
      const moved = Math.max(1e-6, distance(values, start));
      const apart = distance(got[m]!.weights[name]!, values) / moved;
      assert.ok(
        apart <= tolerance.parameter,
        `member ${m}, ${name}: ${apart} of how far it moved, allowed ${tolerance.parameter}`,
      );
    }
  }
  await Promise.all([ours.close(), theirs.close()]);
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let squares = 0;
  for (let at = 0; at < b.length; at++) squares += (a[at]! - b[at]!) ** 2;
  return Math.sqrt(squares);
}
