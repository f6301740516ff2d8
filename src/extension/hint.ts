// What a command says where nothing went wrong but a step is missing: shown as information, not as an error.
export class Hint extends Error {
  override name = "Hint";
}
