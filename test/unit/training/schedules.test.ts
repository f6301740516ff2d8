// Learning rate and coefficient of every step against SAELens' own schedulers, alone and in a run of twelve steps.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { learningRate, warmedUpCoefficient } from "../../../src/training/schedules.ts";
import { trainingSettingsSchema } from "../../../src/training/trainingSettings.ts";
import { assertRelative, assertWithin } from "../engine/closeness.ts";
import {
  goldenBatches,
  goldenRows,
  goldenRun,
  goldenStart,
  goldenTensors,
  parameter,
  weights,
} from "../engine/goldenTraining.ts";
import { golden } from "../fixtures.ts";

const file = JSON.parse(readFileSync(golden("training", "lr_schedules.json"), "utf8"));
const twelveSteps = { training_tokens: 12 * 64, train_batch_size_tokens: 64 };

for (const name of [
  "constant",
  "constant_warm_up_4_decay_4",
  "cosineannealing",
  "cosineannealing_warm_up_3_decay_3",
  "cosineannealingwarmrestarts_2_cycles",
  "warm_up_1",
]) {
  test(`lr of ${name}`, () => {
    const {
      cfg,
      lr_used_at_step_0_to_11: expected,
      l1_coefficient_used_final_0_4_warm_up_5: coefficients,
    } = file[name];
    const settings = trainingSettingsSchema.parse({ ...twelveSteps, ...cfg });
    for (let s = 0; s < 12; s++) {
      assert.ok(
        Math.abs(learningRate(settings, s) - expected[s]) < 1e-15,
        `step ${s}: ${learningRate(settings, s)} for ${expected[s]}`,
      );
      assert.ok(Math.abs(warmedUpCoefficient({ value: 0.4, warm_up_steps: 5 }, s) - coefficients[s]) < 1e-15);
    }
  });
}

test("twelve steps with warm-up and decay end with SAELens' parameters", async () => {
  const { steps } = file.run_standard_12_steps_with_warm_up_4_decay_4_beta1_0;
  const run = goldenRun("standard.adam_beta1_0");
  const init = await goldenTensors("sae_lens", "standard.adam_default.safetensors");
  const trainer = await createReferenceEngine().createTrainer(run.config, [
    goldenStart(run, weights(init, "init.", "standard")),
  ]);
  const settings = trainingSettingsSchema.parse({ ...twelveSteps, lr: 1e-3, lr_warm_up_steps: 4, lr_decay_steps: 4 });
  const batches = await goldenBatches();
  for (let s = 0; s < 12; s++) {
    const input = {
      lr: learningRate(settings, s),
      sparsity_coefficient: warmedUpCoefficient({ value: 0.4, warm_up_steps: 3 }, s),
    };
    assertRelative(input.lr, steps[s].lr, 1e-12, `lr of step ${s}`);
    const [report] = await trainer.step(batches[s % 5]!, goldenRows, input);
    assertRelative(report!.loss, steps[s].loss, 1e-5, `loss of step ${s}`);
  }
  const expected = await goldenTensors("sae_lens", "standard.schedule_12_steps.safetensors");
  const prefix = [...expected.keys()].find((key) => key.endsWith("W_dec"))!.replace("W_dec", "");
  const [state] = await trainer.state();
  for (const name of ["W_enc", "W_dec", "b_enc", "b_dec"] as const) {
    assertWithin(state!.weights[name]!, parameter(expected, prefix, name)!, 1e-5, name);
  }
});

test("settings: SAELens' defaults, and what can't be is refused with its key", () => {
  const settings = trainingSettingsSchema.parse({ training_tokens: 100_000 });
  assert.deepEqual(
    [
      settings.lr,
      settings.lr_end,
      settings.train_batch_size_tokens,
      settings.adam_beta1,
      settings.adam_beta2,
      settings.max_grad_norm,
    ],
    [3e-4, 3e-4 / 10, 4096, 0.9, 0.999, 1],
  );
  assert.deepEqual([settings.dead_feature_window, settings.lr_scheduler_name], [1000, "constant"]);
  for (const [wrong, message] of [
    [{ training_tokens: 100 }, /training_tokens/],
    [{ training_tokens: 8192, lr_warm_up_steps: 2, lr_decay_steps: 1 }, /lr_warm_up_steps/],
    [{ training_tokens: 8192, learning_rate: 1 }, /learning_rate/],
    [{ training_tokens: 8192, adam_beta1: 1 }, /adam_beta1/],
    [{ training_tokens: 81920, lr_scheduler_name: "cosineannealing", lr_end: 0, lr_decay_steps: 3 }, /lr_end/],
    [{ training_tokens: 81920, lr_scheduler_name: "linear" }, /lr_scheduler_name/],
  ] as const) {
    const parsed = trainingSettingsSchema.safeParse(wrong);
    assert.ok(!parsed.success);
    assert.match(JSON.stringify(parsed.error.issues), message);
  }
});
