// The folder that an import or an export goes to, before anything is read.
import { readdirSync, statSync } from "node:fs";
import { InputError } from "../formats/inputError.ts";

/** Names of what lies in it; none where it isn't there yet. Throws InputError where the path is a file's. `expected`: for that error. */
export function lyingIn(folder: string, expected: string): string[] {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!stat) return [];
  if (!stat.isDirectory()) throw new InputError({ file: folder, found: "a file", expected });
  return readdirSync(folder);
}
