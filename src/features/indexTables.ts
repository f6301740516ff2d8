// Small agreements between the writer and the readers of an index's tables.

/** Windows whose features are stored together, in one row of window_features. */
export const windowBlock = 4096;

/** A token's text as a search by word sees it: the vocabulary's `word`. */
export function tokenWord(text: string): string {
  return text.trim().toLowerCase();
}

/** Cosine from which a feature counts as found in another member (the 0.7 of diversity, definitions of the paper). */
export const foundCosine = 0.7;

/** Compared in float32, as cosines are stored, so that every reader comes to the same count. */
export function isFound(cosine: number, threshold: number): boolean {
  return Math.fround(cosine) >= Math.fround(threshold);
}
