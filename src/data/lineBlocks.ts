// A text file, plain or gzip, as blocks of whole lines of valid UTF-8, in bounded memory; not yet split into documents.
import { isUtf8 } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { InputError, unreadable } from "../formats/inputError.ts";

/** Longest line, CSV field and document that is read, in bytes. A file without line ends would fill the memory otherwise. */
export const LONGEST_TEXT = 64 * 2 ** 20;

const CHUNK = 2 ** 18;
const NEWLINE = 10;

/** Whole lines, each with its line end ("\n" or "\r\n") except perhaps the file's last. */
export interface LineBlock {
  readonly bytes: Buffer;
  /** Number of the block's first line in the file, from 1. */
  readonly line: number;
}

/**
 * Streams a file's lines. Gzip is known by its first bytes; a byte order mark is left out.
 * Throws InputError for a file that can't be read, gzip data that is broken or cut short, bytes that aren't UTF-8 (nothing is
 * replaced: a silent � would be trained on), and a line longer than LONGEST_TEXT.
 */
export async function* lineBlocks(path: string): AsyncGenerator<LineBlock> {
  const stream = await openBytes(path);
  let line = 1;
  let first = true;
  let rest: Buffer[] = [];
  let restLength = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const end = chunk.lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        const bytes = checked(path, Buffer.concat([...rest, chunk.subarray(0, end)]), line, first);
        first = false;
        yield { bytes, line };
        line += countLines(bytes);
        rest = [];
        restLength = 0;
      }
      if (end < chunk.length) {
        rest.push(chunk.subarray(end));
        restLength += chunk.length - end;
        if (restLength > LONGEST_TEXT) {
          const found = `a line of more than ${LONGEST_TEXT / 2 ** 20} MiB`;
          throw new InputError({ file: path, where: `line ${line}`, found, expected: "shorter lines" });
        }
      }
    }
    if (restLength > 0) {
      const bytes = checked(path, Buffer.concat(rest), line, first);
      if (bytes.length > 0) yield { bytes, line };
    }
  } catch (error) {
    throw asInputError(error, path, `after line ${line - 1}`);
  }
}

/** The same, line by line, line ends left out. */
export async function* lines(path: string): AsyncGenerator<{ text: string; line: number }> {
  for await (const block of lineBlocks(path)) yield* linesOf(block);
}

/** The lines of one block, line ends left out. */
export function* linesOf(block: LineBlock): Generator<{ text: string; line: number }> {
  let line = block.line;
  let start = 0;
  const { bytes } = block;
  while (start < bytes.length) {
    const newline = bytes.indexOf(NEWLINE, start);
    const next = newline < 0 ? bytes.length : newline + 1;
    let end = newline < 0 ? bytes.length : newline;
    if (end > start && bytes[end - 1] === 13) end--;
    yield { text: bytes.toString("utf8", start, end), line };
    line++;
    start = next;
  }
}

/** A file's bytes, unpacked if they are gzip. The stream's own errors are plain ones: see asInputError. */
export async function openBytes(path: string): Promise<Readable> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const head = new Uint8Array(4);
    const { bytesRead } = await file.read(head, 0, 4, 0);
    const gzip = bytesRead >= 2 && head[0] === 0x1f && head[1] === 0x8b;
    if (!gzip && bytesRead > 0 && path.endsWith(".gz")) {
      throw new InputError({ file: path, found: "a file that doesn't begin as gzip does", expected: "gzip data" });
    }
    if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) {
      throw new InputError({ file: path, found: "UTF-16", expected: "UTF-8 (iconv -f UTF-16 -t UTF-8 converts it)" });
    }
    const plain = file.createReadStream({ start: 0, highWaterMark: CHUNK });
    if (!gzip) return plain;
    const unpacked = createGunzip({ chunkSize: CHUNK });
    // The callback form takes either stream down with the other; the error itself reaches whoever reads `unpacked`.
    pipeline(plain, unpacked, () => {});
    return unpacked;
  } catch (error) {
    await file?.close();
    throw asInputError(error, path);
  }
}

/** System and zlib errors as what they mean for the file; anything else as it is. */
export function asInputError(error: unknown, path: string, where?: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof InputError || typeof code !== "string") return error;
  if (code.startsWith("Z_")) {
    const found = `gzip data that is broken or cut short (${message})`;
    return new InputError({ file: path, ...(where ? { where } : {}), found, expected: "a whole gzip file" });
  }
  if (["ENOENT", "EACCES", "EISDIR", "EPERM", "ENOTDIR", "EIO"].includes(code)) {
    return new InputError({ file: path, found: unreadable(error), expected: "a readable file" });
  }
  return error;
}

function checked(path: string, bytes: Buffer, line: number, first: boolean): Buffer {
  const withoutMark = first && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? bytes.subarray(3) : bytes;
  if (isUtf8(withoutMark)) return withoutMark;
  for (let start = 0, at = line; start < bytes.length; at++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    if (!isUtf8(bytes.subarray(start, end))) {
      throw new InputError({ file: path, where: `line ${at}`, found: "bytes that are not UTF-8", expected: "UTF-8" });
    }
    start = end;
  }
  return withoutMark;
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
