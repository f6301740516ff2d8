// Reading ranges of a file by position; whatever goes wrong on the way is an InputError that names the file.
import { type FileHandle, open } from "node:fs/promises";
import { InputError, unreadable } from "./inputError.ts";

/** Opens a regular file for reading and tells its size; closes it when `read` is done. */
export async function withFile<T>(path: string, read: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    throw new InputError({ file: path, found: unreadable(error), expected: "a readable file" });
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new InputError({ file: path, found: "a folder or device", expected: "a file" });
    return await read(file, stat.size);
  } finally {
    await file.close();
  }
}

/** Exactly `length` bytes from `offset` on, in a buffer of their own. Check both against the file's size first. */
export async function readAt(
  file: FileHandle,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  await readInto(file, path, offset, bytes);
  return bytes;
}

/** Fills `bytes` from `offset` on. */
export async function readInto(file: FileHandle, path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const { length } = bytes;
  // A single read is limited to 2 GiB by the system and may be short.
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, 1 << 30), offset + done);
    if (bytesRead === 0) {
      const found = `the end at byte ${offset + done}`;
      throw new InputError({ file: path, found, expected: `${offset + length} bytes` });
    }
    done += bytesRead;
  }
}
