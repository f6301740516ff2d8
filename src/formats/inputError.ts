// The one error for anything that came from outside and is not as it must be: file, field, found, expected.

/** Says which file, where in it, what was found and what was expected. The command line exits with 2 on it; nothing has been written. */
export class InputError extends Error {
  override name = "InputError";
  readonly file: string;
  /** Field, line or tensor; empty where the file as a whole is meant. */
  readonly where: string;
  readonly found: string;
  readonly expected: string;
  /** What else is wrong with the same file, where whoever read it went on. */
  others: readonly InputError[] = [];

  constructor(problem: { file: string; where?: string; found: string; expected: string }) {
    const where = problem.where ? `, ${problem.where}` : "";
    const found = oneLine(problem.found);
    super(`${problem.file}${where}: found ${found}, expected ${problem.expected}`);
    this.file = problem.file;
    this.where = problem.where ?? "";
    this.found = found;
    this.expected = problem.expected;
  }
}

/** Without line ends: what a library says may quote the text that it read with them. */
export function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]\s*/g, " ");
}

/** What was found where the system did not let a file be read. */
export function unreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "no such file";
  return code === "EISDIR" ? "a folder" : `a file that cannot be read (${code ?? String(error)})`;
}
