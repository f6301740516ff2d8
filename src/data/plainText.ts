// Documents of a plain text file: where one ends and the next begins.
import { InputError } from "../formats/inputError.ts";
import { LONGEST_TEXT, lineBlocks, linesOf } from "./lineBlocks.ts";

/**
 * What separates documents.
 * - "auto": lines that are exactly <|endoftext|> if there is one in the first MiB, else blank lines (and any such line
 *   further on). A file with neither is one document: lines alone never separate, since most files are merely wrapped.
 * - "blank_line": blank lines, and <|endoftext|> lines.
 * - "endoftext": <|endoftext|> lines alone; blank lines are part of a document.
 * - "line": every line that isn't blank is a document.
 */
export type DocumentSeparator = "auto" | "blank_line" | "endoftext" | "line";

const END_OF_TEXT = "<|endoftext|>";
const LOOK_AHEAD = 2 ** 20;

/** Documents without the blank lines around them, and the line on which each begins. Empty documents are left out. */
export async function* plainTextDocuments(
  path: string,
  separator: DocumentSeparator,
): AsyncGenerator<{ text: string; line: number }> {
  const rule = separator === "auto" ? await ruleOf(path) : separator;
  let document: string[] = [];
  let length = 0;
  let begin = 0;
  for await (const block of lineBlocks(path)) {
    for (const { text, line } of linesOf(block)) {
      const blank = text.trim() === "";
      const ends = rule === "line" ? true : text === END_OF_TEXT || (blank && rule === "blank_line");
      if (!blank && (!ends || rule === "line")) {
        if (document.length === 0) begin = line;
        document.push(text);
        length += text.length + 1;
      } else if (!ends && document.length > 0) {
        document.push(text);
        length++;
      }
      if (length > LONGEST_TEXT) {
        throw new InputError({
          file: path,
          where: `line ${begin}`,
          found: `a document of more than ${LONGEST_TEXT / 2 ** 20} MiB`,
          expected: `documents separated by ${rule === "endoftext" ? `${END_OF_TEXT} lines` : "blank lines"} (or say that each line is one)`,
        });
      }
      if (ends && document.length > 0) {
        yield { text: joined(document), line: begin };
        document = [];
        length = 0;
      }
    }
  }
  if (document.length > 0) yield { text: joined(document), line: begin };
}

function joined(document: string[]): string {
  while (document.at(-1)!.trim() === "") document.pop();
  return document.join("\n");
}

async function ruleOf(path: string): Promise<DocumentSeparator> {
  let seen = 0;
  for await (const block of lineBlocks(path)) {
    for (const { text } of linesOf(block)) {
      if (text === END_OF_TEXT) return "endoftext";
      seen += text.length + 1;
      if (seen > LOOK_AHEAD) return "blank_line";
    }
  }
  return "blank_line";
}
