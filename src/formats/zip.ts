// Zip archives as data formats use them (torch, npz): the directory checked in full, single entries read by position. Nothing is ever unpacked to disk.
import { crc32, inflateRawSync } from "node:zlib";
import { InputError } from "./inputError.ts";
import { readAt, withFile } from "./readAt.ts";

export interface ZipEntry {
  readonly name: string;
  readonly deflated: boolean;
  /** First byte of the entry's data in the file. */
  readonly offset: number;
  /** Bytes in the file. */
  readonly stored: number;
  /** Bytes once inflated; as `stored` where nothing is. */
  readonly size: number;
  readonly crc32: number;
}

export interface ZipArchive {
  readonly path: string;
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

const END = 0x06054b50;
const END_LENGTH = 22;
const END_64 = 0x06064b50;
const END_64_LENGTH = 56;
const LOCATOR_64 = 0x07064b50;
const LOCATOR_64_LENGTH = 20;
const CENTRAL = 0x02014b50;
const CENTRAL_LENGTH = 46;
const LOCAL = 0x04034b50;
const LOCAL_LENGTH = 30;
const LONGEST_COMMENT = 0xffff;
/** A directory is names and numbers: no data format needs more. */
const LONGEST_DIRECTORY = 64 << 20;
/** What deflate may make of an entry: weights don't shrink further, and a small file must not fill the memory. */
const MOST_EXPANSION = 100;
/** Entries up to this size may expand as they like. */
const SMALL_ENTRY = 1 << 20;

/**
 * Reads and checks the directory; no entry's data is read.
 * Throws InputError for what is not a whole zip archive, and for archives in which two readers could see two things: names
 * given twice, names that differ between directory and entry, entries that overlap, paths that leave the archive.
 */
export async function openZip(path: string): Promise<ZipArchive> {
  return withFile(path, async (file, size) => {
    const read = (offset: number, length: number) => readAt(file, path, offset, length);
    const refuse = (where: string, found: string, expected: string): never => {
      throw new InputError({ file: path, where, found, expected });
    };
    const { start, length, count } = await findDirectory(path, size, read);
    if (length > LONGEST_DIRECTORY) refuse("zip directory", `${length} bytes`, `at most ${LONGEST_DIRECTORY}`);
    const directory = await read(start, length);
    const entries = new Map<string, ZipEntry>();
    const ranges: { name: string; from: number; to: number }[] = [];
    let at = 0;
    for (let i = 0; i < count; i++) {
      const record = parseCentral(path, directory, at);
      at = record.end;
      const { name, local, stored } = record;
      const where = `zip entry ${name}`;
      checkName(path, name);
      if (entries.has(name)) refuse(where, "the name twice", "every name once");
      if (local + LOCAL_LENGTH > size) refuse(where, `a place at byte ${local}`, `one before byte ${size}`);
      const head = view(await read(local, LOCAL_LENGTH));
      if (head.getUint32(0, true) !== LOCAL) refuse(where, "no entry at its place", "a zip entry");
      const nameLength = head.getUint16(26, true);
      const offset = local + LOCAL_LENGTH + nameLength + head.getUint16(28, true);
      if (offset + stored > size) refuse(where, `an end at byte ${offset + stored}`, `at most ${size}, the file's end`);
      const localName = decodeName(await read(local + LOCAL_LENGTH, nameLength));
      if (localName !== name) refuse(where, `${localName} at its place`, "the same name in directory and entry");
      entries.set(name, { name, deflated: record.deflated, offset, stored, size: record.size, crc32: record.crc32 });
      ranges.push({ name, from: local, to: offset + stored });
    }
    if (at !== length) refuse("zip directory", `${length - at} bytes after ${count} entries`, "nothing after the last");
    ranges.sort((a, b) => a.from - b.from || a.to - b.to);
    for (const [i, range] of ranges.entries()) {
      const next = ranges[i + 1];
      if (range.to > (next?.from ?? start)) {
        refuse(`zip entry ${range.name}`, `bytes that also belong to ${next?.name ?? "the directory"}`, "no overlap");
      }
    }
    return { path, entries };
  });
}

async function findDirectory(
  path: string,
  size: number,
  read: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<{ start: number; length: number; count: number }> {
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file: path, where: "zip directory", found, expected });
  };
  const tailStart = Math.max(0, size - END_LENGTH - LONGEST_COMMENT);
  const tail = view(await read(tailStart, size - tailStart));
  let at = tail.byteLength - END_LENGTH;
  // The record's comment must reach to the end of the file: a signature inside another comment is none.
  while (
    at >= 0 &&
    !(tail.getUint32(at, true) === END && at + END_LENGTH + tail.getUint16(at + 20, true) === tail.byteLength)
  )
    at--;
  if (at < 0) refuse("no end record: the file is cut short, or no zip archive", "a whole zip archive");
  let count = tail.getUint16(at + 10, true);
  let length = tail.getUint32(at + 12, true);
  let start = tail.getUint32(at + 16, true);
  let directoryEnd = tailStart + at;
  if (count === 0xffff || length === 0xffffffff || start === 0xffffffff) {
    const locator = directoryEnd - LOCATOR_64_LENGTH;
    const place = locator >= 0 ? view(await read(locator, LOCATOR_64_LENGTH)) : undefined;
    if (place?.getUint32(0, true) !== LOCATOR_64) refuse("no zip64 end record", "one, as the numbers stand there");
    const end64 = Number(place!.getBigUint64(8, true));
    if (end64 + END_64_LENGTH > locator) refuse(`a zip64 end record at byte ${end64}`, `one before byte ${locator}`);
    const record = view(await read(end64, END_64_LENGTH));
    if (record.getUint32(0, true) !== END_64) refuse(`no zip64 end record at byte ${end64}`, "one");
    count = Number(record.getBigUint64(32, true));
    length = Number(record.getBigUint64(40, true));
    start = Number(record.getBigUint64(48, true));
    directoryEnd = end64;
  }
  if (start + length > directoryEnd) {
    refuse(`a directory at bytes ${start} to ${start + length}`, `one that ends before byte ${directoryEnd}`);
  }
  if (count * CENTRAL_LENGTH > length)
    refuse(`${count} entries in ${length} bytes`, `at least ${count * CENTRAL_LENGTH} bytes`);
  return { start, length, count };
}

interface Central {
  readonly name: string;
  readonly deflated: boolean;
  readonly local: number;
  readonly stored: number;
  readonly size: number;
  readonly crc32: number;
  /** Where the next record begins. */
  readonly end: number;
}

function parseCentral(path: string, directory: Uint8Array<ArrayBuffer>, at: number): Central {
  const refuse = (where: string, found: string, expected: string): never => {
    throw new InputError({ file: path, where, found, expected });
  };
  if (at + CENTRAL_LENGTH > directory.length) refuse("zip directory", "its end inside an entry", "whole entries");
  const record = view(directory.subarray(at));
  if (record.getUint32(0, true) !== CENTRAL) refuse("zip directory", "no entry where one must be", "an entry");
  const nameEnd = CENTRAL_LENGTH + record.getUint16(28, true);
  const extraEnd = nameEnd + record.getUint16(30, true);
  const length = extraEnd + record.getUint16(32, true);
  if (at + length > directory.length) refuse("zip directory", "its end inside an entry", "whole entries");
  const name = decodeName(directory.subarray(at + CENTRAL_LENGTH, at + nameEnd));
  const where = `zip entry ${name}`;
  if ((record.getUint16(8, true) & 1) !== 0) refuse(where, "encrypted data", "data that is not encrypted");
  const method = record.getUint16(10, true);
  if (method !== 0 && method !== 8) refuse(where, `compression method ${method}`, "0 (stored) or 8 (deflated)");
  const sizes = {
    size: record.getUint32(24, true),
    stored: record.getUint32(20, true),
    local: record.getUint32(42, true),
  };
  // Where a number is all ones, its true value stands in the zip64 extra field, in this order.
  const extra = record.byteLength >= extraEnd ? zip64Extra(record, nameEnd, extraEnd) : [];
  for (const key of ["size", "stored", "local"] as const) {
    if (sizes[key] !== 0xffffffff) continue;
    sizes[key] = extra.shift() ?? refuse(where, "no zip64 field for its size or place", "one");
  }
  const { size, stored, local } = sizes;
  if (method === 0 && size !== stored) refuse(where, `${stored} bytes stored for ${size}`, "as many");
  return { name, deflated: method === 8, local, stored, size, crc32: record.getUint32(16, true), end: at + length };
}

function zip64Extra(record: DataView, from: number, to: number): number[] {
  for (let at = from; at + 4 <= to; ) {
    const length = record.getUint16(at + 2, true);
    if (record.getUint16(at, true) === 1 && at + 4 + length <= to) {
      return Array.from({ length: Math.floor(length / 8) }, (_, i) =>
        Number(record.getBigUint64(at + 4 + 8 * i, true)),
      );
    }
    at += 4 + length;
  }
  return [];
}

/** Names are never used as paths; one that tries to be a path elsewhere is no name of a data format. */
function checkName(path: string, name: string): void {
  if (name !== "" && !name.startsWith("/") && !/^[A-Za-z]:|\\|\0/.test(name) && !name.split("/").includes("..")) return;
  throw new InputError({
    file: path,
    where: "zip directory",
    found: `the entry name ${name}`,
    expected: "names inside the archive",
  });
}

/** A stored entry's place in the file, or a deflated one's contents: all of an entry, its CRC checked. */
export async function readZipEntry({ path }: ZipArchive, entry: ZipEntry): Promise<Uint8Array<ArrayBuffer>> {
  const where = `zip entry ${entry.name}`;
  if (entry.deflated && entry.size > SMALL_ENTRY && entry.size > MOST_EXPANSION * entry.stored) {
    const found = `${entry.stored} bytes that become ${entry.size}`;
    throw new InputError({ file: path, where, found, expected: `data that expands at most ${MOST_EXPANSION} times` });
  }
  const stored = await withFile(path, (file) => readAt(file, path, entry.offset, entry.stored));
  const bytes = entry.deflated ? inflate(path, entry, stored) : stored;
  if (crc32(bytes) !== entry.crc32) {
    const expected = "the CRC-32 that the archive has for it: the file is damaged";
    throw new InputError({ file: path, where, found: "other bytes", expected });
  }
  return bytes;
}

function inflate(path: string, entry: ZipEntry, stored: Uint8Array): Uint8Array<ArrayBuffer> {
  const refuse = (found: string): never => {
    const expected = `${entry.size} bytes of deflated data`;
    throw new InputError({ file: path, where: `zip entry ${entry.name}`, found, expected });
  };
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(stored, { maxOutputLength: Math.max(1, entry.size) });
  } catch (error) {
    return refuse((error as Error).message);
  }
  if (bytes.length !== entry.size) refuse(`${bytes.length} bytes`);
  // A buffer of its own: zlib's may be part of a pool.
  return bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength
    ? (bytes as Uint8Array<ArrayBuffer>)
    : new Uint8Array(bytes);
}

function decodeName(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
