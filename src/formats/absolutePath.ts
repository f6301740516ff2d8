// Absolute paths in one spelling, so that what one process saved is what another compares it with.
import { resolve } from "node:path";

/** As node:path resolves it, in the one spelling. */
export function absolutePath(...parts: string[]): string {
  return oneSpelling(resolve(...parts));
}

/** Windows takes C: and c: for one drive; a terminal mostly says C:, and VS Code always c:, so that is ours. */
export function oneSpelling(path: string): string {
  return path.replace(/^[A-Z]:(?=[\\/])/, (drive) => drive.toLowerCase());
}
