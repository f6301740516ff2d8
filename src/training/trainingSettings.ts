// How a training run steps: SAELens' runner keys for optimiser, schedule and batches, with its defaults. What is trained stands in sae/trainingConfig.ts.
import { z } from "zod";

const steps = z.int().nonnegative();

/** An experiment file's `training`. Keys and defaults are SAELens' (LanguageModelSAERunnerConfig) unless said. */
export const trainingSettingsSchema = z
  .strictObject({
    /** Activations that each member sees in all; the number of steps is training_tokens / train_batch_size_tokens, rounded down. */
    training_tokens: z.int().positive(),
    train_batch_size_tokens: z.int().positive().default(4096),
    lr: z.number().positive().default(3e-4),
    lr_scheduler_name: z.enum(["constant", "cosineannealing", "cosineannealingwarmrestarts"]).default("constant"),
    lr_warm_up_steps: steps.default(0),
    lr_decay_steps: steps.default(0),
    /** Where the cosine ends; lr / 10 unless given. "constant" ignores it. */
    lr_end: z.number().nonnegative().optional(),
    n_restart_cycles: z.int().positive().default(1),
    adam_beta1: z.number().min(0).lt(1).default(0.9),
    adam_beta2: z.number().min(0).lt(1).default(0.999),
    /** The global gradient norm is clipped to this at every step; null: not. SAELens always clips to 1 and has no key for it. */
    max_grad_norm: z.number().positive().nullable().default(1),
    /** A latent is dead once it has not fired in more than this many steps. */
    dead_feature_window: z.int().nonnegative().default(1000),
    /** expected_average_only_in: batches over which the mean norm is taken before training. */
    n_batches_for_norm_estimate: z.int().positive().default(1000),
  })
  .transform((settings) => ({ ...settings, lr_end: settings.lr_end ?? settings.lr / 10 }))
  .superRefine((settings, context) => {
    const total = totalSteps(settings);
    const issue = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    if (total < 1) {
      issue(
        "training_tokens",
        `${settings.training_tokens} tokens are not one batch of ${settings.train_batch_size_tokens}`,
      );
    }
    const main = total - settings.lr_warm_up_steps - settings.lr_decay_steps;
    if (main < 0) {
      const both = settings.lr_warm_up_steps + settings.lr_decay_steps;
      issue("lr_warm_up_steps", `warm-up and decay take ${both} steps, and there are ${total}`);
    }
    if (settings.lr_scheduler_name === "cosineannealingwarmrestarts" && settings.n_restart_cycles > Math.max(1, main)) {
      issue("n_restart_cycles", `${settings.n_restart_cycles} cycles do not fit into ${main} steps`);
    }
    if (settings.lr_decay_steps > 0 && settings.lr_end === 0 && settings.lr_scheduler_name !== "constant") {
      issue("lr_end", "0 leaves nothing for lr_decay_steps to decay");
    }
  });

export type TrainingSettings = z.output<typeof trainingSettingsSchema>;

/** Steps that each member takes. */
export function totalSteps(settings: { training_tokens: number; train_batch_size_tokens: number }): number {
  return Math.floor(settings.training_tokens / settings.train_batch_size_tokens);
}

/** Steps below which hardly anything is learned, whatever the SAE. */
const FEW_STEPS = 200;

/** What to say of a training too short to mean anything; null of others. */
export function fewSteps(settings: { training_tokens: number; train_batch_size_tokens: number }): string | null {
  const steps = totalSteps(settings);
  if (steps >= FEW_STEPS) return null;
  return `${steps} steps a member (training_tokens over train_batch_size_tokens) are hardly a beginning: expect features that mean little and a low explained variance; more tokens or smaller batches make it more, hundreds at least`;
}
