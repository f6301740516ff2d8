// Rows of tokens cut into the windows of text that an index shows and searches.
import type { Tokenizer } from "../model/languageModel.ts";

/** A row of tokens as the model reads it, with the place in its document that each token came from. */
export interface IndexRow {
  /** At most 65,535 tokens, without padding. */
  readonly ids: Int32Array;
  /** Number of each token's document in the order of the text source; negative for tokens of none (BOS). */
  readonly documents: ArrayLike<number>;
  /** Range of bytes in the document's UTF-8. */
  readonly starts: ArrayLike<number>;
  readonly ends: ArrayLike<number>;
}

/** A stretch of a row, tokens [from, to). Activations are looked for in its own part, [own, to); what comes before is context from the window before. */
export interface IndexWindow {
  readonly from: number;
  readonly own: number;
  readonly to: number;
}

/**
 * Cuts a row of `length` tokens into the fewest windows of at most `windowTokens` own tokens, as equal as can be; every
 * window but the first begins `leadTokens` earlier, so that no peak stands without its context. Own parts do not overlap and cover the row.
 */
export function cutIntoWindows(length: number, windowTokens: number, leadTokens: number): IndexWindow[] {
  const pieces = Math.ceil(length / windowTokens);
  return Array.from({ length: pieces }, (_, piece) => {
    const own = Math.floor((piece * length) / pieces);
    return {
      from: piece === 0 ? 0 : Math.max(0, own - leadTokens),
      own,
      to: Math.floor(((piece + 1) * length) / pieces),
    };
  });
}

/** The text of a window for the full-text search: documents on lines of their own, special tokens left out. */
export function windowText(row: IndexRow, window: IndexWindow, tokenizer: Tokenizer): string {
  const parts: string[] = [];
  let run: number[] = [];
  let document = Number.NaN;
  const flush = () => {
    if (run.length > 0) parts.push(tokenizer.decode(run));
    run = [];
  };
  for (let t = window.from; t < window.to; t++) {
    const id = row.ids[t]!;
    if (tokenizer.specialIds.has(id) || row.documents[t] !== document) {
      flush();
      document = row.documents[t]!;
    }
    if (!tokenizer.specialIds.has(id)) run.push(id);
  }
  flush();
  return parts.join("\n");
}
