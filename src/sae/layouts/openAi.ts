// Autoencoders of openai/sparse_autoencoder: one state dict with its activation beside the tensors.
import { brief } from "../../formats/brief.ts";
import { InputError } from "../../formats/inputError.ts";
import type { TensorFile } from "../../formats/tensorFile.ts";
import type { SaeConfig } from "../sae.ts";
import { lengthOf, readMatrices, readVector } from "./matrices.ts";
import { metadataWith, type OpenedSae, type OpenOptions } from "./opened.ts";
import type { StateDict } from "./stateDict.ts";

/** Whether a file's tensors are those of OpenAI's class. */
export function isOpenAi(file: TensorFile): boolean {
  return ["pre_bias", "latent_bias", "encoder.weight", "decoder.weight"].every((name) => file.tensors.has(name));
}

/** TopK normalises its input (layer norm) and undoes it; ReLU does not. Throws InputError. */
export async function readOpenAi(file: StateDict, options: OpenOptions): Promise<OpenedSae> {
  const F = lengthOf(file, "latent_bias");
  const d = lengthOf(file, "pre_bias");
  const { W_enc, W_dec } = await readMatrices(
    file,
    { name: "encoder.weight", orientation: "rows" },
    { name: "decoder.weight", orientation: "columns" },
    { F, d_in: d },
  );
  const warnings: string[] = [];
  const activation = file.values.get("activation") ?? assumed(file, options, warnings);
  const state = file.values.get("activation_state_dict");
  const refuse = (where: string, found: string, expected: string): never => {
    throw new InputError({ file: file.path, where, found, expected });
  };
  if (activation !== "TopK" && activation !== "ReLU") refuse("activation", brief(activation), "TopK or ReLU");
  const isTopk = activation === "TopK";
  const k = (state instanceof Map ? state.get("k") : undefined) ?? file.values.get("activation.k") ?? options.k;
  const postact = state instanceof Map ? state.get("postact_fn") : undefined;
  if (postact !== undefined && postact !== "ReLU") refuse("activation_state_dict.postact_fn", brief(postact), "ReLU");
  if (isTopk && !(typeof k === "number" && Number.isInteger(k) && k >= 1 && k <= F)) {
    refuse("activation_state_dict.k", brief(k ?? "nothing"), `a whole number from 1 to ${F}`);
  }
  const config: SaeConfig = {
    architecture: isTopk ? "topk" : "standard",
    d_in: d,
    d_sae: F,
    ...(isTopk && { k: k as number, rescale_acts_by_decoder_norm: false }),
    apply_b_dec_to_input: true,
    normalize_activations: isTopk ? "layer_norm" : "none",
    dtype: "float32",
    metadata: metadataWith({}, options),
  };
  return {
    sae: {
      config,
      weights: {
        W_enc,
        W_dec,
        b_enc: await readVector(file, "latent_bias", F),
        b_dec: await readVector(file, "pre_bias", d),
      },
    },
    layout: `OpenAI sparse_autoencoder, ${activation}`,
    path: file.path,
    warnings,
  };
}

/** Where the file doesn't say its activation, their package takes ReLU: which of a TopK would be silently wrong. */
function assumed(file: StateDict, { architecture, k }: OpenOptions, warnings: string[]): "TopK" | "ReLU" {
  if (architecture === "topk" || k !== undefined || file.values.has("activation.k")) return "TopK";
  if (architecture === undefined)
    warnings.push(
      "nothing says its activation: read as ReLU, as OpenAI's package does; say topk and its k if it is that",
    );
  return "ReLU";
}
