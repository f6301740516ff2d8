// SAEs and transcoders of EleutherAI's sparsify (1.3): cfg.json beside sae.safetensors.
import { basename, dirname } from "node:path";
import { z } from "zod";
import { InputError } from "../../formats/inputError.ts";
import { schemaError } from "../../formats/schemaError.ts";
import { tensorOf } from "../../formats/tensorFile.ts";
import { checkFinite } from "../parameters.ts";
import type { Sae, SaeConfig } from "../sae.ts";
import { lengthOf, readMatrices, readVector } from "./matrices.ts";
import { metadataWith, type OpenedSae, type OpenOptions } from "./opened.ts";
import type { StateDict } from "./stateDict.ts";

const configSchema = z.looseObject({
  activation: z.enum(["topk", "groupmax"]).default("topk"),
  k: z.int().positive(),
  num_latents: z.int().nonnegative().default(0),
  expansion_factor: z.number().positive().default(32),
  skip_connection: z.boolean().default(false),
  transcode: z.boolean().default(false),
  d_in: z.int().positive(),
});

/** Throws InputError. */
export async function readSparsify(
  file: StateDict,
  json: Record<string, unknown>,
  configPath: string,
  options: OpenOptions,
): Promise<OpenedSae> {
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) throw schemaError(configPath, json, parsed.error, "a cfg.json of sparsify");
  const { activation, k, num_latents, expansion_factor, skip_connection, transcode, d_in } = parsed.data;
  const refuse = (where: string, found: string, expected: string): never => {
    throw new InputError({ file: configPath, where, found, expected });
  };
  const F = lengthOf(file, "encoder.bias");
  // 0 means "as many times the input's width".
  const said = num_latents || Math.round(d_in * expansion_factor);
  if (said !== F) refuse("num_latents", `${said} by cfg.json`, `${F}, as the weights have`);
  if (k > F || (activation === "groupmax" && F % k !== 0)) {
    refuse("k", String(k), activation === "groupmax" ? `a divisor of ${F}` : `at most ${F}`);
  }
  const d_out = lengthOf(file, "b_dec");
  if (!transcode && d_out !== d_in) refuse("d_in", `${d_in}, beside a b_dec of ${d_out}`, "the same width");
  const { W_enc, W_dec } = await readMatrices(
    file,
    { name: "encoder.weight", orientation: "rows" },
    { name: "W_dec", orientation: "rows" },
    { F, d_in, d_out },
  );
  if (!skip_connection && file.tensors.has("W_skip")) {
    refuse("skip_connection", "false, beside a tensor W_skip", "true: without it the reconstruction is another");
  }
  const W_skip = skip_connection ? await tensorOf(file, "W_skip", [d_out, d_in]) : undefined;
  if (W_skip) checkFinite(file.path, "W_skip", W_skip);
  const hook = hookOf(basename(dirname(file.path)));
  const config: SaeConfig = {
    architecture: activation,
    d_in,
    d_sae: F,
    ...(transcode && { d_out }),
    k,
    rescale_acts_by_decoder_norm: false,
    apply_b_dec_to_input: !transcode,
    normalize_activations: "none",
    dtype: "float32",
    metadata: metadataWith({}, options, hook ? { hook_name: hook } : {}),
  };
  const sae: Sae = {
    config,
    weights: {
      W_enc,
      W_dec,
      b_dec: await readVector(file, "b_dec", d_out),
      b_enc: await readVector(file, "encoder.bias", F),
      ...(W_skip && { W_skip }),
    },
  };
  const what = `${skip_connection ? "skip " : ""}${transcode ? "transcoder" : "SAE"}`;
  return { sae, layout: `sparsify, ${activation} ${what}`, path: file.path, warnings: [] };
}

/** Outputs of a block's modules. mlp.act is GPT-2's and GPT-NeoX's, which have no gate behind it; with one (mlp.act_fn) it is no hook's value. */
const MODULES: Readonly<Record<string, string>> = {
  "": "hook_resid_post",
  mlp: "hook_mlp_out",
  "mlp.act": "mlp.hook_post",
  attn: "hook_attn_out",
  self_attn: "hook_attn_out",
  attention: "hook_attn_out",
};

/** sparsify names folders after modules: layers.12 is a block's output. */
function hookOf(folder: string): string | undefined {
  const [, layer, part = ""] = /(?:^|\.)(?:layers|h)\.(\d+)(?:\.(.+))?$/.exec(folder) ?? [];
  const hook = Object.hasOwn(MODULES, part) ? MODULES[part] : undefined;
  return layer === undefined || hook === undefined ? undefined : `blocks.${layer}.${hook}`;
}
