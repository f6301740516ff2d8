// A state dict with SAELens' tensors and what SAELens says of them beside it: {state_dict, cfg} as people save it, or a cfg.json beside a file of torch's.
import { brief } from "../../formats/brief.ts";
import { InputError } from "../../formats/inputError.ts";
import { tensorOf } from "../../formats/tensorFile.ts";
import { checkFinite } from "../parameters.ts";
import { parameterNames, type SaeWeights } from "../sae.ts";
import { parseSaeLensConfig } from "../saeLensConfig.ts";
import { checkOtherTensors } from "../saeLensFolder.ts";
import { lengthOf, readMatrices, readScalar, readVector } from "./matrices.ts";
import { metadataWith, type OpenedSae, type OpenOptions, thresholdWarnings } from "./opened.ts";
import { besideWarnings, type StateDict } from "./stateDict.ts";

/** Keys of SAELens that say how an SAE selects and what it does with b_dec; others write d_in and k as well. */
const KEYS = ["architecture", "activation_fn_str", "apply_b_dec_to_input", "sae_lens_version"];

/** Whether the tensors have SAELens' names and the configuration its words. */
export function isSaeLensDict({ tensors, config }: StateDict): boolean {
  const named = ["W_enc", "W_dec", "b_dec"].every((name) => tensors.has(name));
  return named && KEYS.some((key) => config.has(key)) && !config.has("dict_class");
}

/** Throws InputError. */
export async function readSaeLensDict(file: StateDict, options: OpenOptions): Promise<OpenedSae> {
  const F = lengthOf(file, file.tensors.has("b_gate") ? "b_gate" : "b_enc");
  const d = lengthOf(file, "b_dec");
  const json = JSON.stringify({ d_in: d, d_sae: F, ...plain(file.config) });
  const { config, skip } = parseSaeLensConfig(json, file.path);
  const { architecture, d_in, d_sae, d_out = d_in } = config;
  for (const [where, found, expected] of [
    ["d_sae", d_sae, F],
    [config.d_out === undefined ? "d_in" : "d_out", d_out, d],
  ] as const) {
    if (found === expected) continue;
    const weights = `${expected}, as the weights have`;
    throw new InputError({ file: file.path, where, found: `${found} by the configuration`, expected: weights });
  }
  await checkOtherTensors(file, config, skip);
  const { W_enc, W_dec } = await readMatrices(
    file,
    { name: "W_enc", orientation: "columns" },
    { name: "W_dec", orientation: "rows" },
    { F, d_in, d_out },
  );
  const weights: SaeWeights = { W_enc, W_dec, b_dec: await readVector(file, "b_dec", d) };
  for (const name of parameterNames(architecture)) weights[name] ??= await readVector(file, name, F);
  if (skip) {
    weights.W_skip = await tensorOf(file, "W_skip", [d_out, d_in]);
    checkFinite(file.path, "W_skip", weights.W_skip);
  }
  const topk_threshold = architecture === "batchtopk" ? await readScalar(file, "topk_threshold") : undefined;
  if (architecture === "batchtopk" && topk_threshold === undefined) {
    const expected = "one: without it every positive feature would fire";
    throw new InputError({ file: file.path, where: "topk_threshold", found: "no such tensor", expected });
  }
  const metadata = metadataWith(config.metadata, options);
  const sae = { config: { ...config, metadata }, weights, ...(topk_threshold !== undefined && { topk_threshold }) };
  const warnings = [...besideWarnings(file), ...thresholdWarnings(sae)];
  return { sae, layout: "SAELens, in a state dict", path: file.path, warnings };
}

/** What JSON can hold of a configuration, dicts one level deep: a pickle's may hold itself. */
function plain(said: ReadonlyMap<unknown, unknown>, deep = true): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (const [key, value] of said) {
    if (typeof key !== "string") continue;
    if (value instanceof Map) {
      if (deep) entries.push([key, plain(value, false)]);
    } else if (Array.isArray(value)) {
      if (value.every((one) => typeof one === "number")) entries.push([key, value]);
    } else if (typeof value === "bigint") entries.push([key, brief(value)]);
    else if (typeof value !== "object" || value === null || isJson(value)) entries.push([key, value]);
  }
  return Object.fromEntries(entries);
}

/** An object of cfg.json: a pickle has none that are plain. */
function isJson(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype;
}
