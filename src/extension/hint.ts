// What a command says where nothing went wrong but a step is missing: shown as information, not as an error.
export class Hint extends Error {
  override name = "Hint";
}

/** What is only done in a workspace that somebody trusts: an error with the way to trust it. */
export class Distrust extends Error {
  override name = "Distrust";
}

/** Whether somebody cancelled what a command was waiting for: they know, and are told nothing. */
export function wasCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
