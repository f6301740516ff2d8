// The two foreign texts of the corpus, cut into documents: novels by Jane Austen (public domain) and WordNet's glosses (WordNet licence).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { SeededRandom } from "../../src/data/seededRandom.ts";

/** Documents for training the language model, and others that it never sees. */
export interface SplitDocuments {
  readonly train: readonly string[];
  readonly heldOut: readonly string[];
}

const sources = join(import.meta.dirname, "sources");

function source(name: string): string[] {
  return gunzipSync(readFileSync(join(sources, name)))
    .toString("utf8")
    .trimEnd()
    .split("\n");
}

/** Passages of one to a few paragraphs, up to about 900 characters. The last tenth of every novel is held out. */
export function austenPassages(): SplitDocuments {
  const books: string[][] = [];
  for (const paragraph of source("austen.txt.gz")) {
    if (paragraph.startsWith("# ")) books.push([]);
    else books.at(-1)!.push(paragraph);
  }
  const train: string[] = [];
  const heldOut: string[] = [];
  for (const paragraphs of books) {
    const passages: string[] = [];
    let passage = "";
    for (const piece of paragraphs.flatMap((paragraph) => sentencesOf(paragraph, 700))) {
      if (passage !== "" && passage.length + piece.length > 900) {
        passages.push(passage);
        passage = "";
      }
      passage = passage === "" ? piece : `${passage}\n${piece}`;
    }
    passages.push(passage);
    const cut = Math.floor(passages.length * 0.9);
    train.push(...passages.slice(0, cut));
    heldOut.push(...passages.slice(cut));
  }
  return { train, heldOut };
}

/** A long paragraph in pieces of whole sentences, each up to about `limit` characters. */
function sentencesOf(paragraph: string, limit: number): string[] {
  const pieces: string[] = [];
  let piece = "";
  for (const sentence of paragraph.split(/(?<=[.!?]["']?) /)) {
    if (piece !== "" && piece.length + sentence.length > limit) {
      pieces.push(piece);
      piece = "";
    }
    piece = piece === "" ? sentence : `${piece} ${sentence}`;
  }
  pieces.push(piece);
  return pieces;
}

/** Three to seven entries of one field of meaning each, a line an entry: "lemma, synonym: gloss". A tenth of the entries is held out. */
export function wordnetPages(seed: number): SplitDocuments {
  const random = SeededRandom.derive(seed, "demo", "wordnet");
  const fields: Record<"train" | "heldOut", Map<string, string[]>> = { train: new Map(), heldOut: new Map() };
  for (const [number, line] of source("wordnet.tsv.gz").entries()) {
    const [field, lemmas, gloss] = line.split("\t") as [string, string, string];
    const part = fields[number % 10 === 7 ? "heldOut" : "train"];
    if (!part.has(field)) part.set(field, []);
    part.get(field)!.push(`${lemmas}: ${gloss}${/[.!?"]$/.test(gloss) ? "" : "."}`);
  }
  const pages = (entries: Map<string, string[]>): string[] => {
    const made: string[] = [];
    for (const lines of entries.values()) {
      random.shuffle(lines);
      for (let at = 0; at < lines.length; ) {
        const count = 3 + random.integer(5);
        made.push(lines.slice(at, at + count).join("\n"));
        at += count;
      }
    }
    return random.shuffle(made);
  };
  return { train: pages(fields.train), heldOut: pages(fields.heldOut) };
}
