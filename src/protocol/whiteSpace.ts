// How white space is written where tokens are shown: the same signs in views, hovers and lists.

export const whiteSpaceSigns: Readonly<Record<string, string>> = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍" };

/** A token's text with its white space as signs. */
export function withSigns(text: string): string {
  return text.replace(/[ \n\t\r]/g, (character) => whiteSpaceSigns[character]!);
}
