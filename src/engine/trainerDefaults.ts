// SAELens' defaults of everything about a step that is no part of the SAE: for rates, benches and tests. An experiment's own come from its file.
import type { SaeConfig } from "../sae/sae.ts";
import type { TrainerConfig } from "./engine.ts";

export function defaultTrainerConfig(sae: SaeConfig): TrainerConfig {
  return {
    sae,
    lp_norm: 1,
    aux_loss_coefficient: 1,
    aux_loss_form: "sae_lens",
    topk_threshold_lr: 0.01,
    jumprelu_bandwidth: 0.05,
    adam_beta1: 0.9,
    adam_beta2: 0.999,
    adam_eps: 1e-8,
    max_grad_norm: 1,
    decoder_norm: "free",
    dead_feature_window: 1000,
  };
}
