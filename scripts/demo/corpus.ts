// The demo's corpus: documents of many kinds, generated from a seed, mixed with the foreign texts. Same seed, same bytes.
import { SeededRandom } from "../../src/data/seededRandom.ts";
import { biography, manners } from "./biographies.ts";
import { dialogue, everydayLexicon, letter, story } from "./everyday.ts";
import { austenPassages, wordnetPages } from "./foreignSources.ts";
import { code, formatLexicon, list, sums } from "./formats.ts";
import { Grammar } from "./grammar.ts";
import { foreignLanguages, foreignText } from "./languages.ts";
import { facts, newsNote, noteLexicon, recipe, sportNote, weatherNote } from "./notes.ts";
import { anyGender } from "./people.ts";
import { professions } from "./professions.ts";

export interface CorpusDocument {
  readonly text: string;
  readonly kind: string;
}

/** Kinds of generated documents with their share. */
const kinds: readonly (readonly [kind: string, share: number, write: (random: SeededRandom) => string])[] = [
  [
    "biography",
    24,
    (random) => biography(random, manners.corpus, of(random, professions), anyGender(new Grammar(random, {}))).text,
  ],
  ["story", 18, (random) => story(new Grammar(random, everydayLexicon))],
  ["letter", 8, (random) => letter(new Grammar(random, everydayLexicon))],
  ["dialogue", 10, (random) => dialogue(new Grammar(random, everydayLexicon))],
  ["weather", 4, (random) => weatherNote(new Grammar(random, noteLexicon))],
  ["sport", 5, (random) => sportNote(new Grammar(random, noteLexicon))],
  ["news", 6, (random) => newsNote(new Grammar(random, noteLexicon))],
  ["recipe", 8, (random) => recipe(new Grammar(random, noteLexicon))],
  ["facts", 6, (random) => facts(new Grammar(random, noteLexicon))],
  ["sums", 3, (random) => sums(new Grammar(random, formatLexicon))],
  ["list", 5, (random) => list(new Grammar(random, formatLexicon))],
  ["code", 6, (random) => code(new Grammar(random, formatLexicon))],
  ["french", 4, (random) => foreignText(new Grammar(random, foreignLanguages.french.words), foreignLanguages.french)],
  ["german", 4, (random) => foreignText(new Grammar(random, foreignLanguages.german.words), foreignLanguages.german)],
  [
    "spanish",
    4,
    (random) => foreignText(new Grammar(random, foreignLanguages.spanish.words), foreignLanguages.spanish),
  ],
];

function kindAt(place: number): readonly [string, (random: SeededRandom) => string] {
  let before = 0;
  for (const [kind, share, write] of kinds) {
    before += share;
    if (place < before) return [kind, write];
  }
  throw new RangeError(`${place} lies beyond all shares`);
}

function of<T>(random: SeededRandom, items: readonly T[]): T {
  return items[random.integer(items.length)]!;
}

/** Generated documents of about `characters` characters together; `stream` names an independent stream of the seed. */
export function generatedDocuments(seed: number, stream: string, characters: number): CorpusDocument[] {
  const random = SeededRandom.derive(seed, "demo", "corpus", stream);
  const shares = kinds.reduce((sum, [, share]) => sum + share, 0);
  const documents: CorpusDocument[] = [];
  for (let length = 0; length < characters; ) {
    const [kind, write] = kindAt(random.integer(shares));
    const text = write(random);
    documents.push({ text, kind });
    length += text.length;
  }
  return documents;
}

/** What the language model is trained on: `generated` characters of generated text, Austen twice, WordNet once, mixed. */
export function trainingCorpus(seed: number, generated: number): CorpusDocument[] {
  const austen = austenPassages().train.map((text) => ({ text, kind: "austen" }));
  const wordnet = wordnetPages(seed).train.map((text) => ({ text, kind: "wordnet" }));
  const documents = [...generatedDocuments(seed, "model", generated), ...austen, ...austen, ...wordnet];
  return SeededRandom.derive(seed, "demo", "order").shuffle(documents);
}

/** What the demo harvests (`train`) and evaluates on (`test`): nothing of it was in the model's training, word for word. */
export function demoTexts(seed: number, known: ReadonlySet<string>): Record<"train" | "test", CorpusDocument[]> {
  const austen = austenPassages().heldOut.map((text) => ({ text, kind: "austen" }));
  const wordnet = wordnetPages(seed).heldOut.map((text) => ({ text, kind: "wordnet" }));
  const generated = generatedDocuments(seed, "harvest", 1_400_000);
  const unseen = new Map<string, CorpusDocument>();
  for (const document of [...generated, ...austen, ...wordnet])
    if (!known.has(document.text)) unseen.set(document.text, document);
  const documents = SeededRandom.derive(seed, "demo", "harvest order").shuffle([...unseen.values()]);
  const cut = Math.floor(documents.length * 0.8);
  return { train: documents.slice(0, cut), test: documents.slice(cut) };
}
