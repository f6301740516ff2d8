// What reading an SAE in any layout gives, and what a person may say that the files don't.
import { InputError } from "../../formats/inputError.ts";
import type { Sae, SaeMetadata } from "../sae.ts";

/** What the files may leave open. */
export interface OpenOptions {
  /** Of a bare state dict: how it selects. */
  readonly architecture?: "standard" | "topk" | "jumprelu";
  /** Active features a token, where no file says so. */
  readonly k?: number;
  /** dictionary_learning's class, where the files don't name it. */
  readonly dict_class?: string;
  /** Where no file says so, or the path alone hints at it. */
  readonly hook_name?: string;
  readonly model_name?: string;
}

export interface OpenedSae {
  readonly sae: Sae;
  /** For people: "SAELens 6", "dictionary_learning, BatchTopKSAE", … */
  readonly layout: string;
  /** The file of the weights. */
  readonly path: string;
  /** What a person should know before trusting it. */
  readonly warnings: readonly string[];
}

/** Metadata with the person's word over the files'. */
export function metadataWith(found: SaeMetadata, options: OpenOptions): SaeMetadata {
  return {
    ...found,
    ...(options.hook_name !== undefined && { hook_name: options.hook_name }),
    ...(options.model_name !== undefined && { model_name: options.model_name }),
  };
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
