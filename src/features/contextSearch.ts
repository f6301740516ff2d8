// Text as full-text search sees it, in the index and in the question: the two must agree.

/** Scripts that put no spaces between words: each character counts as a word, so that a phrase finds them anywhere. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/gu;

/** What is given to FTS5's unicode61 tokenizer, which splits at everything but letters and digits. */
export function searchableText(text: string): string {
  return text.replace(unspaced, " $& ").replaceAll("\0", " ");
}

/**
 * An FTS5 query for a phrase, whatever a person typed: all of it is quoted, so none of it is syntax. The last word may be
 * begun only, if it has three letters or more and no space follows it. null where there is no word in it, which finds nothing.
 */
export function phraseQuery(text: string): string | null {
  const searchable = searchableText(text);
  const words = searchable.match(/[\p{L}\p{N}\p{M}]+/gu);
  if (!words) return null;
  const last = words.at(-1)!;
  const begun = [...last].length >= 3 && text.endsWith(last);
  return `"${searchable.replaceAll('"', '""')}"${begun ? " *" : ""}`;
}
