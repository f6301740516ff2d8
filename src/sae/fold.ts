// Folding what belongs to training into the weights, as SAELens does when it saves an SAE for inference.
import { decoderNorms } from "./encode.ts";
import type { Sae, SaeWeights } from "./sae.ts";

/** SAELens' floor under a decoder norm that is divided by. */
const LEAST_NORM = 1e-8;

/**
 * expected_average_only_in: the SAE that does on x what `sae` does on scale·x. W_enc·s, W_dec/s, b_dec/s; b_enc and
 * threshold stay. A batchtopk's threshold is in units of pre·‖W_dec,i‖ where those are rescaled, so it is divided too.
 */
export function foldActivationScale(sae: Sae, scale: number): Sae {
  const { config, weights } = sae;
  return {
    config: { ...config, normalize_activations: "none" },
    weights: {
      ...weights,
      W_enc: weights.W_enc.map((value) => value * scale),
      W_dec: weights.W_dec.map((value) => value / scale),
      b_dec: weights.b_dec.map((value) => value / scale),
    },
    ...(sae.topk_threshold === undefined
      ? {}
      : { topk_threshold: config.rescale_acts_by_decoder_norm ? sae.topk_threshold / scale : sae.topk_threshold }),
  };
}

/**
 * The form in which a trained SAE is used and saved, as SAELens' save_inference_model: for the topk family with rescaling,
 * the decoder's norms go into the encoder (cfg.json goes on saying that it rescales, which then changes nothing); a
 * batchtopk becomes a jumprelu with its one threshold (a matryoshka's widths matter to its training alone, and stay in the
 * metadata). Others are returned as they are.
 */
export function inferenceSae(sae: Sae): Sae {
  const { config } = sae;
  if (config.architecture !== "topk" && config.architecture !== "batchtopk") return sae;
  const weights = config.rescale_acts_by_decoder_norm ? foldDecoderNorms(sae.weights, config.d_in) : sae.weights;
  if (config.architecture === "topk") return { config, weights };
  if (sae.topk_threshold === undefined)
    throw new RangeError("a batchtopk SAE without its topk_threshold has no inference form");
  const { k: _k, rescale_acts_by_decoder_norm: _rescale, matryoshka_widths: _widths, ...rest } = config;
  const threshold = new Float32Array(config.d_sae).fill(sae.topk_threshold);
  return { config: { ...rest, architecture: "jumprelu" }, weights: { ...weights, threshold } };
}

function foldDecoderNorms(weights: SaeWeights, d: number): SaeWeights {
  const norms = decoderNorms(weights, d).map((norm) => Math.max(norm, LEAST_NORM));
  return {
    ...weights,
    W_enc: weights.W_enc.map((value, at) => value * norms[Math.floor(at / d)]!),
    W_dec: weights.W_dec.map((value, at) => value / norms[Math.floor(at / d)]!),
    b_enc: weights.b_enc!.map((value, i) => value * norms[i]!),
  };
}
