// A large text file in parts that together are the file: each begins where a line does, and none cuts a character.
import { type FileHandle, open } from "node:fs/promises";
import { InputError } from "../formats/inputError.ts";

/** Bytes of a part, up to the end of a line. */
export const PART_BYTES = 2_000_000;

export interface FilePart {
  readonly text: string;
  /** From 1. */
  readonly part: number;
  readonly parts: number;
  /** Of the whole file. */
  readonly bytes: number;
}

/** A part of a UTF-8 file. A line longer than a part is cut between two characters. Throws InputError for what is no such text, or a part that isn't there. */
export async function readFilePart(path: string, part: number, partBytes = PART_BYTES): Promise<FilePart> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const parts = Math.max(1, Math.ceil(size / partBytes));
    if (!(Number.isInteger(part) && part >= 1 && part <= parts))
      throw new InputError({ file: path, found: `part ${part}`, expected: `1 to ${parts}` });
    const from = part === 1 ? 0 : await boundary(file, (part - 1) * partBytes, partBytes);
    const to = part === parts ? size : await boundary(file, part * partBytes, partBytes);
    const bytes = await bytesAt(file, from, to - from);
    if (bytes.includes(0))
      throw new InputError({ file: path, found: "bytes that are no UTF-8 text", expected: "a text file" });
    const text = bytes.toString("utf8");
    return { text: part === 1 ? text.replace(/^\uFEFF/, "") : text, part, parts, bytes: size };
  } finally {
    await file.close();
  }
}

/** Where the first line begins at `at` or after it; where none does for a whole part, the first character. */
async function boundary(file: FileHandle, at: number, partBytes: number): Promise<number> {
  const bytes = await bytesAt(file, at - 1, partBytes);
  const lineEnd = bytes.indexOf(0x0a);
  if (lineEnd >= 0) return at + lineEnd;
  let start = at;
  while (((bytes[start - at + 1] ?? 0) & 0xc0) === 0x80) start++;
  return start;
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await file.read(buffer, read, length - read, position + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
}
