// The labelled real texts of debiasRealText.ts as files that the jobs read: biographies whole and without their first sentence, and three labelled sets.
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
const BIOGRAPHIES = { full: 60, nofirst: 100 };
/** Of the twenty names a gender, so many are for testing alone where the names are kept apart. */
const TEST_NAMES = 6;

export interface Biographies {
  readonly all: string;
  /** The same texts in the same order, cut where the names for training end: no name is in both. */
  readonly train: string;
  readonly test: string;
}

export interface ConceptSet {
  readonly name: string;
  readonly train: string;
  readonly test: string;
  readonly perClass: { readonly train: number; readonly test: number };
}

type Labelled = Readonly<Record<string, string>>;

/** Writes what isn't there yet. */
export function realTextData(folder: string): { full: Biographies; nofirst: Biographies; concepts: ConceptSet[] } {
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
  const biographies = (name: string, each: number, cut: (text: string) => string): Biographies => {
    const parts = (): [Labelled[], Labelled[]] => {
      const all = csv("bios", "labe-agency.csv.gz", true) as Record<string, string>[];
      const cells = Map.groupBy(all, (row) => `${row["occupation"]} ${row["gender"]}`);
      const kept = new Set(
        [...cells].flatMap(([cell, own]) => SeededRandom.derive(0, "biographies", cell).shuffle(own).slice(0, each)),
      );
      const rows = all.filter((row) => kept.has(row));
      const tested = new Set(
        ["female", "male"].flatMap((gender) => {
          const names = new Set(rows.filter((row) => row["gender"] === gender).map((row) => row["name"]!));
          return SeededRandom.derive(0, "names", gender)
            .shuffle([...names].sort())
            .slice(0, TEST_NAMES);
        }),
      );
      const records = rows.map((row) => ({
        text: cut(row["chatgpt_gen"]!.replaceAll("<return>", "\n")),
        occupation: row["occupation"]!,
        gender: row["gender"]!,
        name: row["name"]!,
      }));
      return [
        records.filter((record) => !tested.has(record.name)),
        records.filter((record) => tested.has(record.name)),
      ];
    };
    return {
      all: write(`${name}.jsonl`, () => parts().flat()),
      train: write(`${name}-train.jsonl`, () => parts()[0]),
      test: write(`${name}-test.jsonl`, () => parts()[1]),
    };
  };
  const concept = (name: string, perClass: ConceptSet["perClass"], parts: () => [Labelled[], Labelled[]]) => ({
    name,
    perClass,
    train: write(`${name}-train.jsonl`, () => parts()[0]),
    test: write(`${name}-test.jsonl`, () => parts()[1]),
  });
  return {
    full: biographies("biographies", BIOGRAPHIES.full, (text) => text),
    // It names occupation, age and gender.
    nofirst: biographies("biographies-nofirst", BIOGRAPHIES.nofirst, (text) =>
      text.replace(/^.*?[.!?]["”')]*\s+/s, ""),
    ),
    concepts: [
      concept("ag-news", { train: 250, test: 125 }, () => {
        const names = ["World", "Sports", "Business", "Sci/Tech"];
        const rows = csv("concepts", "ag-news-test.csv.gz", false) as string[][];
        return halves(rows.map(([label, ...text]) => ({ text: text.join(". "), label: names[Number(label) - 1]! })));
      }),
      concept("language-id", { train: 60, test: 30 }, () => {
        const rows = csv("concepts", "language-id.csv.gz", true) as Record<string, string>[];
        return halves(rows.map(({ Text, Language }) => ({ text: Text!, label: Language! })));
      }),
      concept("20news", { train: 100, test: 50 }, () => [jsonLines("20news-train"), jsonLines("20news-test")]),
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
