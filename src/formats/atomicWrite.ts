// Writing a file so that a reader sees all of it or nothing: temporary name in the same folder, fsync, rename.
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { renamePatiently } from "./filesInUse.ts";

/** Writes `data` whole. An existing file is replaced in one step; on failure it stays as it was and no temporary file is left. */
export async function writeFileAtomic(path: string, data: string | NodeJS.ArrayBufferView): Promise<void> {
  await writeAtomically(path, (file) => writeAll(file, typeof data === "string" ? Buffer.from(data) : data));
}

/** The same for contents that are produced bit by bit: `write` fills the temporary file. Missing folders are made. */
export async function writeAtomically(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`);
  const file = await open(temporary, "wx");
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await renamePatiently(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

/** Appends all of `data`, however many writes the system needs for it. */
export async function writeAll(file: FileHandle, data: NodeJS.ArrayBufferView): Promise<void> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  // A single write is limited to 2 GiB by the system and may be short.
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.length - done, 1 << 30));
    done += bytesWritten;
  }
}

/** Without it a rename may be forgotten when the power goes. Windows can't open folders; there it is the file system's business. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch {
    // Some network file systems refuse to sync a folder; the file itself is safe.
  } finally {
    await handle.close();
  }
}
