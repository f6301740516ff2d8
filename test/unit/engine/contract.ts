// What every engine must do, as one suite: golden steps, the same numbers as the reference engine, state, ensembles, encoding. Called by each engine's own test file.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Engine, entries, type MemberState, type StepReport } from "../../../src/engine/engine.ts";
import { copyMemberState } from "../../../src/engine/memberState.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import { inferenceSae } from "../../../src/sae/fold.ts";
import { againstReferenceContract } from "./againstReference.ts";
import { assertRelative, relativeDistance } from "./closeness.ts";
import { encodingContract } from "./encoding.ts";
import { goldenRunsContract } from "./goldenRuns.ts";
import { goldenStepsContract } from "./goldenSteps.ts";
import { architectures, ensembleOf, type Shape, setUp, stepInput } from "./randomCases.ts";

export interface ContractOptions {
  /**
   * Against golden tensors: losses relative, parameters absolute (INDEX.md of the golden folder: 1e-5 and 2e-6 + 1e-3·lr·steps;
   * an engine that sums in float32 may be a little further away where Adam divides by a tiny gradient).
   */
  readonly golden?: { readonly loss: number; readonly parameter: number };
  /** Against the reference engine after 20 steps: losses relative, and ‖Δ‖/‖moved‖ of each parameter, how far it moved from its start. */
  readonly reference?: { readonly loss: number; readonly parameter: number };
  /** Codes and reconstructions, absolute at scale 1. */
  readonly encode?: number;
}

/** Declares the suite for one engine. */
export function engineContract(
  name: string,
  makeEngine: () => Promise<Engine> | Engine,
  options: ContractOptions = {},
): void {
  const goldenTolerance = options.golden ?? { loss: 1e-5, parameter: 2e-6 };
  const referenceTolerance = options.reference ?? { loss: 1e-4, parameter: 2e-3 };
  const encodeTolerance = options.encode ?? 1e-4;

  describe(`the ${name} engine keeps the contract`, () => {
    let engine: Engine;
    before(async () => {
      engine = await makeEngine();
    });
    after(async () => {
      await engine.close();
    });

    goldenStepsContract(() => engine, goldenTolerance);
    goldenRunsContract(() => engine, goldenTolerance.loss, 2 * goldenTolerance.parameter);
    againstReferenceContract(() => engine, referenceTolerance);
    encodingContract(() => engine, encodeTolerance);

    describe("state", () => {
      for (const architecture of architectures) {
        test(`${architecture}: a trainer made from a state goes on with the same bits, and taking it changes nothing`, async () => {
          const shape: Shape = { what: "", architecture, d: 12, F: 40, k: 3, rows: 23, members: 2, window: 3 };
          const { config, states, batch } = setUp(shape);
          const straight = await engine.createTrainer(config, states.map(copyMemberState));
          const broken = await engine.createTrainer(config, states.map(copyMemberState));
          for (let s = 0; s < 5; s++) {
            await straight.step(batch(s), shape.rows, stepInput(s));
            await broken.step(batch(s), shape.rows, stepInput(s));
          }
          const kept = await broken.state();
          const resumed = await engine.createTrainer(config, kept.map(copyMemberState));
          for (let s = 5; s < 12; s++) {
            const expected = await straight.step(batch(s), shape.rows, stepInput(s));
            assert.deepEqual(await broken.step(batch(s), shape.rows, stepInput(s)), expected, "after state()");
            assert.deepEqual(await resumed.step(batch(s), shape.rows, stepInput(s)), expected, "resumed");
          }
          const expected = await straight.state();
          assert.deepEqual(await broken.state(), expected);
          assert.deepEqual(await resumed.state(), expected);
          // What was taken is a copy: training on did not change it.
          assert.equal(kept[0]!.step, 5);
          await Promise.all([straight.close(), broken.close(), resumed.close()]);
        });
      }

      test("the same start and batches give the same bits", async () => {
        const shape: Shape = { what: "", architecture: "topk", d: 20, F: 64, k: 5, rows: 37, members: 1, window: 2 };
        const { config, states, batch } = setUp(shape);
        const runs: MemberState[][] = [];
        for (let run = 0; run < 2; run++) {
          const trainer = await engine.createTrainer(config, states.map(copyMemberState));
          for (let s = 0; s < 8; s++) await trainer.step(batch(s), shape.rows, stepInput(s));
          runs.push(await trainer.state());
          await trainer.close();
        }
        assert.deepEqual(runs[0], runs[1]);
      });
    });

    describe("ensembles", () => {
      for (const architecture of architectures) {
        test(`bagging: ${architecture} members trained together equal each trained alone`, async () => {
          const shape: Shape = { what: "", architecture, d: 12, F: 33, k: 3, rows: 17, members: 3, window: 2 };
          const { config, states, batch } = setUp(shape);
          const together = await engine.createTrainer(config, states.map(copyMemberState));
          const alone = await Promise.all(
            states.map((state) => engine.createTrainer(config, [copyMemberState(state)])),
          );
          let reports: StepReport[] = [];
          const aloneReports: StepReport[] = [];
          for (let s = 0; s < 6; s++) {
            reports = await together.step(batch(s), shape.rows, stepInput(s));
            for (const [m, trainer] of alone.entries()) {
              aloneReports[m] = (await trainer.step(batch(s), shape.rows, stepInput(s)))[0]!;
            }
          }
          assert.equal(reports.length, 3);
          const members = await together.state();
          for (const [m, trainer] of alone.entries()) {
            assertRelative(reports[m]!.loss, aloneReports[m]!.loss, 1e-5, `loss of member ${m}`);
            const [state] = await trainer.state();
            for (const [parameterName, values] of entries(members[m]!.weights)) {
              const moved = relativeDistance(values, state!.weights[parameterName]!);
              assert.ok(moved < 1e-5, `${parameterName} of member ${m}: ${moved}`);
            }
            await trainer.close();
          }
          await together.close();
        });
      }

      // A matryoshka's frozen form is a jumprelu with one threshold.
      for (const architecture of ["topk", "matryoshka_batchtopk"] as const) {
        test(`boosting: ${architecture}: the target is what the frozen members leave over, along their chain`, async () => {
          const shape: Shape = { what: "", architecture, d: 12, F: 33, k: 3, rows: 17, members: 3, window: 2 };
          const { config, states, batch } = setUp(shape);
          const isBatch = config.sae.architecture === "batchtopk";
          const frozenMembers = states
            .slice(0, 2)
            .map(({ weights }) =>
              inferenceSae({ config: config.sae, weights, ...(isBatch && { topk_threshold: 0.6 }) }),
            );
          const frozen = ensembleOf("boosting", frozenMembers);
          const withFrozen = await engine.createTrainer(config, [copyMemberState(states[2]!)], frozen);
          const onResiduals = await engine.createTrainer(config, [copyMemberState(states[2]!)]);
          for (let s = 0; s < 6; s++) {
            const x = batch(s);
            const { reconstruction } = encodeEnsemble(frozen, x, shape.rows);
            const residual = x.map((value, at) => value - reconstruction[at]!);
            const [a] = await withFrozen.step(x, shape.rows, stepInput(s));
            const [b] = await onResiduals.step(residual, shape.rows, stepInput(s));
            assertRelative(a!.loss, b!.loss, 1e-4, `loss of step ${s}`);
            assertRelative(a!.explained_variance, b!.explained_variance, 1e-3, `explained variance of step ${s}`);
          }
          const [[a], [b]] = [await withFrozen.state(), await onResiduals.state()];
          for (const [parameterName, values] of entries(a!.weights)) {
            const distance = relativeDistance(values, b!.weights[parameterName]!);
            assert.ok(distance < 1e-3, `${parameterName}: ${distance}`);
          }
          await Promise.all([withFrozen.close(), onResiduals.close()]);
        });
      }
    });
  });
}
