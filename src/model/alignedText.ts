// A text while a tokenizer normalises it: for every character, the range of the original's bytes that it came from.

/** A piece of text under change. `starts` and `ends` have one entry a UTF-16 unit of `text`, in bytes of the original's UTF-8. */
export interface AlignedText {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** A step of normalisation that keeps the alignment. */
export type Normalizer = (piece: AlignedText) => AlignedText;

/** The normalizer part of a tokenizer.json. */
export type NormalizerConfig = { readonly type: string; readonly [key: string]: unknown };

/** Unchanged text that begins at byte `start` of the original. */
export function originalText(text: string, start: number): AlignedText {
  const starts: number[] = [];
  const ends: number[] = [];
  let at = start;
  for (const character of text) {
    const end = at + utf8Length(character);
    for (let i = 0; i < character.length; i++) {
      starts.push(at);
      ends.push(end);
    }
    at = end;
  }
  return { text, starts, ends };
}

/** Bytes of one character in UTF-8. A lone surrogate becomes U+FFFD there, which has three as well. */
export function utf8Length(character: string): number {
  const code = character.codePointAt(0)!;
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/**
 * The normaliser that a tokenizer.json asks for, or null for a kind that isn't known here.
 * The result's text is the tokenizers library's; the ranges follow its rules as well.
 */
export function normalizerOf(config: NormalizerConfig | null | undefined): Normalizer | null {
  if (!config) return (piece) => piece;
  switch (config.type) {
    case "Sequence": {
      const steps = (config["normalizers"] as NormalizerConfig[]).map(normalizerOf);
      return steps.includes(null) ? null : (piece) => steps.reduce((text, step) => step!(text), piece);
    }
    case "Prepend":
      return (piece) => prepend(piece, config["prepend"] as string, config["owns_nothing"] === true);
    case "Replace": {
      const { String: string, Regex: regex } = config["pattern"] as { String?: string; Regex?: string };
      const pattern = string === undefined ? new RegExp(regex ?? "", "gu") : string;
      return (piece) => replace(piece, pattern, config["content"] as string);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const form = config.type;
      return (piece) => byCluster(piece, (cluster) => cluster.normalize(form));
    }
    case "Lowercase":
      return (piece) => byCluster(piece, (cluster) => cluster.toLowerCase());
    default:
      return null;
  }
}

/**
 * Characters put in front own none of the original: they share the first character's range, as the tokenizers library has it,
 * or have the empty range before it.
 */
export function prepend(piece: AlignedText, prefix: string, empty = false): AlignedText {
  if (piece.text === "") return piece;
  const first = piece.starts[0]!;
  return {
    text: prefix + piece.text,
    starts: [...new Array<number>(prefix.length).fill(first), ...piece.starts],
    ends: [...new Array<number>(prefix.length).fill(empty ? first : piece.ends[0]!), ...piece.ends],
  };
}

/** Every match becomes `content`, which has the match's range. */
export function replace(piece: AlignedText, pattern: string | RegExp, content: string): AlignedText {
  const starts: number[] = [];
  const ends: number[] = [];
  let kept = 0;
  const text = piece.text.replaceAll(pattern, (match: string, ...rest: unknown[]) => {
    const at = rest.find((value) => typeof value === "number") as number;
    for (let i = kept; i < at; i++) copy(i);
    for (let i = 0; i < content.length; i++) {
      starts.push(piece.starts[at] ?? 0);
      ends.push(piece.ends[at + match.length - 1] ?? 0);
    }
    kept = at + match.length;
    return content;
  });
  for (let i = kept; i < piece.text.length; i++) copy(i);
  return { text, starts, ends };

  function copy(i: number): void {
    starts.push(piece.starts[i]!);
    ends.push(piece.ends[i]!);
  }
}

/** A character with the marks that combine with it, or a run of Hangul letters: what normalisation may join or split. */
const CLUSTER = /[\u1100-\u11ff]+|.\p{M}*/gsu;

/** Changes cluster by cluster. The n-th character that comes out has the range of the n-th that went in, or of the last. */
function byCluster(piece: AlignedText, change: (cluster: string) => string): AlignedText {
  const starts: number[] = [];
  const ends: number[] = [];
  const text = piece.text.replace(CLUSTER, (cluster: string, at: number) => {
    const result = change(cluster);
    const places: number[] = [];
    let place = at;
    for (const character of cluster) {
      places.push(place);
      place += character.length;
    }
    for (const [i, character] of [...result].entries()) {
      const from = places[Math.min(i, places.length - 1)]!;
      for (let unit = 0; unit < character.length; unit++) {
        starts.push(piece.starts[from]!);
        ends.push(piece.ends[from]!);
      }
    }
    return result;
  });
  return { text, starts, ends };
}
