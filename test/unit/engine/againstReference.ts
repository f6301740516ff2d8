// The part of the engines' contract that compares with the reference engine: twenty steps at odd shapes and under every switch, rows of zeros, nearly silent latents.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Engine, entries, type MemberState } from "../../../src/engine/engine.ts";
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

  describe("latents that fall silent for hundreds of steps and come back equal the reference engine's", () => {
    for (const architecture of ["standard", "topk"] as const) {
      for (const adam_beta1 of [0, 0.9]) {
        for (const max_grad_norm of [null, 1]) {
          test(`${architecture}, beta1 ${adam_beta1}, ${max_grad_norm === null ? "no clipping" : "clipping"}`, async () => {
            await compareAfterSilence(engine(), reference, { architecture, adam_beta1, max_grad_norm });
          });
        }
      }
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

    // More active latents than a list of candidates holds, so a selection can't begin with all of them.
    const uneven: readonly (readonly [string, (scale: number, t: number, s: number) => number])[] = [
      ["two rows of the first batch 4000 times as large", (scale, t, s) => (s === 0 && t < 2 ? 4000 : 1) * scale],
      ["the last row of every batch 4000 times as large", (scale, t) => (t === 63 ? 4000 : 1) * scale],
      ["a scale that falls to a hundredth", (scale, _, s) => (s < 2 ? 100 : 1) * scale],
      ["a scale that rises a hundredfold", (scale, _, s) => (s < 2 ? 1 : 100) * scale],
    ];
    for (const architecture of ["topk", "batchtopk", "matryoshka_batchtopk"] as const) {
      for (const [what, scale] of uneven) {
        test(`${architecture}: ${what}: the same latents are kept as by the reference`, async () => {
          const shape: Shape = {
            what: "",
            architecture,
            d: 16,
            F: 256,
            k: 8,
            rows: 64,
            members: 1,
            window: 2,
            steps: 5,
          };
          let s = 0;
          await compareWithReference(engine(), reference, shape, referenceTolerance, (x) => {
            const scaled = x.map((value, at) => scale(value, Math.floor(at / shape.d), s));
            s++;
            return scaled;
          });
        });
      }
    }

    test("batchtopk: a batch of equal keys, more than a list of candidates holds, keeps the first", async () => {
      const shape: Shape = {
        what: "",
        architecture: "batchtopk",
        d: 8,
        F: 200,
        k: 6,
        rows: 40,
        members: 1,
        window: 2,
        steps: 3,
      };
      const sameRows = (x: Float32Array) => x.map((_, at) => (at < 39 * shape.d ? 1 : 0.3) * x[at % shape.d]!);
      await compareWithReference(engine(), reference, shape, referenceTolerance, sameRows, ({ weights }) => {
        for (const [name, values] of entries(weights)) {
          if (name === "b_dec") continue;
          for (let at = 0; at < values.length; at++) values[at] = values[at % (values.length / shape.F)]!;
        }
        // Positive keys for every batch; and short decoder rows, as one row of the batch gets all that is kept.
        weights.b_enc!.fill(20);
        for (let at = 0; at < weights.W_dec.length; at++) weights.W_dec[at]! *= 0.001;
      });
    });

    // Four copies of every latent and seven of a row: the cut falls among equal values, of one row and of several.
    for (const [architecture, k] of [
      ["topk", 6],
      ["batchtopk", 2.75],
      ["batchtopk", 2.5],
      ["matryoshka_batchtopk", 2.75],
    ] as const) {
      test(`${architecture}, k ${k}: of equal values the first rows' and the lowest latents' are kept`, async () => {
        const shape: Shape = { what: "", architecture, d: 12, F: 24, k, rows: 8, members: 1, window: 2, steps: 3 };
        const sameRows = (x: Float32Array) => x.map((_, at) => (at < 7 * shape.d ? 1 : 0.3) * x[at % shape.d]!);
        await compareWithReference(engine(), reference, shape, referenceTolerance, sameRows, ({ weights }) => {
          for (const [name, values] of entries(weights)) {
            if (name !== "b_dec")
              for (let at = 0; at < values.length; at++) values[at] = values[at % (values.length / 4)]!;
          }
        });
      });
    }

    test("jumprelu: a stored threshold below zero acts as zero and is trained from there", async () => {
      const shape: Shape = { what: "", architecture: "jumprelu", d: 12, F: 24, k: 4, rows: 16, members: 1, window: 1 };
      const { config, states, batch } = setUp(shape);
      const [start] = states;
      start!.weights.threshold!.fill(0, 0, 12);
      const below = copyMemberState(start!);
      below.weights.threshold!.fill(-0.4, 0, 12);
      const zero = await engine().createTrainer(config, [start!]);
      const negative = await engine().createTrainer(config, [below]);
      for (let s = 0; s < 3; s++) {
        const expected = await zero.step(batch(s), shape.rows, stepInput(s));
        assert.deepEqual(await negative.step(batch(s), shape.rows, stepInput(s)), expected);
      }
      assert.deepEqual(await negative.state(), await zero.state());
      await Promise.all([zero.close(), negative.close()]);
    });

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

/** Twenty steps on both (or as many as the shape says): losses, counters and parameters. */
export async function compareWithReference(
  engine: Engine,
  reference: Engine,
  shape: Shape,
  tolerance: { loss: number; parameter: number },
  change: (x: Float32Array) => Float32Array = (x) => x,
  changeState: (state: MemberState) => void = () => {},
): Promise<void> {
  const { config, states, batch } = setUp(shape);
  for (const state of states) changeState(state);
  const [ours, theirs] = [
    await engine.createTrainer(config, states.map(copyMemberState)),
    await reference.createTrainer(config, states.map(copyMemberState)),
  ];
  const steps = shape.steps ?? 20;
  for (let s = 0; s < steps; s++) {
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
    assert.equal(got[m]!.step, steps);
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

/**
 * Half of the latents see only the first half of the dimensions, which are zero but in the first and last few of 250 steps.
 * In between an optimiser that skips silent rows has to get right what dense Adam does there: momentum runs out, moments decay.
 */
async function compareAfterSilence(
  engine: Engine,
  reference: Engine,
  settings: { architecture: "standard" | "topk"; adam_beta1: number; max_grad_norm: number | null },
): Promise<void> {
  const { architecture, ...config } = settings;
  const shape: Shape = {
    what: "silence",
    architecture,
    d: 8,
    F: 20,
    k: 2,
    rows: 12,
    members: 1,
    window: 1000,
    bias: -0.3,
    config,
    sae: { apply_b_dec_to_input: false },
  };
  const { config: trainerConfig, states, batch } = setUp(shape);
  for (let i = 0; i < 10; i++) states[0]!.weights.W_enc.fill(0, i * 8 + 4, i * 8 + 8);
  const ours = await engine.createTrainer(trainerConfig, states.map(copyMemberState));
  const theirs = await reference.createTrainer(trainerConfig, states.map(copyMemberState));
  for (let s = 0; s < 250; s++) {
    const silent = s >= 4 && s < 246;
    // A few batches again and again: differences of rounding don't grow there.
    const x = batch(s % 5).map((value, at) => (silent === at % 8 < 4 ? 0 : value));
    const input = { lr: 1e-4, sparsity_coefficient: 0.05 };
    const [[got], [wanted]] = [await ours.step(x, 12, input), await theirs.step(x.slice(), 12, input)];
    assertRelative(got!.loss, wanted!.loss, 1e-3, `loss of step ${s}`);
  }
  const [[got], [wanted]] = [await ours.state(), await theirs.state()];
  assert.ok(
    [...wanted!.n_forward_passes_since_fired].slice(0, 10).some((since) => since === 0),
    "some did come back",
  );
  for (const [name, values] of entries(wanted!.weights)) {
    const apart = distance(got!.weights[name]!, values) / distance(values, states[0]!.weights[name]!);
    assert.ok(apart <= 5e-3, `${name}: ${apart} of how far it moved`);
  }
  await Promise.all([ours.close(), theirs.close()]);
}
