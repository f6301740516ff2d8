// What an engine's trainer is told for a plan: SAE settings and optimiser settings brought together.
import type { TrainerConfig } from "../engine/engine.ts";
import type { SaeMetadata } from "../sae/sae.ts";
import { type TrainingSaeConfig, trainingSaeToConfig } from "../sae/trainingConfig.ts";
import type { TrainingSettings } from "./trainingSettings.ts";

/** torch's default, which SAELens doesn't change. */
const ADAM_EPS = 1e-8;

/** Settings that an architecture doesn't have get SAELens' defaults; no engine reads them then. */
export function trainerConfig(
  sae: TrainingSaeConfig,
  settings: TrainingSettings,
  metadata: SaeMetadata,
): TrainerConfig {
  const topk = "k" in sae ? sae : null;
  return {
    sae: trainingSaeToConfig(sae, metadata),
    lp_norm: sae.architecture === "standard" ? sae.lp_norm : 1,
    aux_loss_coefficient: topk?.aux_loss_coefficient ?? 1,
    aux_loss_form: topk?.aux_loss_form ?? "sae_lens",
    topk_threshold_lr: "topk_threshold_lr" in sae ? sae.topk_threshold_lr : 0.01,
    jumprelu_bandwidth: sae.architecture === "jumprelu" ? sae.jumprelu_bandwidth : 0.05,
    adam_beta1: settings.adam_beta1,
    adam_beta2: settings.adam_beta2,
    adam_eps: ADAM_EPS,
    max_grad_norm: settings.max_grad_norm,
    decoder_norm: sae.decoder_norm,
    dead_feature_window: settings.dead_feature_window,
  };
}
