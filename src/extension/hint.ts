// What a command says where nothing went wrong but a step is missing: shown as information, not as an error.
export class Hint extends Error {
  override name = "Hint";
}

/** Whether somebody cancelled what a command was waiting for: they know, and are told nothing. */
export function wasCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
