// Gemma Scope (params.npz) and Gemma Scope 2 (params.safetensors): JumpReLU SAEs; layer, width and L0 stand in the path.
import { InputError } from "../../formats/inputError.ts";
import { tensorOf } from "../../formats/tensorFile.ts";
import { transposed } from "../../formats/transpose.ts";
import { checkFinite } from "../parameters.ts";
import type { SaeConfig, SaeMetadata } from "../sae.ts";
import { lengthOf, readMatrices, readVector } from "./matrices.ts";
import { metadataWith, type OpenedSae, type OpenOptions } from "./opened.ts";
import type { StateDict } from "./stateDict.ts";

/** Their names are written in both cases. */
function nameIn(file: StateDict, name: string): string {
  const found = [name, name.toLowerCase()].find((candidate) => file.tensors.has(candidate));
  if (found) return found;
  const names = [...file.tensors.keys()].slice(0, 20).join(", ");
  const expected = `${name}: without ${name === "threshold" ? "it every positive feature would fire" : "it there is no SAE"}`;
  throw new InputError({ file: file.path, found: `no tensor ${name} among ${names}`, expected });
}

/** Whether a file's tensors are those of Gemma Scope. */
export function isGemmaScope(file: StateDict): boolean {
  const names = new Set([...file.tensors.keys()].map((name) => name.toLowerCase()));
  return ["w_enc", "w_dec", "b_enc", "b_dec"].every((name) => names.has(name));
}

/** `config`: Gemma Scope 2's config.json, or null. Throws InputError. */
export async function readGemmaScope(
  file: StateDict,
  config: Record<string, unknown> | null,
  options: OpenOptions,
): Promise<OpenedSae> {
  const said = config?.["architecture"];
  if (said !== undefined && said !== "jump_relu" && said !== "jumprelu") {
    throw new InputError({ file: file.path, where: "architecture", found: String(said), expected: "jump_relu" });
  }
  const [b_enc, b_dec, threshold] = [nameIn(file, "b_enc"), nameIn(file, "b_dec"), nameIn(file, "threshold")];
  const W_enc = nameIn(file, "W_enc");
  const F = lengthOf(file, b_enc);
  const d_out = lengthOf(file, b_dec);
  const isTranscoder =
    config?.["type"] === "transcoder" || config?.["type"] === "crosscoder" || otherWidth(file, W_enc, F, d_out);
  if (config?.["type"] === "crosscoder") {
    throw new InputError({ file: file.path, where: "type", found: "crosscoder", expected: "an SAE or a transcoder" });
  }
  const d_in = isTranscoder ? (file.tensors.get(W_enc)!.shape.find((n) => n !== F) ?? F) : d_out;
  const matrices = await readMatrices(
    file,
    { name: W_enc, orientation: "columns" },
    { name: nameIn(file, "W_dec"), orientation: "rows" },
    { F, d_in, d_out },
  );
  const skip = file.tensors.has("affine_skip_connection")
    ? await tensorOf(file, "affine_skip_connection", [d_in, d_out])
    : undefined;
  if (skip) checkFinite(file.path, "affine_skip_connection", skip);
  const sae: SaeConfig = {
    architecture: "jumprelu",
    d_in,
    d_sae: F,
    ...(isTranscoder && { d_out }),
    apply_b_dec_to_input: false,
    normalize_activations: "none",
    dtype: "float32",
    metadata: metadataWith(metadataOf(config), options, hintOf(file.path)),
  };
  return {
    sae: {
      config: sae,
      weights: {
        W_enc: matrices.W_enc,
        W_dec: matrices.W_dec,
        b_enc: await readVector(file, b_enc, F),
        b_dec: await readVector(file, b_dec, d_out),
        threshold: await readVector(file, threshold, F),
        ...(skip && { W_skip: transposed(skip, d_in, d_out) }),
      },
    },
    layout: `Gemma Scope${file.path.endsWith(".safetensors") ? " 2" : ""}${isTranscoder ? ", transcoder" : ""}`,
    path: file.path,
    warnings: [],
  };
}

function otherWidth(file: StateDict, name: string, F: number, d: number): boolean {
  const { shape } = file.tensors.get(name)!;
  return shape.length === 2 && shape.includes(F) && !shape.includes(d);
}

/** "model.layers.12.output" in config.json. */
function metadataOf(config: Record<string, unknown> | null): SaeMetadata {
  const model_name = typeof config?.["model_name"] === "string" ? config["model_name"] : undefined;
  const [, moduleLayer, part] =
    /^model\.layers\.(\d+)\.(output|mlp|self_attn|post_feedforward_layernorm)/.exec(
      String(config?.["hf_hook_point_in"] ?? ""),
    ) ?? [];
  const isResidual = moduleLayer !== undefined && part === "output";
  return {
    ...(model_name && { model_name }),
    ...(isResidual && { hook_name: `blocks.${moduleLayer}.hook_resid_post` }),
  };
}

/** …-res/layer_12/… in the path. */
function hintOf(path: string): SaeMetadata {
  const [, layer] = /(?:^|[\\/])layer_(\d+)(?:[\\/]|$)/.exec(path) ?? [];
  const [, kind] = /gemma-scope-[^\\/]*-(res|mlp|att)(?:[\\/-]|$)/.exec(path) ?? [];
  const hooks: Readonly<Record<string, string>> = { res: "hook_resid_post", mlp: "hook_mlp_out" };
  // -att SAEs read hook_z, which is no hook of a width d_model.
  const hook = kind === undefined ? undefined : hooks[kind];
  return layer !== undefined && hook ? { hook_name: `blocks.${layer}.${hook}` } : {};
}
