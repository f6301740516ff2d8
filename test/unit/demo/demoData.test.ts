// The demo's committed data: what the generator makes from its seed, balanced, its test part apart from its training part, and small.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { biographies } from "../../../scripts/demo/biographies.ts";
import { labelledTemplates } from "../../../scripts/demo/biographyTemplates.ts";
import { demoTexts, generatedDocuments } from "../../../scripts/demo/corpus.ts";
import { jsonLines, perCell, seed } from "../../../scripts/demo/generate.ts";
import { professions } from "../../../scripts/demo/professions.ts";
import { SeededRandom } from "../../../src/data/seededRandom.ts";

const demo = join(import.meta.dirname, "..", "..", "..", "media", "demo");
const parts = ["train", "test"] as const;

interface Row {
  readonly text: string;
  readonly profession: string;
  readonly gender: "female" | "male";
  readonly name: string;
}

function committed(name: string): string {
  return gunzipSync(readFileSync(join(demo, name))).toString("utf8");
}

function rows<T>(name: string): T[] {
  return committed(name)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}

const bios = { train: rows<Row>("bios-train.jsonl.gz"), test: rows<Row>("bios-test.jsonl.gz") };

test("the generator makes the same bytes from the same seed", () => {
  const text = jsonLines(generatedDocuments(7, "checksum", 60_000));
  assert.equal(
    createHash("sha256").update(text).digest("hex"),
    "fb246ac835f0220761f971f2e348648b82847c239564384501f0a549e138d191",
  );
});

test("the committed biographies are the generator's", () => {
  for (const part of parts) {
    const made = biographies(SeededRandom.derive(seed, "demo", "biographies", part), part, perCell[part]);
    assert.equal(
      jsonLines(made.map(({ text, profession, gender, name }) => ({ text, profession, gender, name }))),
      committed(`bios-${part}.jsonl.gz`),
    );
  }
});

test("the committed texts are the generator's, and the two parts share none", () => {
  // The corpus that the model saw is left out of them; made without it, they are among a few more.
  const all = demoTexts(seed, new Set());
  const made = new Set([...all.train, ...all.test].map(({ text }) => text));
  const texts = {
    train: rows<{ text: string }>("text/train.jsonl.gz"),
    test: rows<{ text: string }>("text/test.jsonl.gz"),
  };
  for (const part of parts) assert.ok(texts[part].every(({ text }) => made.has(text)));
  assert.ok(texts.train.length + texts.test.length > 0.9 * made.size);
  const known = new Set(texts.train.map(({ text }) => text));
  assert.ok(texts.test.every(({ text }) => !known.has(text)));
});

test("every profession has as many women as men, enough in both parts", () => {
  for (const part of parts) {
    for (const { profession } of professions) {
      for (const gender of ["female", "male"]) {
        const cell = bios[part].filter((row) => row.profession === profession && row.gender === gender);
        assert.equal(cell.length, perCell[part], `${part} ${profession} ${gender}`);
      }
    }
  }
  assert.ok(perCell.train >= 400 && perCell.test >= 100);
});

test("the test part has people and sentences of its own", () => {
  const words = (part: "train" | "test") => new Set(bios[part].flatMap(({ name }) => name.split(" ")));
  const trained = words("train");
  assert.deepEqual(
    [...words("test")].filter((word) => trained.has(word)),
    [],
  );
  const templates = (part: "train" | "test") => Object.values(labelledTemplates[part]).flat();
  const known = new Set(templates("train"));
  assert.deepEqual(
    templates("test").filter((template) => known.has(template)),
    [],
  );
  // Nor does a whole sentence, names and all, stand in both.
  const sentences = new Set(bios.train.flatMap(({ text }) => text.split(/(?<!Mr|Ms)\. /)));
  assert.deepEqual(
    bios.test.flatMap(({ text }) => text.split(/(?<!Mr|Ms)\. /)).filter((sentence) => sentences.has(sentence)),
    [],
  );
});

test("the name is in the text, the profession's title is not, and pronouns are the person's", () => {
  const titles = new RegExp(`\\b(${professions.map(({ profession }) => profession).join("|")})s?\\b`, "i");
  const others = { female: /\b(he|his|him|himself|Mr)\b/i, male: /\b(she|her|hers|herself|Ms)\b/i };
  for (const { text, name, gender } of [...bios.train, ...bios.test]) {
    const [first, last] = name.split(" ") as [string, string];
    assert.ok(text.includes(first) && text.includes(last), text);
    assert.doesNotMatch(text, titles);
    assert.doesNotMatch(text, others[gender]);
  }
});

test("the demo's files are at most 10 MB together", () => {
  const files = readdirSync(demo, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
  assert.ok(bytes <= 10_000_000, `${bytes} bytes`);
});
