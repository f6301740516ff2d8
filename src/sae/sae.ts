// What a sparse autoencoder is: its configuration, its weights, and their shapes. No arithmetic (encode.ts) and no files (saeLensFolder.ts).

/**
 * Architectures by SAELens' names. "batchtopk" exists in training only: for inference it is saved as "jumprelu". SAELens'
 * "matryoshka_batchtopk" is a batchtopk with matryoshka_widths.
 * "groupmax" is sparsify's: F latents in k runs of neighbours, the largest of each run fires. It is read, not trained.
 */
export type Architecture = "standard" | "topk" | "batchtopk" | "jumprelu" | "gated" | "groupmax";

export type NormalizeActivations = "none" | "expected_average_only_in" | "constant_norm_rescale" | "layer_norm";

/** cfg.json of a SAELens 6 folder, key for key: what a trained SAE needs for inference. */
export interface SaeConfig {
  readonly architecture: Architecture;
  /** Width d of the activation. */
  readonly d_in: number;
  /** Number of features F. */
  readonly d_sae: number;
  /** Transcoders: width of what is reconstructed, at another hook than what is read. W_dec is [F, d_out], b_dec [d_out]. */
  readonly d_out?: number;
  /** "hook_z": rows are the heads of an attention layer side by side, d_in = heads × d_head. */
  readonly reshape_activations?: "hook_z";
  /** Active features a token; topk, batchtopk and groupmax only. batchtopk: a mean over the batch, not necessarily whole. */
  readonly k?: number;
  /**
   * batchtopk in training (matryoshka, arXiv 2503.17547): the first latents up to each of these widths have to reconstruct x by
   * themselves as well. Ascending, the last is d_sae. Absent: only all of them together have to.
   */
  readonly matryoshka_widths?: readonly number[];
  /** Whether b_dec is subtracted from the input before encoding. */
  readonly apply_b_dec_to_input: boolean;
  /** "expected_average_only_in" is folded into the weights when training ends and does nothing at inference. */
  readonly normalize_activations: NormalizeActivations;
  /** topk family: select and encode with pre·‖W_dec,i‖, decode with W_dec,i/‖W_dec,i‖. */
  readonly rescale_acts_by_decoder_norm?: boolean;
  readonly dtype: "float32";
  readonly metadata: SaeMetadata;
}

/**
 * What SAELens has to be told of activations at a hook: TransformerLens gives attn.hook_z head by head, [heads, d_head], and an
 * SAE there reads the heads side by side.
 */
export function reshapedAt(hookName: string | undefined): Pick<SaeConfig, "reshape_activations"> {
  return hookName?.endsWith(".hook_z") ? { reshape_activations: "hook_z" } : {};
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
  /** [d_out, d_in]; a skip connection: x̂ = decode(f) + x·W_skipᵀ, x as it comes. */
  W_skip?: Float32Array;
}

export type ParameterName = keyof SaeWeights;

export interface Sae {
  readonly config: SaeConfig;
  readonly weights: SaeWeights;
  /** batchtopk only: the threshold that inference uses (fold.ts turns it into a jumprelu's), in units of pre·‖W_dec,i‖ where those are rescaled. */
  readonly topk_threshold?: number;
}

/**
 * The widths that an SAE was trained in, in whatever form it is: a matryoshka's inference form keeps them where SAELens does, in
 * the details of its training. Null for all others.
 */
export function trainedWidths({ matryoshka_widths, metadata }: SaeConfig): readonly number[] | null {
  const details = metadata["training_architecture_details"] as { matryoshka_widths?: unknown } | null | undefined;
  const widths: unknown = matryoshka_widths ?? details?.matryoshka_widths;
  const isList = Array.isArray(widths) && widths.length > 0 && widths.every(Number.isInteger);
  return isList ? (widths as number[]) : null;
}

/** For people: the architecture, and of a matryoshka its widths. */
export function architectureWords(config: SaeConfig): string {
  const widths = trainedWidths(config);
  return widths ? `${config.architecture} (matryoshka of ${widths.join(", ")} features)` : config.architecture;
}

/** A number of latents is kept, whatever their size: of each row (topk) or of the batch. */
export function keepsLargest({ architecture }: SaeConfig): boolean {
  return architecture === "topk" || architecture === "batchtopk";
}

/** Of a matryoshka, the widths that have a loss besides the whole's; none for all others. */
export function innerWidths({ matryoshka_widths = [] }: SaeConfig): readonly number[] {
  return matryoshka_widths.slice(0, -1);
}

/** What an SAE is told by, whether its weights were read or not. */
export interface SaeParts {
  readonly config: SaeConfig;
  readonly weights: { readonly W_skip?: unknown };
}

/** Why an SAE can't be a member of an ensemble, or null where it can: engines, index and probes reconstruct what they read. */
export function notForEnsembles({ config, weights }: SaeParts): string | null {
  if (config.d_out !== undefined) return "a transcoder: it reconstructs another hook than it reads";
  if (weights.W_skip) return "an SAE with a skip connection: part of its reconstruction comes from no feature";
  if (config.architecture === "groupmax") return "a groupmax SAE, which SAELens has no name for";
  return null;
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
