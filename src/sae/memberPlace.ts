// Where an SAE stands in an ensemble, in its own cfg.json: a member's folder is a SAELens folder that anybody may take away from the others. SAELens keeps keys of metadata that it doesn't know.
import { z } from "zod";
import type { EnsembleMethod } from "./ensemble.ts";
import type { SaeMetadata } from "./sae.ts";

const KEY = "ensemble_member";
const placeSchema = z.object({ method: z.string(), member: z.int().nonnegative(), members: z.int().positive() });

/** Metadata with the place of member `member` of `members`; one that is alone has none, and loses an older one. */
export function withPlace(metadata: SaeMetadata, method: EnsembleMethod, member: number, members: number): SaeMetadata {
  return { ...withoutPlace(metadata), ...(members > 1 && { [KEY]: { method, member, members } }) };
}

export function withoutPlace({ [KEY]: _, ...metadata }: SaeMetadata): SaeMetadata {
  return metadata;
}

/** What is to be said of an SAE that is opened apart from its ensemble; empty where it reads what any SAE reads. */
export function placeWarnings(metadata: SaeMetadata): string[] {
  const place = placeSchema.safeParse(metadata[KEY]).data;
  if (place?.method !== "boosting" || place.member === 0) return [];
  return [
    `it is member ${place.member} (of 0 to ${place.members - 1}) of a boosting ensemble and reads what the members before it leave: without these before it, with the method boosting, its features mean little`,
  ];
}
