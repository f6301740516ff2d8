// What a sparse autoencoder is: its configuration, its weights, and their shapes. No arithmetic (encode.ts) and no files (saeLensFolder.ts).

/** Architectures by SAELens' names. "batchtopk" exists in training only: for inference it is saved as "jumprelu". */
export type Architecture = "standard" | "topk" | "batchtopk" | "jumprelu" | "gated";

export type NormalizeActivations = "none" | "expected_average_only_in" | "constant_norm_rescale" | "layer_norm";

/** cfg.json of a SAELens 6 folder, key for key: what a trained SAE needs for inference. */
export interface SaeConfig {
  readonly architecture: Architecture;
  /** Width d of the activation. */
  readonly d_in: number;
  /** Number of features F. */
  readonly d_sae: number;
  /** Active features a token; topk and batchtopk only. batchtopk: a mean over the batch, not necessarily whole. */
  readonly k?: number;
  /** Whether b_dec is subtracted from the input before encoding. */
  readonly apply_b_dec_to_input: boolean;
  /** "expected_average_only_in" is folded into the weights when training ends and does nothing at inference. */
  readonly normalize_activations: NormalizeActivations;
  /** topk family: select and encode with pre·‖W_dec,i‖, decode with W_dec,i/‖W_dec,i‖. */
  readonly rescale_acts_by_decoder_norm?: boolean;
  readonly dtype: "float32";
  readonly metadata: SaeMetadata;
}

/** `metadata` of cfg.json. Unknown keys of a loaded file are kept. */
export interface SaeMetadata {
  readonly model_name?: string;
  readonly hook_name?: string;
  readonly dataset_path?: string;
  readonly context_size?: number;
  readonly prepend_bos?: boolean;
  readonly sae_lens_version?: string;
  readonly [key: string]: unknown;
}

/**
 * Parameters by SAELens' names, float32. Both matrices are held as rows of features, [F, d]:
 * W_enc is the transpose of SAELens' file, so that feature i's encoder and decoder rows lie at i·d.
 */
export interface SaeWeights {
  /** [F, d] */
  W_enc: Float32Array;
  /** [F, d] */
  W_dec: Float32Array;
  /** [d] */
  b_dec: Float32Array;
  /** [F]; all but gated. */
  b_enc?: Float32Array;
  /** [F]; jumprelu. */
  threshold?: Float32Array;
  /** [F]; gated. */
  b_gate?: Float32Array;
  /** [F]; gated. */
  b_mag?: Float32Array;
  /** [F]; gated. */
  r_mag?: Float32Array;
}

export type ParameterName = keyof SaeWeights;

export interface Sae {
  readonly config: SaeConfig;
  readonly weights: SaeWeights;
  /** batchtopk only: the threshold that inference uses (fold.ts turns it into a jumprelu's), in units of pre·‖W_dec,i‖ where those are rescaled. */
  readonly topk_threshold?: number;
}

/** Names of the parameters that an architecture has, in the order in which they are stored and reduced. */
export function parameterNames(architecture: Architecture): readonly ParameterName[] {
  switch (architecture) {
    case "gated":
      return ["W_enc", "W_dec", "b_dec", "b_gate", "b_mag", "r_mag"];
    case "jumprelu":
      return ["W_enc", "W_dec", "b_dec", "b_enc", "threshold"];
    default:
      return ["W_enc", "W_dec", "b_dec", "b_enc"];
  }
}
