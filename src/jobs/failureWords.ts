// What ended a run, in one line: for its record, the terminal and scripts.
import { oneLine } from "../formats/inputError.ts";

/** The error's own message; where the disk is at fault, with what to do about it. */
export function failureWords(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  const { code, message, path } = error as NodeJS.ErrnoException;
  const trouble = diskTrouble(code);
  if (trouble === null) return oneLine(message);
  const advice = "What was done is kept: make room, and the same command goes on from there";
  return oneLine(`${trouble}${path ? ` (${path})` : ""}: ${message}. ${advice}`);
}

function diskTrouble(code: string | undefined): string | null {
  if (code === "ENOSPC" || code === "EDQUOT") return "the disk is full";
  return code === "EFBIG" ? "a file is larger than this system allows" : null;
}
