// Tokens of a text as it is read: those that hold one character's bytes between them (an emoji of four tokens) stand together as that character.

export interface JoinedTokens<T> {
  readonly text: string;
  /** Place of the first one. */
  readonly from: number;
  /** More than one: only together are they the text. */
  readonly tokens: readonly T[];
}

/** Most tokens that stand together: a character has at most four bytes, and one token may end a character and begin the next. */
const mostJoined = 8;
/** Bytes that are no text by themselves, as a tokenizer's text names them: "⟨F0⟩⟨9F⟩". */
const bytes = /(?:⟨[89A-F][0-9A-F]⟩)+/g;
const endsInBytes = /⟨[89A-F][0-9A-F]⟩$/;
const beginsInBytes = /^⟨[89A-F][0-9A-F]⟩/;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function joinedTokens<T extends { readonly text: string }>(tokens: readonly T[]): JoinedTokens<T>[] {
  const joined: JoinedTokens<T>[] = [];
  for (let from = 0; from < tokens.length; from += joined.at(-1)!.tokens.length)
    joined.push(joinedFrom(tokens, from) ?? { text: tokens[from]!.text, from, tokens: [tokens[from]!] });
  return joined;
}

/** What begins inside a character at a token and ends at a whole one; undefined where the tokens behind it don't complete it. */
function joinedFrom<T extends { readonly text: string }>(
  tokens: readonly T[],
  from: number,
): JoinedTokens<T> | undefined {
  let named = tokens[from]!.text;
  for (let to = from + 1; to < Math.min(tokens.length, from + mostJoined); to++) {
    if (!endsInBytes.test(named) || !beginsInBytes.test(tokens[to]!.text)) return undefined;
    named += tokens[to]!.text;
    const text = withCharacters(named);
    if (text !== undefined) return { text, from, tokens: tokens.slice(from, to + 1) };
  }
  return undefined;
}

/** The text with its named bytes as the characters that they are; undefined where they are none. */
function withCharacters(named: string): string | undefined {
  try {
    return named.replace(bytes, (run) =>
      strict.decode(Uint8Array.from(run.slice(1, -1).split("⟩⟨"), (byte) => Number.parseInt(byte, 16))),
    );
  } catch {
    return undefined;
  }
}
