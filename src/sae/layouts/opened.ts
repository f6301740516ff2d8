// What reading an SAE in any layout gives, and what a person may say that the files don't.
import { InputError } from "../../formats/inputError.ts";
import type { Sae, SaeConfig, SaeMetadata } from "../sae.ts";

/** What the files may leave open. */
export interface OpenOptions {
  /** Of a bare state dict: how it selects. */
  readonly architecture?: "standard" | "topk" | "jumprelu" | undefined;
  /** Active features a token, where no file says so. */
  readonly k?: number | undefined;
  /** dictionary_learning's class, where the files don't name it. */
  readonly dict_class?: string | undefined;
  /** Where no file says so, or the path alone hints at it. */
  readonly hook_name?: string;
  readonly model_name?: string;
}

/** What no file says and a person can: the reader asks rather than guess. */
export class Unsaid extends InputError {
  readonly ask: "architecture" | "k";

  constructor(ask: "architecture" | "k", problem: { file: string; found: string; expected: string }) {
    super({ ...problem, where: ask });
    this.ask = ask;
  }
}

export interface OpenedSae {
  readonly sae: Sae;
  /** For people: "SAELens 6", "dictionary_learning, BatchTopKSAE", … */
  readonly layout: string;
  /** The file of the weights. */
  readonly path: string;
  /** What a person should know before trusting it. */
  readonly warnings: readonly string[];
  /** What was assumed although a person could say it. */
  readonly asks?: "dict_class";
}

/** Metadata: what the files say, then a person's word where they don't, then what the path hints at. */
export function metadataWith(found: SaeMetadata, options: OpenOptions, hinted: SaeMetadata = {}): SaeMetadata {
  const hook_name = found.hook_name ?? options.hook_name ?? hinted.hook_name;
  const model_name = found.model_name ?? options.model_name ?? hinted.model_name;
  return { ...found, ...(hook_name !== undefined && { hook_name }), ...(model_name !== undefined && { model_name }) };
}

/** Whether b_dec is subtracted, for people. */
export function biasWords({ apply_b_dec_to_input }: Pick<SaeConfig, "apply_b_dec_to_input">): string {
  return apply_b_dec_to_input ? "subtracted from the input" : "added to the output only";
}

/** A batchtopk whose threshold lets everything through. */
export function thresholdWarnings({ topk_threshold = 1 }: Sae): string[] {
  if (topk_threshold > 0) return [];
  return [
    `its topk_threshold is ${topk_threshold}: every positive feature fires; expect a much larger L0 than in training`,
  ];
}

/** Throws where a number of active features is missing (Unsaid) or can't be one of an SAE of F features. */
export function checkK(file: { readonly path: string }, k: number | undefined, F: number): asserts k is number {
  if (k !== undefined && Number.isInteger(k) && k >= 1 && k <= F) return;
  const problem = { file: file.path, found: String(k ?? "nothing"), expected: `a whole number from 1 to ${F}` };
  throw k === undefined ? new Unsaid("k", problem) : new InputError({ ...problem, where: "k" });
}

/** JSON text as an object. Throws InputError. */
export function jsonObject(text: string, file: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError({ file, found: (error as Error).message, expected: "JSON" });
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new InputError({ file, found: "no JSON object", expected: "one" });
}
