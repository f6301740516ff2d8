// A small generative grammar: templates with choices, lists and bindings, expanded with seeded random numbers. Knows no English beyond a/an.
import type { SeededRandom } from "../../src/data/seededRandom.ts";

/** Lists by name; entries are templates themselves. */
export type Lexicon = Readonly<Record<string, readonly string[]>>;

/**
 * Expands templates:
 * - `[a|b|]` one of the alternatives, which may nest;
 * - `{list}` an entry of a list, expanded; `{list#1}` the same entry wherever the text says `#1` again;
 * - `{a list}` with its indefinite article, `{^ list}` with a capital first letter;
 * - `{3-12}` a whole number of the range, both ends included.
 * A binding (`bind`) stands before a list of the same name. Throws on a list that doesn't exist.
 */
export class Grammar {
  readonly #random: SeededRandom;
  readonly #lexicon: Lexicon;
  readonly #bound = new Map<string, string>();

  constructor(random: SeededRandom, lexicon: Lexicon) {
    this.#random = random;
    this.#lexicon = lexicon;
  }

  get random(): SeededRandom {
    return this.#random;
  }

  /** Forgets every binding: a new text begins. */
  clear(): void {
    this.#bound.clear();
  }

  bind(values: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(values)) this.#bound.set(name, value);
  }

  one<T>(list: readonly T[]): T {
    return list[this.#random.integer(list.length)]!;
  }

  chance(probability: number): boolean {
    return this.#random.uniform() < probability;
  }

  /** `count` different entries, in random order. */
  several<T>(list: readonly T[], count: number): T[] {
    return this.#random.shuffle([...list]).slice(0, count);
  }

  say(template: string): string {
    let text = "";
    let at = 0;
    while (at < template.length) {
      const character = template[at]!;
      if (character === "[") {
        const { parts, end } = alternatives(template, at);
        text += this.say(this.one(parts));
        at = end;
      } else if (character === "{") {
        const end = template.indexOf("}", at);
        if (end < 0) throw new Error(`a brace is not closed: ${template}`);
        text += this.#slot(template.slice(at + 1, end));
        at = end + 1;
      } else {
        text += character;
        at++;
      }
    }
    return text;
  }

  #slot(slot: string): string {
    if (slot.startsWith("^ ")) return capitalised(this.#slot(slot.slice(2)));
    if (slot.startsWith("a ")) return withArticle(this.#slot(slot.slice(2)));
    const range = /^(\d+)-(\d+)$/.exec(slot);
    if (range) return String(Number(range[1]) + this.#random.integer(Number(range[2]) - Number(range[1]) + 1));
    const bound = this.#bound.get(slot);
    if (bound !== undefined) return bound;
    const name = slot.split("#")[0]!;
    const list = this.#lexicon[name];
    if (!list) throw new Error(`no list and no binding is called "${name}"`);
    const value = this.say(this.one(list));
    if (slot !== name) this.#bound.set(slot, value);
    return value;
  }
}

export function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** By the first letter, with the few words of the lists that sound otherwise. */
export function withArticle(text: string): string {
  const vowel = /^[aeiou]/i.test(text) && !/^(uni|use|one|euro)/i.test(text);
  return `${vowel || /^(hour|honest)/i.test(text) ? "an" : "a"} ${text}`;
}

function alternatives(template: string, start: number): { parts: string[]; end: number } {
  const parts: string[] = [];
  let depth = 0;
  let from = start + 1;
  for (let at = start; at < template.length; at++) {
    const character = template[at];
    if (character === "[") depth++;
    else if (character === "|" && depth === 1) {
      parts.push(template.slice(from, at));
      from = at + 1;
    } else if (character === "]" && --depth === 0) {
      parts.push(template.slice(from, at));
      return { parts, end: at + 1 };
    }
  }
  throw new Error(`a bracket is not closed: ${template}`);
}
