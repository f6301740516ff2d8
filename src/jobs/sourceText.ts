// The text that an index was made from, at one place: which document of which file, and where in it. What an editor opens when one clicks on a sequence.
import { statSync } from "node:fs";
import { dataFormat } from "../data/records.ts";
import { InputError } from "../formats/inputError.ts";
import { experimentTexts } from "./experimentTexts.ts";
import { experimentOfRun } from "./runRecord.ts";

/** Larger files are not opened in an editor whole. */
const LARGEST_OPENED = 50 * 2 ** 20;

export interface SourceRequest {
  /** Document in the order of the text source, from 0. */
  readonly document: number;
  /** Range of bytes in the document's UTF-8. */
  readonly start: number;
  readonly end: number;
  /** The token that should stand there, as the index has it. */
  readonly token: string;
}

/** From 0, columns in UTF-16 units, as editors count. */
export interface TextPosition {
  readonly line: number;
  readonly character: number;
}

export interface SourcePlace {
  readonly file: string;
  /** Line of the file on which the document begins, from 1; of a Parquet file the row. */
  readonly line: number;
  /** Whether the file itself can be shown: then positions are in it, else in `text`. */
  readonly plain: boolean;
  /** The document. */
  readonly text: string;
  readonly from: TextPosition;
  readonly to: TextPosition;
  /** Whether something else than the token stands there now: the text changed since it was indexed. */
  readonly changed: boolean;
}

/** Throws InputError where the run's text is gone or has no such document any more. */
export async function sourcePlace(
  runFolder: string,
  { document, start, end, token }: SourceRequest,
): Promise<SourcePlace> {
  const experiment = experimentOfRun(runFolder);
  const file = experiment.paths.indexDataset;
  let number = 0;
  for await (const { text, line } of experimentTexts(experiment, "index")) {
    if (number++ < document) continue;
    const bytes = Buffer.from(text);
    const begin = bytes.toString("utf8", 0, start);
    const found = bytes.toString("utf8", start, end);
    const plain =
      dataFormat(file) === "txt" && !file.toLowerCase().endsWith(".gz") && statSync(file).size <= LARGEST_OPENED;
    // White space around a token is the tokenizer's way of marking words.
    const lead = found.length - found.trimStart().length;
    const offset = plain ? line - 1 : 0;
    return {
      file,
      line,
      plain,
      text,
      from: position(begin + found.slice(0, lead), offset),
      to: position(begin + found.trimEnd(), offset),
      changed: !stands(token, found),
    };
  }
  throw new InputError({
    file,
    found: `${number} documents`,
    expected: `a document ${document + 1}, which was there when the index was made`,
  });
}

/** Where a text ends that begins on line `offset`. */
function position(text: string, offset: number): TextPosition {
  const last = text.lastIndexOf("\n");
  return { line: offset + text.split("\n").length - 1, character: text.length - last - 1 };
}

/** Tokens of parts of a character ("⟨E2⟩") can't be compared with text. */
function stands(token: string, found: string): boolean {
  return /⟨[0-9A-F]{2}⟩/.test(token) || token.trim() === found.trim();
}
