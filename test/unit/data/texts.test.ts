// Reading texts and records: every format, plain and packed, what separates documents, and what each error says.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createWriteStream, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { createGzip, gzipSync } from "node:zlib";
import { LONGEST_TEXT } from "../../../src/data/lineBlocks.ts";
import { readRecords } from "../../../src/data/records.ts";
import { type ReadTextsOptions, readTexts } from "../../../src/data/texts.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { golden, sharedData, temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
let files = 0;

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, `${files++}-${name}`);
  writeFileSync(path, content);
  return path;
}

const texts = (path: string, options?: ReadTextsOptions) => Array.fromAsync(readTexts(path, options));

/** Texts and lines as "line: text", of the plain file and of the same packed. */
async function both(name: string, content: string, options?: ReadTextsOptions): Promise<string[]> {
  const plain = (await texts(file(name, content), options)).map(({ text, line }) => `${line}: ${text}`);
  const packed = (await texts(file(`${name}.gz`, gzipSync(content)), options)).map(
    ({ text, line }) => `${line}: ${text}`,
  );
  assert.deepEqual(packed, plain);
  return plain;
}

async function refused(path: string, options: ReadTextsOptions | undefined, ...parts: RegExp[]): Promise<void> {
  await assert.rejects(texts(path, options), (error: unknown) => {
    assert.ok(error instanceof InputError, `${error}`);
    assert.equal(error.file, path);
    for (const part of parts) assert.match(error.message, part);
    return true;
  });
}

test(".txt: blank lines separate documents, whatever white space is on them", async () => {
  const content = "\n  \nOne,\r\nwrapped.\r\n\r\n \t \nTwo é 🦜\n\n\nThree";
  assert.deepEqual(await both("a.txt", content), ["3: One,\nwrapped.", "7: Two é 🦜", "10: Three"]);
});

test(".txt: <|endoftext|> lines separate documents and blank lines then belong to them", async () => {
  const content = "\nOne,\n\nits second paragraph.\n\n<|endoftext|>\n<|endoftext|>\nTwo\n<|endoftext|>\n";
  assert.deepEqual(await both("a.txt", content), ["2: One,\n\nits second paragraph.", "8: Two"]);
  assert.deepEqual(await both("a.txt", content, { documents: "blank_line" }), [
    "2: One,",
    "4: its second paragraph.",
    "8: Two",
  ]);
});

test(".txt: an <|endoftext|> line beyond the first MiB still ends a document", async () => {
  const long = "word ".repeat(250_000);
  const found = await texts(file("late.txt", `${long}\n\ntwo\n<|endoftext|>\nthree`));
  assert.deepEqual(
    found.map(({ text }) => text.slice(-5)),
    ["word ", "two", "three"],
  );
});

test(".txt: lines alone don't separate, unless asked to", async () => {
  assert.deepEqual(await both("a.txt", "one\ntwo\n"), ["1: one\ntwo"]);
  assert.deepEqual(await both("a.txt", "one\n\ntwo\n", { documents: "line" }), ["1: one", "3: two"]);
  assert.deepEqual(await both("a.txt", "one\n\ntwo\n", { documents: "endoftext" }), ["1: one\n\ntwo"]);
});

test(".jsonl: a text a line, by the column's name", async () => {
  const content = `${JSON.stringify({ text: "a\nb", label: 1 })}\n\n${JSON.stringify({ label: 2, text: "é 🦜" })}\n{"text":""}`;
  assert.deepEqual(await both("a.jsonl", content), ["1: a\nb", "3: é 🦜"]);
  assert.deepEqual(await both("a.ndjson", '\ufeff{"review":"x"}\n', { column: "review" }), ["1: x"]);
});

test(".csv and .tsv: quotes, line ends inside fields, and the line on which a row begins", async () => {
  const content = 'id,text\n1,"a ""quoted"", b\nsecond line"\n\n2,plain\r\n3,"é 🦜\r\nx"\n4,last';
  assert.deepEqual(await both("a.csv", content), [
    '2: a "quoted", b\nsecond line',
    "5: plain",
    "6: é 🦜\nx",
    "8: last",
  ]);
  assert.deepEqual(await both("a.TSV", "review\tid\na, b\t1\n", { column: "review" }), ["2: a, b"]);
});

const parquetTexts = Array.from({ length: 10 }, (_, i) => ({
  text: `Text ${i}: naïve café — 日本語 🦜\nsecond line`,
  line: i + 1,
}));
const codecs = ["none", "snappy", "gzip", "zstd", "brotli", "lz4"];
for (const name of [
  ...codecs.map((codec) => `string-${codec}`),
  "string-snappy.parquet.gz",
  "large_string",
  "v2-delta",
]) {
  test(`.parquet: ${name}`, async () => {
    const path = golden("data", name.includes(".") ? name : `${name}.parquet`);
    assert.deepEqual(await texts(path), parquetTexts);
  });
}

test("records: columns in the order asked for, each format's own types", async () => {
  const records = async (path: string) => Array.fromAsync(readRecords(path, ["label", "text"]));
  assert.deepEqual(await records(file("a.jsonl", '{"text":"x","label":3,"more":[]}\n{"label":null,"text":"y"}')), [
    { values: [3, "x"], line: 1 },
    { values: [null, "y"], line: 2 },
  ]);
  assert.deepEqual(await records(file("a.csv", "text,label\nx,3\n")), [{ values: ["3", "x"], line: 2 }]);
  const [first] = await Array.fromAsync(readRecords(golden("data", "v2-delta.parquet"), ["score", "id"]));
  assert.deepEqual(first, { values: [0, 0n], line: 1 });
  await assert.rejects(records(file("a.txt", "x")), /plain text, expected a file with columns/);
});

test("a missing column: the error names it and the columns that exist", async () => {
  await refused(
    file("a.csv", "id,review\n1,x\n"),
    undefined,
    /line 1: found the columns id, review, expected a column text/,
  );
  await refused(file("a.jsonl", '{"text":"x"}\n{"review":"x"}'), undefined, /line 2: found the columns review/);
  await refused(
    golden("data", "string-snappy.parquet"),
    { column: "body" },
    /the columns id, text, score, expected a column body/,
  );
  await refused(file("a.txt", "x"), { column: "body" }, /has no columns/);
  await refused(file("a.csv", "text,text\n1,x\n"), undefined, /the column text twice/);
});

test("a broken line or row: the error names it", async () => {
  await refused(file("a.jsonl", '{"text":"x"}\n\n{"text":"y'), undefined, /line 3: found broken JSON/);
  await refused(file("a.jsonl", '["x"]'), undefined, /line 1: found an array/);
  await refused(file("a.csv", "id,text\n1,x\n2\n"), undefined, /line 3: found a broken row/);
  await refused(file("a.csv", 'id,text\n1,"x\n2,y\n'), undefined, /found a broken row \(Quote Not Closed/);
  const whole = readFileSync(golden("data", "string-snappy.parquet"));
  await refused(file("a.parquet", whole.subarray(0, 1000)), undefined, /expected a Parquet file/);
  const damaged = Buffer.from(whole);
  damaged.fill(0xff, 100, 600);
  await refused(file("a.parquet", damaged), undefined, /row group 0: found data that can't be read/);
});

test("a Parquet file whose footer is damaged anywhere is read or refused by name, never more", async () => {
  const whole = readFileSync(golden("data", "string-none.parquet"));
  const footer = whole.readUInt32LE(whole.length - 8);
  let refusals = 0;
  for (let at = whole.length - 8 - footer; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x11;
    const path = file("footer.parquet", damaged);
    await Array.fromAsync(readRecords(path, ["text"])).catch((error: Error) => {
      assert.equal(error.name, "InputError", `byte ${at}: ${error.stack}`);
      refusals += 1;
    });
  }
  assert.ok(refusals > footer / 10, `${refusals} of ${footer}`);
});

test("a value that is not a text: the error names line or row and column", async () => {
  await refused(file("a.jsonl", '{"text":"x"}\n{"text":5}'), undefined, /line 2, column text: found the number 5/);
  await refused(file("a.jsonl", '{"text":["x"]}'), undefined, /line 1, column text: found an array/);
  await refused(
    file("a.jsonl", '{"text":"\\ud83e"}'),
    undefined,
    /line 1, column text: found half of a surrogate pair/,
  );
  await refused(golden("data", "null-in-row-7.parquet"), undefined, /row 7, column text: found null/);
  await refused(golden("data", "nested.parquet"), undefined, /column text: found nested values/);
  await refused(golden("data", "string-none.parquet"), { column: "score" }, /row 1, column score: found the number 0/);
});

test("bytes that are not UTF-8 are refused, not replaced", async () => {
  const latin1 = Buffer.from("one\n\ncafé\n", "latin1");
  await refused(file("a.txt", latin1), undefined, /line 3: found bytes that are not UTF-8/);
  await refused(file("a.txt.gz", gzipSync(latin1)), undefined, /line 3: found bytes that are not UTF-8/);
  await refused(file("a.csv", Buffer.from("text\nok\ncafé\n", "latin1")), undefined, /line 3: found bytes/);
  await refused(file("a.txt", Buffer.from("\ufeffone", "utf16le")), undefined, /found UTF-16/);
  await refused(
    golden("data", "latin1-in-row-10.parquet"),
    undefined,
    /row 10, column text: found bytes that are not UTF-8/,
  );
});

test("empty files, and files without a text, are refused", async () => {
  for (const name of ["a.txt", "a.jsonl", "a.csv", "a.txt.gz", "a.parquet"])
    await refused(file(name, name.endsWith("gz") ? gzipSync("") : ""), undefined);
  await refused(file("a.parquet", ""), undefined, /a\.parquet: found an empty file, expected a Parquet file/);
  await refused(file("a.txt", "\n \n<|endoftext|>\n"), undefined, /found no text/);
  await refused(file("a.csv", "text\n"), undefined, /found no records/);
  await refused(file("a.jsonl", '{"text":""}\n'), undefined, /found no text/);
  await refused(golden("data", "no-rows.parquet"), undefined, /found no records/);
});

test("gzip that is cut short or isn't gzip, files that aren't there, names of no format", async () => {
  const packed = gzipSync(Array.from({ length: 50_000 }, (_, i) => `document ${i * 7919}\n\n`).join(""));
  await refused(
    file("a.txt.gz", packed.subarray(0, packed.length - 2000)),
    undefined,
    /gzip data that is broken or cut short/,
  );
  await refused(file("a.jsonl.gz", Buffer.from("plain")), undefined, /doesn't begin as gzip does/);
  await refused(join(folder, "none.txt"), undefined, /no such file/);
  await refused(join(folder, "none.parquet"), undefined, /no such file/);
  mkdirSync(join(folder, "folder.txt"));
  await refused(join(folder, "folder.txt"), undefined, /folder\.txt.*: found a folder, expected a readable file/);
  await refused(file("a.docx", "x"), undefined, /unknown format, expected .*\.parquet/);
});

test("gzip in several members, and packed text under a plain name, are read", async () => {
  const packed = Buffer.concat([gzipSync("one\n\ntw"), gzipSync("o\n")]);
  for (const name of ["a.txt.gz", "a.txt"]) {
    assert.deepEqual(await texts(file(name, packed)), [
      { text: "one", line: 1 },
      { text: "two", line: 3 },
    ]);
  }
});

test("a reader that is left early closes its file", {
  skip: process.platform !== "linux" && "needs /proc",
}, async () => {
  const open = () =>
    readdirSync("/proc/self/fd").map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return ""; // closed meanwhile, as the list's own handle is
      }
    });
  const paths = [
    file(
      "a.txt.gz",
      gzipSync(
        randomBytes(2e6)
          .toString("hex")
          .replaceAll(/(.{20})/g, "$1\n\n"),
      ),
    ),
    file("a.csv", `text\n${"x\n".repeat(3e6)}`),
    golden("data", "string-snappy.parquet"),
  ];
  for (const path of paths) {
    for await (const _ of readTexts(path)) {
      assert.ok(open().includes(path), `${path} is open while it is read`);
      break;
    }
    // Streams close a few turns after they were destroyed; a leak would make this test time out.
    while (open().includes(path)) await new Promise(setImmediate);
  }
});

test("a line and a document have a longest length", async () => {
  await refused(
    file("line.jsonl", Buffer.alloc(LONGEST_TEXT + 2 ** 21, "x")),
    undefined,
    /line 1: found a line of more than 64 MiB/,
  );
  const wrapped = Buffer.alloc(LONGEST_TEXT + 2 ** 21, `${"x".repeat(99)}\n`);
  await refused(
    file("document.txt", wrapped),
    undefined,
    /line 1: found a document of more than 64 MiB/,
    /each line is one/,
  );
});

test("60 MB of text are read within 40 MiB more memory than 6 MB", { timeout: 120_000 }, async () => {
  const path = (name: string) => join(folder, name);
  const peak = (name: string): { mebibytes: number; count: number } => {
    const script = `import { readTexts } from ${JSON.stringify(new URL("../../../src/data/texts.ts", import.meta.url).href)};
      let count = 0;
      for await (const { text } of readTexts(process.argv[1])) count += text.length > 0 ? 1 : 0;
      console.log(JSON.stringify({ mebibytes: process.resourceUsage().maxRSS / 1024, count }));`;
    // A small heap, so that the peak shows what is held and not how lazily it is collected.
    const child = spawnSync(
      process.execPath,
      ["--max-semi-space-size=1", "--max-old-space-size=32", "--input-type=module", "-e", script, path(name)],
      { encoding: "utf8" },
    );
    assert.equal(child.status, 0, child.stderr);
    return JSON.parse(child.stdout);
  };
  const generate = async (name: string, count: number, head: string, line: (i: number) => string) => {
    function* content() {
      yield head;
      for (let i = 0; i < count; i += 1000) yield Array.from({ length: 1000 }, (_, j) => line(i + j)).join("");
    }
    await pipeline(Readable.from(content()), createGzip({ level: 1 }), createWriteStream(path(name)));
  };
  const body = "the same words over and over ".repeat(10);
  for (const [name, head, line] of [
    ["txt", "", (i: number) => `${i} ${body}\n\n`],
    ["jsonl", "", (i: number) => `{"id":${i},"text":"${body}"}\n`],
    ["csv", "id,text\n", (i: number) => `${i},"${body}"\n`],
  ] as const) {
    const large = 200_000;
    await generate(`small.${name}.gz`, large / 10, head, line);
    await generate(`large.${name}.gz`, large, head, line);
    const small = peak(`small.${name}.gz`);
    const whole = peak(`large.${name}.gz`);
    assert.equal(whole.count, large);
    assert.ok(whole.mebibytes < small.mebibytes + 40, `${name}: ${whole.mebibytes} MiB against ${small.mebibytes} MiB`);
  }
});

const reviews = sharedData("text", "imdb-reviews-30mb.txt.gz");
test("the film reviews: one document a review", { skip: reviews.skip }, async () => {
  const found = await texts(reviews.path);
  assert.equal(found.length, 22_446); // 22,445 separators
  assert.equal(found[0]!.line, 1);
  assert.ok(found.every(({ text }) => !text.includes("<|endoftext|>")));
});
