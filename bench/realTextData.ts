// The labelled real texts of debiasRealText.ts as files that the jobs read: biographies whole and without their first sentence, and three labelled sets, each thinned with a seed.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import { SeededRandom } from "../src/data/seededRandom.ts";
import { benchData } from "./sharedData.ts";

/** Six of the twelve occupations against the other six; each as the golden table names it. */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  A: ["dancer", "athlete", "chef", "writer", "entrepreneur", "comedian"],
  B: ["writer", "model", "athlete", "student", "actor", "artist"],
  C: ["podcaster", "writer", "student", "comedian", "actor", "model"],
};
export const OCCUPATIONS = [...new Set([...Object.values(GROUPS).flat(), "musician"])].sort();

/** Biographies of each occupation and gender, of the hundred that there are. */
const BIOGRAPHIES = 30;

export interface ConceptSet {
  readonly name: string;
  readonly train: string;
  readonly test: string;
  readonly perClass: { readonly train: number; readonly test: number };
}

type Labelled = Readonly<Record<string, string>>;

/** Writes what isn't there yet. */
export function realTextData(folder: string): { full: string; nofirst: string; concepts: ConceptSet[] } {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, make: () => readonly Labelled[]): string => {
    const path = join(folder, name);
    if (!existsSync(path))
      writeFileSync(
        path,
        make()
          .map((record) => `${JSON.stringify(record)}\n`)
          .join(""),
      );
    return path;
  };
  const biographies = (cut: (text: string) => string) => (): Labelled[] => {
    const rows = csv("bios", "labe-agency.csv.gz", true) as Record<string, string>[];
    const cells = Map.groupBy(rows, ({ occupation, gender }) => `${occupation} ${gender}`);
    return [...cells].flatMap(([cell, own]) =>
      SeededRandom.derive(0, "biographies", cell)
        .shuffle(own)
        .slice(0, BIOGRAPHIES)
        .map(({ chatgpt_gen, occupation, gender }) => ({
          text: cut(chatgpt_gen!.replaceAll("<return>", "\n")),
          occupation: occupation!,
          gender: gender!,
        })),
    );
  };
  const concept = (name: string, perClass: ConceptSet["perClass"], parts: () => [Labelled[], Labelled[]]) => ({
    name,
    perClass,
    train: write(`${name}-train.jsonl`, () => parts()[0]),
    test: write(`${name}-test.jsonl`, () => parts()[1]),
  });
  return {
    full: write(
      "biographies.jsonl",
      biographies((text) => text),
    ),
    // It names occupation, age and gender.
    nofirst: write(
      "biographies-nofirst.jsonl",
      biographies((text) => text.replace(/^.*?[.!?]["”')]*\s+/s, "")),
    ),
    concepts: [
      concept("ag-news", { train: 60, test: 30 }, () => {
        const names = ["World", "Sports", "Business", "Sci/Tech"];
        const rows = csv("concepts", "ag-news-test.csv.gz", false) as string[][];
        return halves(rows.map(([label, ...text]) => ({ text: text.join(". "), label: names[Number(label) - 1]! })));
      }),
      concept("language-id", { train: 30, test: 15 }, () => {
        const rows = csv("concepts", "language-id.csv.gz", true) as Record<string, string>[];
        return halves(rows.map(({ Text, Language }) => ({ text: Text!, label: Language! })));
      }),
      concept("20news", { train: 30, test: 15 }, () => [jsonLines("20news-train"), jsonLines("20news-test")]),
    ],
  };
}

function csv(folder: string, file: string, columns: boolean): unknown[] {
  return parse(gunzipSync(readFileSync(benchData(folder, file))), { columns, relax_quotes: true, bom: true });
}

/** Newsgroup messages without their header, which names the group. */
function jsonLines(file: string): Labelled[] {
  const lines = gunzipSync(readFileSync(benchData("concepts", `${file}.jsonl.gz`)))
    .toString("utf8")
    .trim()
    .split("\n");
  return lines.map((line) => {
    const { text, label } = JSON.parse(line) as { text: string; label: string };
    const body = text.indexOf("\t\t");
    return { text: text.slice(Math.max(0, body)).replaceAll("\t", "\n"), label };
  });
}

/** Every other record for training, the rest for testing, in a shuffled order. */
function halves(records: Labelled[]): [Labelled[], Labelled[]] {
  const shuffled = SeededRandom.derive(0, "halves").shuffle(records);
  return [shuffled.filter((_, at) => at % 2 === 0), shuffled.filter((_, at) => at % 2 === 1)];
}
