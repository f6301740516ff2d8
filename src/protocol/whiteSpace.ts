// How white space and control characters are written where tokens are shown: the same signs in views, hovers and lists.

export const whiteSpaceSigns: Readonly<Record<string, string>> = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍" };

/** A token's text with its white space as signs; other control characters as bytes that are no text are, "⟨1A⟩". */
export function withSigns(text: string): string {
  const code = (character: string) => character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
  return text.replace(/[ \p{Cc}]/gu, (character) => whiteSpaceSigns[character] ?? `⟨${code(character)}⟩`);
}
