// What of a document is read as one text each: the part around what is seen, or the texts among the cells of jsonl, csv and tsv; with the way back from a text's characters to the document's.
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
  const lineEnd = document.indexOf("\n", visible.end);
  const last = lineEnd < 0 ? document.length : lineEnd;
  const pieces: Piece[] = [];
  let characters = 0;
  for (const place of textCells(document, kind)) {
    if (place.end < visible.start) continue;
    if (place.start > last) break;
    const cell = cellPiece(document, kind, place);
    if (cell.text.trim() === "") continue;
    // What is not seen of the last line comes along only where there is room for it anyway.
    const seen = place.start < visible.end;
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
  const cell = textCells(document, kind).find(({ start, end }) => start <= offset && offset <= end);
  if (!cell) return null;
  const { text, places } = cellPiece(document, kind, cell);
  return text.slice(
    0,
    places.findIndex((place) => place >= offset),
  );
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

/** Where a cell's characters stand, without its quotes, and its text (of a table as it is written). */
interface Cell extends Span {
  readonly text: string;
  readonly row: number;
  readonly column: number | string;
}

/** Several words; of scripts that write no spaces between them, four letters. */
const severalWords = /\S\s+\S|[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}]{4}/u;
/** Most words of a column's name. */
const NAME_WORDS = 3;

/** The text that was asked of last, with its cells: scrolling and the cursor ask of the same one again. */
let last: { readonly document: string; readonly kind: DocumentKind; readonly cells: readonly Cell[] } | undefined;

function textCells(document: string, kind: Exclude<DocumentKind, "text">): readonly Cell[] {
  if (last?.kind !== kind || last.document !== document)
    last = { document, kind, cells: findTextCells(document, kind) };
  return last.cells;
}

/**
 * The cells that hold texts: those of the columns (of jsonl the keys) in which half of the cells or more have several words;
 * where there is no such column, all that are no numbers. A table's line of column names is left out.
 */
function findTextCells(document: string, kind: Exclude<DocumentKind, "text">): Cell[] {
  const cells = kind === "jsonl" ? jsonCells(document) : tableCells(document, kind === "csv" ? "," : "\t");
  const rows = kind !== "jsonl" && beginsWithNames(cells) ? cells.filter(({ row }) => row > 0) : cells;
  const words = rows.filter(({ text }) => !isNumber(text));
  const isText = (column: readonly Cell[]) =>
    2 * column.filter(({ text }) => severalWords.test(text)).length >= column.length;
  const texts = new Set(
    [...Map.groupBy(words, ({ column }) => column)].filter(([, column]) => isText(column)).map(([column]) => column),
  );
  return texts.size > 0 ? rows.filter(({ column }) => texts.has(column)) : words;
}

/** Whether a table's first row is followed by others and names their columns: no number, nothing longer than a name. */
function beginsWithNames(cells: readonly Cell[]): boolean {
  const isName = (text: string) => !isNumber(text) && text.trim().split(/\s+/).length <= NAME_WORDS;
  const first = cells.filter(({ row }) => row === 0);
  return first.length < cells.length && first.every(({ text }) => isName(text));
}

/** A cell's text; escapes are what they stand for. */
function cellPiece(document: string, kind: DocumentKind, { start, end }: Span): Piece {
  const builder = new PieceBuilder();
  const quoted = document[start - 1] === '"';
  for (let at = start; at < end; ) {
    const length = kind === "jsonl" ? jsonLength(document, at) : quoted ? tableLength(document, at) : 1;
    const written = document.slice(at, at + length);
    builder.add(length === 1 ? written : kind === "jsonl" ? unescaped(written) : written.at(-1)!, at);
    at += length;
  }
  return builder.finish(end);
}

function jsonLength(document: string, at: number): number {
  return document[at] !== "\\" ? 1 : document[at + 1] === "u" ? 6 : 2;
}

/** In quotes, where a quote is written as two and a line's end is one character. */
function tableLength(document: string, at: number): number {
  return document.startsWith('""', at) || document.startsWith("\r\n", at) ? 2 : 1;
}

function unescaped(written: string): string {
  try {
    return JSON.parse(`"${written}"`) as string;
  } catch {
    return written;
  }
}

/** String values of all lines, each under the key that stands before it. What is no JSON has no cells. */
function jsonCells(document: string): Cell[] {
  const cells: Cell[] = [];
  for (let [line, row] = [0, 0]; line < document.length; row++) {
    const next = document.indexOf("\n", line);
    const end = next < 0 ? document.length : next;
    const start = line + 1;
    let column = "";
    visit(document.slice(line, end), {
      onObjectProperty: (key) => {
        column = key;
      },
      onLiteralValue: (value, offset, length) => {
        if (typeof value !== "string") return;
        const first = start + offset;
        cells.push({ row, column, text: value, start: first, end: first + Math.max(0, length - 2) });
      },
    });
    line = end + 1;
  }
  return cells;
}

/** All cells of a table (RFC 4180). `document` begins with a record. */
function tableCells(document: string, delimiter: string): Cell[] {
  const cells: Cell[] = [];
  const marks = new Set([delimiter, "\r", "\n", undefined]);
  const ends = (at: number) => marks.has(document[at]);
  let [row, column] = [0, 0];
  for (let at = 0; at < document.length; ) {
    const quoted = document[at] === '"';
    const start = quoted ? at + 1 : at;
    let end = start;
    if (quoted) while (end < document.length && !closes(document, end)) end += tableLength(document, end);
    else while (!ends(end)) end++;
    cells.push({ row, column, text: document.slice(start, end), start, end });
    at = quoted ? end + 1 : end;
    while (!ends(at)) at++;
    if (document[at] === delimiter) {
      column++;
      at++;
    } else {
      [row, column] = [row + 1, 0];
      at += document.startsWith("\r\n", at) ? 2 : 1;
    }
  }
  return cells;
}

/** Whether a quoted cell ends here. */
function closes(document: string, at: number): boolean {
  return document[at] === '"' && document[at + 1] !== '"';
}

/** Numbers, dates, times, nothing: what a table's other columns hold. */
function isNumber(text: string): boolean {
  return /^[\s\d.,:%+\-/]*$/.test(text) || Number.isFinite(Number(text));
}
