// Gemma Scope (params.npz) and Gemma Scope 2 (params.safetensors): JumpReLU SAEs; layer, width and L0 stand in the path.
import { InputError } from "../../formats/inputError.ts";
import { tensorOf } from "../../formats/tensorFile.ts";
import { transposed } from "../../formats/transpose.ts";
import { checkFinite } from "../parameters.ts";
import type { SaeConfig, SaeMetadata } from "../sae.ts";
import { lengthOf, readMatrices, readVector } from "./matrices.ts";
import { metadataWith, type OpenedSae, type OpenOptions } from "./opened.ts";
import type { StateDict } from "./stateDict.ts";

/** Gemma Scope 2's skip connections, [d_in, d_out]. */
const SKIP = "affine_skip_connection";

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
  if (config?.["type"] === "crosscoder") {
    throw new InputError({ file: file.path, where: "type", found: "crosscoder", expected: "an SAE or a transcoder" });
  }
  const isTranscoder = saysTranscoder(file.path, config) || otherWidth(file, W_enc, F, d_out);
  const d_in = isTranscoder ? (file.tensors.get(W_enc)!.shape.find((n) => n !== F) ?? F) : d_out;
  const matrices = await readMatrices(
    file,
    { name: W_enc, orientation: "columns" },
    { name: nameIn(file, "W_dec"), orientation: "rows" },
    { F, d_in, d_out },
  );
  const hasSkip = file.tensors.has(SKIP);
  if (config?.["affine_connection"] === true && !hasSkip) {
    const expected = `${SKIP}, as affine_connection says: without it the reconstruction is another`;
    throw new InputError({ file: file.path, found: `no tensor ${SKIP}`, expected });
  }
  const skip = hasSkip ? await tensorOf(file, SKIP, [d_in, d_out]) : undefined;
  if (skip) checkFinite(file.path, SKIP, skip);
  const sae: SaeConfig = {
    architecture: "jumprelu",
    d_in,
    d_sae: F,
    ...(isTranscoder && { d_out }),
    apply_b_dec_to_input: false,
    normalize_activations: "none",
    dtype: "float32",
    metadata: metadataWith(
      isTranscoder ? modelOf(config) : metadataOf(config),
      options,
      hintOf(file.path, isTranscoder),
    ),
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

/** Both read and write the model's width, so a transcoder's shapes are those of an SAE: what its files say of it decides. */
function saysTranscoder(path: string, config: Record<string, unknown> | null): boolean {
  const { type, hf_hook_point_in: read, hf_hook_point_out: written } = config ?? {};
  if (type === "transcoder") return true;
  if (typeof read === "string" && typeof written === "string") return read !== written;
  return /gemma-scope-[^\\/]*-transcoders?(?=[\\/-]|$)|(^|[\\/])transcoders?[^\\/]*[\\/]layer_\d+/.test(path);
}

function modelOf(config: Record<string, unknown> | null): SaeMetadata {
  const name = config?.["model_name"];
  // Some of their files say gemma-v3-1b-pt.
  return typeof name === "string" ? { model_name: name.replace("gemma-v3-", "gemma-3-") } : {};
}

/** The part of "model.layers.12.output" in config.json that says which module's values. */
const MODULES: Readonly<Record<string, string>> = {
  output: "hook_resid_post",
  "post_feedforward_layernorm.output": "hook_mlp_out",
  "self_attn.o_proj.input": "attn.hook_z",
};

function metadataOf(config: Record<string, unknown> | null): SaeMetadata {
  const [, layer, part = ""] = /^model\.layers\.(\d+)\.(.+)$/.exec(String(config?.["hf_hook_point_in"] ?? "")) ?? [];
  const hook = Object.hasOwn(MODULES, part) ? MODULES[part] : undefined;
  return { ...modelOf(config), ...(hook !== undefined && { hook_name: `blocks.${layer}.${hook}` }) };
}

/** What stands in the path: gemma-scope-2b-pt-res/layer_12/…, gemma-scope-2-1b-pt/resid_post/layer_12_width_16k_l0_medium. */
function hintOf(path: string, isTranscoder: boolean): SaeMetadata {
  const [, repository] = /(?:^|[\\/]|--)(gemma-scope-[^\\/]+)/.exec(path) ?? [];
  const [, second, size, tuned] = /^gemma-scope-(2-)?(\d+[mb])-(pt|it)/.exec(repository ?? "") ?? [];
  // Gemma 2's models have no "-pt" in their names, and neither has the smallest of Gemma 3.
  const suffix = tuned === "it" ? "-it" : second && size !== "270m" ? "-pt" : "";
  const model_name = size && `google/gemma-${second ? 3 : 2}-${size}${suffix}`;
  const [, layer] = /(?:^|[\\/])layer_(\d+)(?=[\\/_]|$)/.exec(path) ?? [];
  const [, first] = /^gemma-scope-.*-(res|mlp|att)(?:-|$)/.exec(repository ?? "") ?? [];
  const [, kind = first] = second ? (/[\\/](resid_post|mlp_out|attn_out)[^\\/]*[\\/]layer_/.exec(path) ?? []) : [];
  const hooks: Readonly<Record<string, string>> = {
    res: "hook_resid_post",
    resid_post: "hook_resid_post",
    mlp: "hook_mlp_out",
    mlp_out: "hook_mlp_out",
    // They read what the heads mix, before the output matrix.
    att: "attn.hook_z",
    attn_out: "attn.hook_z",
  };
  // A transcoder reads another hook than it writes.
  const hook = isTranscoder || kind === undefined ? undefined : hooks[kind];
  return {
    ...(model_name && { model_name }),
    ...(layer !== undefined && hook && { hook_name: `blocks.${layer}.${hook}` }),
  };
}
