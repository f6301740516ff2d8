// One file from the hub into its cache: goes on where an earlier try broke off, and counts only when size and checksum are right.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { writeAll } from "../../formats/atomicWrite.ts";
import { acquireFileLock, type FileLock } from "../../formats/fileLock.ts";
import { renamePatiently } from "../../formats/filesInUse.ts";
import { InputError } from "../../formats/inputError.ts";
import type { CachedRepository } from "./cache.ts";
import { type HubReference, hubName, hubPlace } from "./reference.ts";
import { ConnectionError, type HubSettings, hubFetch, NoSuchBytes } from "./requests.ts";

/** A file as the hub lists it. */
export interface HubFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Of the contents: SHA-256 of a large file, git's SHA-1 of a small one. */
  readonly checksum: string;
}

/** Tries in a row that bring no byte. */
const FRUITLESS_TRIES = 5;
const FIRST_WAIT = 500;
/** Milliseconds between two looks whether another process is done with the file. */
const LOCKED_WAIT = 1000;

/**
 * Downloads the file unless its blob is there; `onBytes` gets the bytes of it that are on disk. Where another process is at it,
 * waits for that one. Throws ConnectionError where no connection can be made at all.
 */
export async function downloadBlob(
  settings: HubSettings,
  reference: HubReference,
  commit: string,
  repository: CachedRepository,
  file: HubFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const blob = repository.blob(file.checksum);
  const isThere = async () => (await stat(blob).catch(() => null))?.size === file.size;
  if (await isThere()) return onBytes(file.size);
  const lock = await lockOf(settings, repository, file);
  try {
    if (await isThere()) return onBytes(file.size);
    await mkdir(dirname(blob), { recursive: true });
    await download(settings, reference, commit, `${blob}.incomplete`, file, onBytes);
    await renamePatiently(`${blob}.incomplete`, blob);
  } finally {
    lock.release();
  }
}

/** Two processes that write to one partial file would spoil it. */
async function lockOf(settings: HubSettings, repository: CachedRepository, { checksum }: HubFile): Promise<FileLock> {
  const path = repository.lock(checksum);
  await mkdir(dirname(path), { recursive: true });
  for (;;) {
    const lock = lockIfFree(path);
    if (lock) return lock;
    await settings.wait(LOCKED_WAIT);
    settings.signal?.throwIfAborted();
  }
}

function lockIfFree(path: string): FileLock | null {
  try {
    return acquireFileLock(path, 0);
  } catch {
    // Some network file systems know no locks: there, whoever comes second has to try again.
    return { release: () => {} };
  }
}

/** Brings all of the file into `partial`, checked. */
async function download(
  settings: HubSettings,
  reference: HubReference,
  commit: string,
  partial: string,
  file: HubFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const what = hubName({ ...reference, path: file.path });
  const url = `${settings.endpoint}/${hubPlace(reference)}/resolve/${commit}/${file.path.split("/").map(encodeURIComponent).join("/")}`;
  const request = hubFetch(settings, reference, file.path);
  let reached = false;
  let anew = false;
  for (let fruitless = 0; ; ) {
    const before = await sizeOf(partial);
    if (before > file.size) await rm(partial);
    else if (before === file.size) break;
    try {
      await append(request, what, url, partial, file.size, onBytes);
    } catch (error) {
      if (error instanceof NoSuchBytes && before > 0 && !anew) {
        anew = true;
        await rm(partial);
        continue;
      }
      if (!(error instanceof ConnectionError)) throw error;
      reached ||= error.wasMade || (await sizeOf(partial)) > before;
      if (!reached) throw error;
      fruitless = (await sizeOf(partial)) > before ? 0 : fruitless + 1;
      if (fruitless >= FRUITLESS_TRIES) {
        const found = `a connection that broke (${error.message}) at byte ${await sizeOf(partial)} of ${file.size}`;
        throw new InputError({ file: what, found, expected: "a connection; the next try goes on from there" });
      }
      await settings.wait(FIRST_WAIT * 2 ** fruitless);
    }
  }
  const checksum = await checksumOf(partial, file);
  if (checksum !== file.checksum) {
    await rm(partial);
    const found = `other contents than the hub promised (checksum ${checksum}); what came was thrown away`;
    throw new InputError({ file: what, found, expected: `${file.checksum}: try again` });
  }
}

/** Appends what is missing. Throws ConnectionError where the answer ends before the file does. */
async function append(
  request: typeof fetch,
  what: string,
  url: string,
  partial: string,
  size: number,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let at = await sizeOf(partial);
  const response = await request(url, { headers: at > 0 ? { Range: `bytes=${at}-` } : {} });
  const from = response.status === 206 ? rangeStart(response) : 0;
  if (from !== at) {
    // A server that gives the whole file instead, or another part, is taken at its word.
    if (from !== 0)
      throw new InputError({ file: what, found: `bytes from ${from} on`, expected: `bytes from ${at} on, as asked` });
    at = 0;
  }
  const handle = await open(partial, at === 0 ? "w" : "a");
  try {
    onBytes(at);
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      if (at + chunk.length > size) {
        await handle.truncate(0);
        throw new InputError({
          file: what,
          found: `more than the ${size} bytes that the hub lists`,
          expected: "a file of that size: try again later",
        });
      }
      await writeAll(handle, chunk);
      at += chunk.length;
      onBytes(at);
    }
  } finally {
    await handle.close();
  }
  if (at < size) throw new ConnectionError("the answer ended early");
}

function rangeStart(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? Number.NaN);
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0;
}

async function checksumOf(path: string, { checksum, size }: HubFile): Promise<string> {
  const hash: Hash = checksum.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
