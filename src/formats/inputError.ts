// The one error for anything that came from outside and is not as it must be: file, field, found, expected.

/** Says which file, where in it, what was found and what was expected. The command line exits with 2 on it; nothing has been written. */
export class InputError extends Error {
  override name = "InputError";
  readonly file: string;
  /** Field, line or tensor; empty where the file as a whole is meant. */
  readonly where: string;
  readonly found: string;
  readonly expected: string;

  constructor(problem: { file: string; where?: string; found: string; expected: string }) {
    const where = problem.where ? `, ${problem.where}` : "";
    super(`${problem.file}${where}: found ${problem.found}, expected ${problem.expected}`);
    this.file = problem.file;
    this.where = problem.where ?? "";
    this.found = problem.found;
    this.expected = problem.expected;
  }
}
