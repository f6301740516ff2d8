// Writes the demo's data: media/demo/text, media/demo/bios-*.jsonl.gz, and on request the corpus that the model is trained on.
//
//   node scripts/demo/generate.ts [--corpus FILE.jsonl.gz] [--out media/demo]
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { SeededRandom } from "../../src/data/seededRandom.ts";
import { biographies } from "./biographies.ts";
import { demoTexts, trainingCorpus } from "./corpus.ts";

export const seed = 2505;
export const corpusCharacters = 16_000_000;
/** Biographies of every profession and gender. */
export const perCell = { train: 400, test: 120 } as const;

export function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function write(path: string, rows: readonly object[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const text = jsonLines(rows);
  writeFileSync(path, gzipSync(text, { level: 9 }));
  console.log(`${path}: ${rows.length} rows, ${text.length} characters`);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { corpus: { type: "string" }, out: { type: "string", default: join("media", "demo") } },
  });
  const corpus = trainingCorpus(seed, corpusCharacters);
  if (values.corpus !== undefined) write(values.corpus, corpus);
  const texts = demoTexts(seed, new Set(corpus.map((document) => document.text)));
  for (const part of ["train", "test"] as const) {
    write(join(values.out, "text", `${part}.jsonl.gz`), texts[part]);
    const bios = biographies(SeededRandom.derive(seed, "demo", "biographies", part), part, perCell[part]);
    write(
      join(values.out, `bios-${part}.jsonl.gz`),
      bios.map(({ text, profession, gender, name }) => ({ text, profession, gender, name })),
    );
  }
}
