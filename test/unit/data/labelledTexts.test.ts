// Labelled texts from every format by column name; what is refused and what is left out, each said.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { leftOut, readLabelledTexts, valueCounts } from "../../../src/data/labelledTexts.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const columns = { text: "bio", label: "job", attribute: "sex" };

test("JSON Lines: words, whole numbers and booleans are labels", async () => {
  const path = file(
    "a.jsonl",
    `{"bio":"one","job":3,"sex":true}\n{"bio":"two","job":"nurse ","sex":false,"more":[1]}\n`,
  );
  const { texts } = await readLabelledTexts(path, columns);
  assert.deepEqual(texts, [
    { text: "one", label: "3", attribute: "true", line: 1 },
    { text: "two", label: "nurse", attribute: "false", line: 2 },
  ]);
});

test("CSV in gzip, and no attribute asked for", async () => {
  const path = file("a.csv.gz", gzipSync('job,bio\nnurse,"a, b"\ndoctor,c\n'));
  const { texts } = await readLabelledTexts(path, { text: "bio", label: "job" });
  assert.deepEqual(
    texts.map(({ text, label, attribute }) => [text, label, attribute]),
    [
      ["a, b", "nurse", ""],
      ["c", "doctor", ""],
    ],
  );
});

test("empty and repeated texts are left out and counted", async () => {
  const path = file("b.csv", "bio,job,sex\nx,a,m\n  ,a,m\nx,b,f\ny,b,f\n");
  const data = await readLabelledTexts(path, columns);
  assert.deepEqual([data.empty, data.repeated, data.texts.length], [1, 1, 2]);
  assert.deepEqual(
    [...valueCounts(data.texts, "label")],
    [
      ["a", 1],
      ["b", 1],
    ],
  );
});

test("texts without a label or an attribute are left out and counted; the same text with one counts", async () => {
  const csv = file("c.csv", "bio,job,sex\nx,,m\ny,a, \nx,a,m\nz,b,f\n");
  const data = await readLabelledTexts(csv, columns);
  assert.deepEqual([data.unlabelled, data.repeated, data.texts.map(({ text }) => text)], [2, 0, ["x", "z"]]);
  const json = file(
    "c2.jsonl",
    '{"bio":null,"job":"a","sex":"m"}\n{"bio":"x","job":null,"sex":"m"}\n{"bio":"y","job":"a","sex":"m"}\n',
  );
  const { empty, unlabelled, texts } = await readLabelledTexts(json, columns);
  assert.deepEqual([empty, unlabelled, texts.length], [1, 1, 1]);
});

test("a text that differs from another in case, white space or the way a character is written is that text again", async () => {
  const path = file("near.csv", 'bio,job,sex\nA café,a,m\n"a  cafe\u0301",a,m\nA cafe,b,f\n');
  const data = await readLabelledTexts(path, columns);
  assert.deepEqual(
    data.texts.map(({ text }) => text),
    ["A café", "A cafe"],
  );
  assert.equal(leftOut(data), "1 text that repeats another");
  assert.equal(
    leftOut({ empty: 2, repeated: 3, unlabelled: 1 }),
    "2 empty texts, 1 unlabelled text and 3 texts that repeat another",
  );
  assert.equal(leftOut({ empty: 1, repeated: 0, unlabelled: 0 }), "1 empty text");
  assert.equal(leftOut({ empty: 0, repeated: 0, unlabelled: 0 }), "");
});

test("Parquet: the same by its columns", async () => {
  const path = join(folder, "a.parquet");
  writeFileSync(
    path,
    Buffer.from(
      parquetWriteBuffer({
        columnData: [
          { name: "sex", data: ["m", "f"], type: "STRING" },
          { name: "job", data: [3, 4], type: "INT32" },
          { name: "bio", data: ["one", "two"], type: "STRING" },
        ],
      }),
    ),
  );
  const { texts } = await readLabelledTexts(path, columns);
  assert.deepEqual(texts, [
    { text: "one", label: "3", attribute: "m", line: 1 },
    { text: "two", label: "4", attribute: "f", line: 2 },
  ]);
});

test("what is none is refused by line and column, and a file of which nothing is left", async () => {
  const cases: [string, RegExp][] = [
    ['{"bio":"x","job":[1],"sex":"m"}', /line 1, column job: found an array, expected a label/],
    [
      '{"bio":"x","job":"a","sex":""}',
      /found 1 unlabelled text alone, expected a text with a value in column job and a value in column sex/,
    ],
    ['{"bio":"x","job":0.5,"sex":"m"}', /line 1, column job: found the number 0.5/],
    ['{"bio":7,"job":"a","sex":"m"}', /line 1, column bio: found the number 7, expected a text/],
    ['{"bio":"x","sex":"m"}', /expected a column job/],
    ['{"bio":" ","job":"a","sex":"m"}', /found 1 empty text alone/],
  ];
  for (const [line, message] of cases)
    await assert.rejects(readLabelledTexts(file("c.jsonl", `${line}\n`), columns), (error: Error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, message);
      return true;
    });
});
