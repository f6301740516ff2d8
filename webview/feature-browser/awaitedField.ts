// A field that was asked for before its feature has arrived: it gets the focus when the feature is there, with what was typed meanwhile.

export type FieldName = "label" | "note";

export class AwaitedField {
  readonly name: FieldName;
  #typed = "";

  constructor(name: FieldName) {
    this.name = name;
  }

  get typed(): string {
    return this.#typed;
  }

  /** Takes a key as the field would; false for one that types nothing there, and so is still a key of the list. */
  take({ key, ctrlKey, metaKey, altKey }: KeyboardEvent): boolean {
    if (ctrlKey || metaKey || altKey) return false;
    if (key === "Backspace") this.#typed = [...this.#typed].slice(0, -1).join("");
    else if (key === "Enter") this.#typed += this.name === "note" ? "\n" : "";
    else if ([...key].length === 1) this.#typed += key;
    else return false;
    return true;
  }
}
