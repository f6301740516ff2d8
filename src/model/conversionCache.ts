// Which converted weights stay in the cache: each is as large as its model, so those that nothing will ask for again go, unless somebody works with them.
import { existsSync } from "node:fs";
import { mkdir, readdir, realpath, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { acquireFileLock, acquireSharedLock, type FileLock } from "../formats/fileLock.ts";
import { readSafetensors } from "../formats/safetensors.ts";

const LOCK = ".lock";

/** Nobody removes the conversion while this is held, be it there yet or not. Null where a cache can't be locked. */
export async function holdConversion(path: string): Promise<FileLock | null> {
  try {
    await mkdir(dirname(path), { recursive: true });
    for (;;) {
      const lock = acquireSharedLock(path + LOCK, 1000);
      // One that was waited for may be gone with its conversion, and a lock without a name keeps nobody away.
      if (!lock || existsSync(path + LOCK)) return lock;
      lock.release();
    }
  } catch {
    // A cache that can only be read, or a file system without locks: it is used as it is.
    return null;
  }
}

/**
 * Removes what was converted from an earlier state of `source` (or by a version that converts otherwise: each would leave another copy
 * of the model), or from files that are no more, but never `current`.
 */
export async function removeStale(current: string, source: string): Promise<void> {
  const folder = dirname(current);
  // One whose conversion was killed has a lock alone.
  const names = (await readdir(folder)).filter((name) => /\.safetensors(\.lock)?$/.test(name));
  for (const name of new Set(names.map((each) => each.replace(/\.lock$/, "")))) {
    const path = join(folder, name);
    if (path !== current && (await isStale(path, source))) await removeUnused(path);
  }
}

async function isStale(path: string, source: string): Promise<boolean> {
  // What can't be read is nothing to anyone.
  const from = await readSafetensors(path).then(
    ({ metadata }) => metadata["source"],
    () => undefined,
  );
  if (from === undefined) return true;
  // Without its folder it may lie on a drive that is not mounted.
  const there = await realpath(from).catch((error: NodeJS.ErrnoException) =>
    error.code === "ENOENT" && existsSync(dirname(from)) ? null : from,
  );
  return there === null || there === source;
}

/** Removes a conversion and what was left of attempts at it, where nobody holds it. */
async function removeUnused(path: string): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)];
  const lock = acquireFileLock(path + LOCK, 0);
  if (!lock) return;
  try {
    for (const each of await readdir(folder))
      if (each === name || (each.startsWith(`.${name}.`) && each.endsWith(".tmp"))) await rm(join(folder, each));
    // While it is held, or somebody might have taken it meanwhile. Windows removes no open file, and an empty one costs nothing.
    if (process.platform !== "win32") await rm(path + LOCK);
  } finally {
    lock.release();
  }
}
