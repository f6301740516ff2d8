// What is allowed in an experiment and hardly meant: settings that do nothing beside the others, and a training that can't come to what it says. Doctor, the run's log and the editor say the same.
import { sparsityCoefficient, trainingArchitectures } from "../sae/trainingConfig.ts";
import { fewSteps, totalSteps } from "../training/trainingSettings.ts";
import { type ExperimentSettings, experimentSchema } from "./experimentSchema.ts";

export interface ExperimentWarning {
  /** Where in the file. */
  readonly field: readonly string[];
  /** Names the keys that it is about. */
  readonly words: string;
}

/** Share of its way that a threshold should have gone: a moving average from 0 is near what it averages by then. */
const REACHED = 0.95;

const shape = experimentSchema.shape;
/** What is there without being said. */
const defaults = {
  n_members: shape.ensembles.parse(undefined).n_members,
  n_batches_in_buffer: shape.n_batches_in_buffer.parse(undefined),
  dtype: shape.activations.parse(undefined).dtype,
  decoder_init_norm: trainingArchitectures[0].shape.decoder_init_norm.parse(undefined),
};

export function experimentWarnings(settings: ExperimentSettings): ExperimentWarning[] {
  const { sae, ensembles, activations, n_batches_in_buffer } = settings;
  // Nothing is trained, so hardly any key does something.
  if (sae.architecture === "imported") return [];
  const warnings: ExperimentWarning[] = [];
  const warn = (field: string[], words: string) => warnings.push({ field, words });
  const few = fewSteps(settings);
  if (few !== null) warn(["training_tokens"], few);
  if (activations.store === "on_the_fly") {
    if (activations.tokens !== undefined)
      warn(
        ["activations", "tokens"],
        "activations.tokens does nothing with activations.store on_the_fly: the model runs for as many as training_tokens says",
      );
    if (activations.dtype !== defaults.dtype)
      warn(
        ["activations", "dtype"],
        "activations.dtype does nothing with activations.store on_the_fly: what is trained on is not stored",
      );
  } else if (n_batches_in_buffer !== defaults.n_batches_in_buffer)
    warn(
      ["n_batches_in_buffer"],
      "n_batches_in_buffer does nothing with activations.store disk: activations.tokens are shuffled from there",
    );
  const { methods, n_members } = ensembles;
  if (methods.every((method) => method === "single") && ![1, defaults.n_members].includes(n_members))
    warn(
      ["ensembles", "n_members"],
      `ensembles.n_members ${n_members} does nothing with ensembles.methods single: that is one SAE`,
    );
  if (sae.decoder_norm === "unit" && ![1, defaults.decoder_init_norm].includes(sae.decoder_init_norm))
    warn(
      ["sae", "decoder_init_norm"],
      "sae.decoder_init_norm does nothing with sae.decoder_norm unit: decoder rows have norm 1 from the start",
    );
  const { warm_up_steps } = sparsityCoefficient(sae);
  const steps = totalSteps(settings);
  if (warm_up_steps >= steps) {
    const key = sae.architecture === "jumprelu" ? "l0" : "l1";
    warn(
      ["sae", `${key}_warm_up_steps`],
      `sae.${key}_coefficient is never reached: sae.${key}_warm_up_steps is ${warm_up_steps}, and a member takes ${steps} steps`,
    );
  }
  if ("topk_threshold_lr" in sae) {
    const { k, topk_threshold_lr: rate } = sae;
    const reached = 1 - (1 - rate) ** steps;
    const enough = Math.ceil(100 * (1 - (1 - REACHED) ** (1 / steps))) / 100;
    if (reached < REACHED)
      warn(
        ["sae", "topk_threshold_lr"],
        `sae.topk_threshold_lr ${rate} takes the threshold that stands for sae.k after training only ${Math.floor(100 * reached)} % of its way from 0 in ${steps} steps a member, so more latents than ${k} a token will fire: more steps, or a topk_threshold_lr of ${enough}`,
      );
  }
  return warnings;
}
