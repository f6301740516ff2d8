// Where each token lies in its text, in bytes of UTF-8: found again after tokenization by walking over the normalised text.
import { type AlignedText, originalText, utf8Length } from "./alignedText.ts";
import { type TokenSpelling, tokenBytes } from "./tokenBytes.ts";

export interface RangeRules {
  readonly spelling: TokenSpelling;
  /** The whole preparation of a piece between added tokens; `first` for the one that begins the text. */
  readonly prepare: (piece: AlignedText, first: boolean) => AlignedText;
  /** Added tokens by the text that they match. */
  readonly added: ReadonlyMap<string, { readonly lstrip: boolean; readonly rstrip: boolean }>;
  /** Stands for what the vocabulary has no name for. */
  readonly unknown: string | null;
  /** Spaces at a token's edges are left out of its range (ByteLevel's `trim_offsets`). */
  readonly trim: boolean;
}

export interface ByteRange {
  start: number;
  end: number;
}

/**
 * Ranges of `tokens`, which must be what the tokenizer made of `text`. Tokens that share a character all have its whole range.
 * Throws Error where tokens and text don't go together: that is a fault here, never in the text.
 */
export function tokenRanges(text: string, tokens: readonly string[], rules: RangeRules): ByteRange[] {
  const ranges: ByteRange[] = [];
  /** Next unit of the text, and the byte where it lies. */
  let unit = 0;
  let byte = 0;
  const advance = (to: number) => {
    byte += Buffer.byteLength(text.slice(unit, to));
    unit = to;
  };
  for (let next = 0; next < tokens.length; ) {
    // The run of ordinary tokens up to the next added one, and the text that it covers.
    let stop = next;
    while (stop < tokens.length && !rules.added.has(tokens[stop]!)) stop++;
    const until = stop === tokens.length ? text.length : text.indexOf(tokens[stop]!, unit);
    if (until < 0) throw new Error(`token ${tokens[stop]} is not in the text after unit ${unit}`);
    if (stop > next) {
      const piece = rules.prepare(originalText(text.slice(unit, until), byte), unit === 0);
      walk(piece, tokens.slice(next, stop), rules, ranges);
    }
    advance(until);
    if (stop === tokens.length) break;
    const { lstrip, rstrip } = rules.added.get(tokens[stop]!)!;
    const before = lstrip ? trailingSpaceBytes(text.slice(0, unit)) : 0;
    const start = byte - before;
    advance(until + tokens[stop]!.length);
    if (rstrip) advance(unit + text.slice(unit).length - text.slice(unit).trimStart().length);
    // Added tokens may be nothing but spaces themselves (GPT-NeoX).
    const blank = rules.trim && tokens[stop]!.trim() === "";
    ranges.push({ start: blank ? byte : start, end: byte });
    next = stop + 1;
  }
  return ranges;
}

function trailingSpaceBytes(text: string): number {
  return Buffer.byteLength(text.slice(text.trimEnd().length));
}

/** Ranges of ordinary tokens over one prepared piece. */
function walk(piece: AlignedText, tokens: readonly string[], rules: RangeRules, ranges: ByteRange[]): void {
  const bytes = Buffer.from(piece.text);
  const { starts, ends } = byteAlignment(piece, bytes.length);
  let at = 0;
  for (const [i, token] of tokens.entries()) {
    let from = at;
    if (token === rules.unknown) {
      const known = tokens.slice(i + 1).find((other) => other !== rules.unknown);
      const stop = known === undefined ? bytes.length : bytes.indexOf(named(known, rules), at + 1);
      at = stop < 0 ? bytes.length : stop;
    } else {
      const name = named(token, rules);
      // Pre-tokenizers may drop characters, so a token can begin later than the last one ended.
      from = startsWith(bytes, name, at) ? at : bytes.indexOf(name, at);
      if (from < 0) throw new Error(`token ${token} is not in ${JSON.stringify(piece.text)} after byte ${at}`);
      at = from + name.length;
    }
    if (rules.trim) ranges.push(trimmed(bytes, from, at, starts, ends));
    else ranges.push({ start: starts[from] ?? 0, end: ends[Math.max(at - 1, 0)] ?? 0 });
  }
}

function named(token: string, rules: RangeRules): Uint8Array {
  return tokenBytes(token, rules.spelling) ?? Buffer.from(token);
}

function startsWith(bytes: Uint8Array, name: Uint8Array, at: number): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}

/** The alignment a byte of the prepared text, instead of a UTF-16 unit. */
function byteAlignment(piece: AlignedText, length: number): { starts: number[]; ends: number[] } {
  const starts = new Array<number>(length);
  const ends = new Array<number>(length);
  let unit = 0;
  let byte = 0;
  for (const character of piece.text) {
    for (let i = utf8Length(character); i > 0; i--, byte++) {
      starts[byte] = piece.starts[unit]!;
      ends[byte] = piece.ends[unit]!;
    }
    unit += character.length;
  }
  return { starts, ends };
}

/** A token of spaces only keeps an empty range at its end. */
function trimmed(bytes: Uint8Array, from: number, to: number, starts: number[], ends: number[]): ByteRange {
  let first = from;
  let last = to;
  while (first < to && bytes[first] === 0x20) first++;
  if (first === to) return { start: ends[to - 1]!, end: ends[to - 1]! };
  while (last > first && bytes[last - 1] === 0x20) last--;
  return { start: starts[first]!, end: ends[last - 1]! };
}
