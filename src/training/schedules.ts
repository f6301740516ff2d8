// The learning rate and the sparsity coefficient of every step, as SAELens' schedulers give them, in closed form: nothing to store in a checkpoint but the step.
import { type TrainingSettings, totalSteps } from "./trainingSettings.ts";

/**
 * lr of step s = 0, 1, …: linear warm-up lr·(s+1)/lr_warm_up_steps, then the scheduler's own part, then a linear decay
 * to zero over the last lr_decay_steps, whose first step still has what the scheduler ended with (lr, or lr_end).
 */
export function learningRate(settings: TrainingSettings, step: number): number {
  const { lr, lr_end, lr_warm_up_steps, lr_decay_steps } = settings;
  const total = totalSteps(settings);
  if (step < lr_warm_up_steps) return (lr * (step + 1)) / lr_warm_up_steps;
  const decayed = step - (total - lr_decay_steps);
  if (lr_decay_steps > 0 && decayed >= 0) {
    const start = settings.lr_scheduler_name === "constant" ? lr : lr_end;
    return start * Math.max(0, 1 - decayed / lr_decay_steps);
  }
  const main = Math.max(1, total - lr_warm_up_steps - lr_decay_steps);
  const at = step - lr_warm_up_steps;
  switch (settings.lr_scheduler_name) {
    case "constant":
      return lr;
    case "cosineannealing":
      return cosine(lr, lr_end, at / main);
    case "cosineannealingwarmrestarts": {
      const period = Math.max(1, Math.floor(main / settings.n_restart_cycles));
      return cosine(lr, lr_end, (at % period) / period);
    }
  }
}

function cosine(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
}

/** λ of step s = 0, 1, …: λ·s/warm_up, so 0 at the first step, then λ. */
export function warmedUpCoefficient(coefficient: { value: number; warm_up_steps: number }, step: number): number {
  return step < coefficient.warm_up_steps ? (coefficient.value * step) / coefficient.warm_up_steps : coefficient.value;
}
