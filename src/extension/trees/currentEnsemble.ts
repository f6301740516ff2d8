// Which ensemble the Features view shows, by what is known of the workspace's ensembles.
import type { EnsembleEntry } from "../../protocol/service.ts";

export interface CurrentEnsemble {
  /** Folder; undefined for none. */
  readonly folder: string | undefined;
  /** When its index was written, in milliseconds since 1970: rows of an index of another time are old. Null where it has none. */
  readonly indexTime: number | null;
}

/** The one that is shown, as long as it is there; then the first that has an index. */
export function currentEnsemble(ensembles: readonly EnsembleEntry[], shown: string | undefined): CurrentEnsemble {
  const entry = ensembles.find(({ folder }) => folder === shown) ?? ensembles.find(({ indexed }) => indexed);
  return { folder: entry?.folder, indexTime: entry?.indexTime ?? null };
}
