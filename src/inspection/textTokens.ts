// A text's tokens with the range of characters (UTF-16) that each stands for, whatever the script.
import { utf8Length } from "../model/alignedText.ts";
import type { Tokenizer } from "../model/languageModel.ts";

export interface TextToken {
  readonly id: number;
  /** UTF-16 units of the text. Tokens that share a character all have the whole of it. */
  readonly start: number;
  readonly end: number;
}

export function textTokens(text: string, tokenizer: Tokenizer): TextToken[] {
  const units = unitsOfBytes(text);
  const tokens = tokenizer.encode(text).map(({ id, start, end }) => ({ id, start: units[start]!, end: units[end]! }));
  return withJoinedCharacters(text, tokens);
}

/** Marks and Hangul letters that a normaliser can join with the character before. */
const JOINED = /^[\p{M}\u1100-\u11ff]/u;

/** What was joined with a character has no token of its own: it belongs to those of that character. */
function withJoinedCharacters(text: string, tokens: TextToken[]): TextToken[] {
  const covered = new Uint8Array(text.length);
  for (const { start, end } of tokens) covered.fill(1, start, end);
  if (!covered.includes(0)) return tokens;
  const joinedTo = (end: number): number => {
    const length = end < text.length && !covered[end] ? (JOINED.exec(text.slice(end, end + 2))?.[0].length ?? 0) : 0;
    return length === 0 ? end : joinedTo(end + length);
  };
  return tokens.map((token) => (token.end > token.start ? { ...token, end: joinedTo(token.end) } : token));
}

/** For each byte of the text's UTF-8 (and its end), the unit where its character begins. */
function unitsOfBytes(text: string): Uint32Array {
  const units: number[] = [];
  let unit = 0;
  for (const character of text) {
    for (let i = utf8Length(character); i > 0; i--) units.push(unit);
    unit += character.length;
  }
  units.push(unit);
  return Uint32Array.from(units);
}

/**
 * Share of a text's characters that its tokenizer doesn't know: they are spelled byte by byte, or stand as "unknown".
 * White space doesn't count.
 */
export function unknownShare(text: string, tokens: readonly TextToken[], tokenizer: Tokenizer): number {
  const covered = new Map<string, number>();
  for (const { start, end } of tokens) covered.set(`${start} ${end}`, (covered.get(`${start} ${end}`) ?? 0) + 1);
  let characters = 0;
  let unknown = 0;
  for (const [key, count] of covered) {
    const [start, end] = key.split(" ").map(Number) as [number, number];
    const part = [...text.slice(start, end)];
    const visible = part.filter((character) => character.trim() !== "").length;
    characters += visible;
    // Several tokens for one character: bytes of it.
    if (count > 1 && part.length === 1) unknown += visible;
  }
  for (const { id, start, end } of tokens) {
    if (tokenizer.specialIds.has(id) && text.slice(start, end) !== tokenizer.tokenText(id)) unknown += end - start;
  }
  return characters === 0 ? 0 : Math.min(1, unknown / characters);
}
