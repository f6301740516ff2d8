// What of a document is read as one text each: the part around what is seen, or the cells of jsonl, csv and tsv; with the way back from a text's characters to the document's.
import { visit } from "jsonc-parser";

export type DocumentKind = "text" | "jsonl" | "csv" | "tsv";

/** A range of UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One text for the model. Line ends are "\n" in it whatever the document has, escapes are what they stand for. */
export interface Piece {
  readonly text: string;
  /** [text.length + 1]: where each UTF-16 unit of the text begins in the document; the last one where it ends. */
  readonly places: Uint32Array;
}

/** What is read of a document. */
export interface Seen {
  readonly pieces: readonly Piece[];
  /** Whether everything that is seen is in them. */
  readonly whole: boolean;
}

/** Most characters read at a time, where no more are seen: about 1,500 tokens of English. */
export const MOST_CHARACTERS = 6000;
/** Most that are read of a screen that shows more than that. */
export const MOST_SEEN = 20_000;
/** Characters of context kept before what is seen of a document that is longer. */
const CONTEXT = 2000;
/** Windows begin at multiples of this (or the next line), so that scrolling a little doesn't begin anew. */
const STEP = 1000;

/** The texts of a document that its visible part shows. */
export function piecesOf(document: string, kind: DocumentKind, visible: Span): Seen {
  if (kind === "text") {
    const window = textWindow(document, visible);
    return { pieces: [textPiece(document, window)], whole: covers(window, visible, document.length) };
  }
  const cells = kind === "jsonl" ? jsonCells(document, visible) : tableCells(document, kind === "csv" ? "," : "\t");
  const lineEnd = document.indexOf("\n", visible.end);
  const last = lineEnd < 0 ? document.length : lineEnd;
  const pieces: Piece[] = [];
  let characters = 0;
  for (const cell of cells) {
    const [from, to] = [cell.places[0]!, cell.places.at(-1)!];
    if (to < visible.start || cell.text.trim() === "") continue;
    if (from > last) break;
    // What is not seen of the last line comes along only where there is room for it anyway.
    const seen = from < visible.end;
    const room = (seen ? MOST_SEEN : MOST_CHARACTERS) - characters;
    if (room <= 0) return { pieces, whole: !seen };
    const within = { start: unitAt(cell, visible.start), end: unitAt(cell, visible.end) };
    const window = textWindow(cell.text, within, room);
    characters += window.end - window.start;
    pieces.push(part(cell, window));
    if (seen && !covers(window, within, cell.text.length)) return { pieces, whole: false };
  }
  return { pieces, whole: true };
}

function covers(window: Span, visible: Span, length: number): boolean {
  return window.start <= visible.start && window.end >= Math.min(visible.end, length);
}

/** The first unit of a piece's text that stands at a place of the document or after it. */
function unitAt({ text, places }: Piece, place: number): number {
  const unit = places.findIndex((at) => at >= place);
  return unit < 0 ? text.length : unit;
}

function part({ text, places }: Piece, { start, end }: Span): Piece {
  return { text: text.slice(start, end), places: places.slice(start, end + 1) };
}

/** What stands before a cursor, for the model to go on from: of a table or jsonl the cell's part; null outside of any cell. */
export function textBefore(document: string, kind: DocumentKind, offset: number): string | null {
  if (kind === "text") {
    const from = wholeCharacter(document, Math.max(0, offset - MOST_CHARACTERS));
    return textPiece(document, { start: from, end: offset }).text;
  }
  const line = { start: offset, end: offset };
  for (const { text, places } of kind === "jsonl"
    ? jsonCells(document, line)
    : tableCells(document, kind === "csv" ? "," : "\t")) {
    if (places[0]! > offset || places.at(-1)! < offset) continue;
    const before = places.findIndex((place) => place >= offset);
    return text.slice(0, before);
  }
  return null;
}

/** Everything, or from some context before the visible part to its end; where there is no room for both, less context. */
export function textWindow(document: string, visible: Span, room = MOST_SEEN): Span {
  if (document.length <= Math.min(MOST_CHARACTERS, room)) return { start: 0, end: document.length };
  const from = Math.floor(Math.max(0, visible.start - CONTEXT) / STEP) * STEP;
  const line = from === 0 ? -1 : document.lastIndexOf("\n", from - 1);
  const seenEnd = Math.min(visible.end, document.length);
  const withContext = from - line > CONTEXT ? from : line + 1;
  const begin = Math.max(withContext, Math.min(visible.start, seenEnd - room));
  // In a line longer than all that, the window begins inside of it, never inside a surrogate pair.
  const start = wholeCharacter(document, begin);
  const end = Math.max(start + MOST_CHARACTERS, Math.ceil(seenEnd / STEP) * STEP);
  return { start, end: wholeCharacter(document, Math.min(document.length, start + room, end)) };
}

function wholeCharacter(document: string, at: number): number {
  return /[\uDC00-\uDFFF]/.test(document[at] ?? "") && /[\uD800-\uDBFF]/.test(document[at - 1] ?? "") ? at - 1 : at;
}

class PieceBuilder {
  #text = "";
  readonly #places: number[] = [];

  /** Characters that stand in the document at `start`…`end` − 1. */
  add(characters: string, start: number): void {
    for (let i = 0; i < characters.length; i++) this.#places.push(start);
    this.#text += characters;
  }

  finish(end: number): Piece {
    return { text: this.#text, places: Uint32Array.from([...this.#places, end]) };
  }
}

function textPiece(document: string, { start, end }: Span): Piece {
  const builder = new PieceBuilder();
  for (let at = start; at < end; ) {
    if (document.startsWith("\r\n", at)) {
      builder.add("\n", at);
      at += 2;
    } else {
      builder.add(document[at]!, at);
      at++;
    }
  }
  return builder.finish(end);
}

/** String values of the lines that are seen, keys left out. What is no JSON has no cells. */
function* jsonCells(document: string, visible: Span): Generator<Piece> {
  let line = document.lastIndexOf("\n", visible.start - 1) + 1;
  for (; line <= visible.end && line < document.length; ) {
    const next = document.indexOf("\n", line);
    const end = next < 0 ? document.length : next;
    const cells: Piece[] = [];
    visit(document.slice(line, end), {
      onLiteralValue: (value, offset, length) => {
        if (typeof value === "string") cells.push(jsonString(document, line + offset, line + offset + length));
      },
    });
    yield* cells;
    line = end + 1;
  }
}

/** `start` and `end` are the quotes' outer sides. */
function jsonString(document: string, start: number, end: number): Piece {
  const builder = new PieceBuilder();
  let at = start + 1;
  while (at < end - 1) {
    const length = document[at] !== "\\" ? 1 : document[at + 1] === "u" ? 6 : 2;
    const written = document.slice(at, at + length);
    builder.add(length === 1 ? written : unescaped(written), at);
    at += length;
  }
  return builder.finish(Math.max(start + 1, end - 1));
}

function unescaped(written: string): string {
  try {
    return JSON.parse(`"${written}"`) as string;
  } catch {
    return written;
  }
}

/** Cells of a table (RFC 4180) that are neither empty nor numbers. `document` begins with a record. */
function* tableCells(document: string, delimiter: string): Generator<Piece> {
  for (let at = 0; at < document.length; ) {
    const builder = new PieceBuilder();
    let end: number;
    if (document[at] === '"') {
      let next = at + 1;
      while (next < document.length && (document[next] !== '"' || document[next + 1] === '"')) {
        const quote = document[next] === '"';
        const lineEnd = document.startsWith("\r\n", next);
        builder.add(lineEnd ? "\n" : document[next]!, next);
        next += quote || lineEnd ? 2 : 1;
      }
      end = next;
      at = Math.min(document.length, next + 1);
    } else {
      while (at < document.length && document[at] !== delimiter && !/[\r\n]/.test(document[at]!)) {
        builder.add(document[at]!, at);
        at++;
      }
      end = at;
    }
    const cell = builder.finish(end);
    if (!isNumber(cell.text)) yield cell;
    while (at < document.length && document[at] !== delimiter && !/[\r\n]/.test(document[at]!)) at++;
    at++;
  }
}

/** Numbers, dates, times, nothing: what a table's other columns hold. */
function isNumber(text: string): boolean {
  return /^[\s\d.,:%+\-/]*$/.test(text) || Number.isFinite(Number(text));
}
