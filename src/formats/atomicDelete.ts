// Deleting a folder so that nobody ever finds a part of it: it is renamed to a hidden name beside it, at once and as a whole, and emptied there.
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { removePatiently, renamePatiently } from "./filesInUse.ts";

/** Names that only this file gives. */
const deleted = /^\..+\.[0-9a-f]{16}\.deleted$/;

/** Where the folder can't be renamed (somebody keeps a file in it open, the folder above can't be written) it stays as it is, and this throws. */
export async function deleteFolderAtomic(folder: string): Promise<void> {
  const whole = resolve(folder);
  const parent = dirname(whole);
  const aside = `.${basename(whole)}.${randomBytes(8).toString("hex")}.deleted`;
  await renamePatiently(whole, join(parent, aside), { ask: whole });
  // A process that was killed while it deleted has left its own behind.
  const names = await readdir(parent);
  for (const name of names) if (deleted.test(name)) await removePatiently(join(parent, name));
}
