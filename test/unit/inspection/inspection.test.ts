// Reading texts: the same numbers whichever way a text came to be, tokens on the right characters in any Unicode, long texts in overlapping rows, documents and their cells.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { compareFeatures, featuresHere } from "../../../src/inspection/featuresHere.ts";
import { type InspectedText, Inspection, strongest } from "../../../src/inspection/inspection.ts";
import { MOST_CHARACTERS, MOST_SEEN, piecesOf, textBefore } from "../../../src/inspection/pieces.ts";
import { textTokens, unknownShare } from "../../../src/inspection/textTokens.ts";
import { type HookContinuation, type HookReader, SEQUENCE_STEP } from "../../../src/model/hookedSequence.ts";
import type { LanguageModel } from "../../../src/model/languageModel.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import { oneRow } from "../model/references.ts";
import { hook, openWorld } from "./world.ts";

const words = "the nurse said that she was happy and the doctor saw the river near the old house ".split(" ");
const prose = (n: number) => Array.from({ length: n }, (_, i) => words[(i * 7) % (words.length - 1)]).join(" ");

/** The model, counting the tokens that each half is given. */
function counted(model: LanguageModel, counts: { lower: number; upper: number }): LanguageModel {
  const halfOf = <H extends HookReader | HookContinuation>(half: H, which: keyof typeof counts): H =>
    new Proxy(half, {
      get: (target, name) => {
        if (name === "fork") return () => halfOf(target.fork() as H, which);
        if (name === "append") {
          return (ids: Int32Array, ...rest: unknown[]) => {
            counts[which] += ids.length;
            return (target.append as (...args: unknown[]) => unknown).call(target, ids, ...rest);
          };
        }
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  return new Proxy(model, {
    get: (target, name) => {
      if (name === "readTo") return (hook: string) => halfOf(target.readTo(hook), "lower");
      if (name === "goOnFrom") return (hook: string) => halfOf(target.goOnFrom(hook), "upper");
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function assertSame(got: InspectedText, expected: InspectedText): void {
  assert.deepEqual(
    got.tokens.map(({ logprob, values, ...rest }) => rest),
    expected.tokens.map(({ logprob, values, ...rest }) => rest),
  );
  for (const [t, { logprob, values }] of got.tokens.entries()) {
    assert.ok(Math.abs((logprob ?? 0) - (expected.tokens[t]!.logprob ?? 0)) < 1e-5);
    for (const [i, value] of values.entries()) assert.ok(Math.abs(value - expected.tokens[t]!.values[i]!) < 1e-5);
  }
}

describe("reading", async () => {
  const { model, ensemble, encoder, inspection } = await openWorld();
  after(() => model.close());
  const fresh = () => new Inspection({ model, ensemble, encoder, prependBos: true });

  test("features and log-probabilities are those of the whole row at once, BOS before it", async () => {
    const text = prose(30);
    const { tokens } = await inspection.read(text);
    const ids = [model.tokenizer.bosId!, ...tokens.map(({ id }) => id)];
    const x = await model.capture(oneRow(ids), hook);
    const { codes } = encodeEnsemble(ensemble, x, ids.length);
    const logits = await model.logits(oneRow(ids));
    const n = codes.length / ids.length;
    const V = model.info.dVocab;
    for (const [t, token] of tokens.entries()) {
      const row = codes.subarray((t + 1) * n, (t + 2) * n);
      assert.deepEqual(
        [...token.features],
        [...row.keys()].filter((i) => row[i]! > 0),
      );
      const before = logits.subarray(t * V, (t + 1) * V);
      const sum = before.reduce((total, logit) => total + Math.exp(logit), 0);
      assert.ok(Math.abs(token.logprob! - (before[token.id]! - Math.log(sum))) < 1e-4);
      assert.equal(token.rank, before.filter((logit) => logit > before[token.id]!).length);
      const [first] = strongest(token, 1);
      assert.equal(first!.value, Math.max(...token.values));
    }
  });

  test("edits anywhere give what reading afresh gives", async () => {
    const text = prose(90);
    const edited = fresh();
    await edited.read(text);
    for (const next of [
      `${text} more`,
      text.slice(0, -40),
      `${text.slice(0, 200)}X${text.slice(200)}`,
      `A${text}`,
      "",
      text.slice(0, 3),
      text,
    ]) {
      assertSame(await edited.read(next), await fresh().read(next));
    }
  });

  test("features alone, then the rest: the same numbers, whatever was edited in between", async () => {
    const text = prose(90);
    const typed = fresh();
    await typed.read(text);
    let longer = text;
    for (const word of [" she", " said", " that", " it", " was"]) {
      longer += word.repeat(9);
      const { tokens, likelihoods } = await typed.readFeatures(longer);
      assert.equal(likelihoods, false);
      const whole = await fresh().read(longer);
      assertSame(
        { text: longer, likelihoods, tokens },
        { ...whole, tokens: whole.tokens.map((token) => ({ ...token, logprob: null, rank: null })) },
      );
    }
    for (const next of [longer, `A${longer.slice(0, 300)}`, longer.slice(0, -20)]) {
      await typed.readFeatures(next);
      assertSame(await typed.read(next), await fresh().read(next));
      assert.equal(await typed.readFeatures(next), await typed.read(next));
    }
  });

  test("an edit at the end reads its own tokens and two before them; one at the beginning everything", async () => {
    const counts = { lower: 0, upper: 0 };
    const counting = counted(model, counts);
    const reader = new Inspection({ model: counting, ensemble, encoder, prependBos: true });
    const text = prose(150);
    const { length } = (await reader.read(text)).tokens;
    assert.ok(length > 3 * SEQUENCE_STEP);
    assert.deepEqual(counts, { lower: length + 1, upper: length + 1 });
    const after = async (next: string) => {
      Object.assign(counts, { lower: 0, upper: 0 });
      await reader.read(next);
      return { ...counts };
    };
    const { lower, upper } = await after(`${text} more`);
    const own = (await reader.read(`${text} more`)).tokens.length - length;
    assert.ok(own > 0 && lower <= own + 2 && upper <= own + 2, `${lower} and ${upper} tokens for ${own}`);
    assert.deepEqual(await after(text), { lower: 0, upper: 0 }, "what was undone is known");
    assert.ok((await after(`A${text}`)).lower >= length);
  });

  test("a cancelled reading leaves what was read before as it was", async () => {
    const reader = fresh();
    const text = prose(60);
    const before = await reader.read(text);
    await assert.rejects(reader.read(`${text} and`, AbortSignal.abort()), { name: "AbortError" });
    assertSame(await reader.read(text), before);
    assertSame(await reader.read(`${text} and`), await fresh().read(`${text} and`));
  });

  test("a text longer than the context: rows that overlap by half, no token left out", async () => {
    const text = prose(Math.ceil(model.info.contextSize * 1.2));
    const { tokens } = await inspection.read(text);
    assert.ok(tokens.length > model.info.contextSize);
    assert.deepEqual(
      tokens.map(({ id, start, end }) => ({ id, start, end })),
      textTokens(text, model.tokenizer),
    );
    // The first token of the second row has half a context before it.
    const fits = model.info.contextSize - 1;
    const second = tokens.slice(fits - Math.floor(fits / 2));
    const ids = Int32Array.from([model.tokenizer.bosId!, ...second.map(({ id }) => id)]).slice(0, fits + 1);
    const x = await model.capture(oneRow(ids), hook);
    const { codes } = encodeEnsemble(ensemble, x, ids.length);
    const n = codes.length / ids.length;
    const at = Math.floor(fits / 2) + 1;
    const expected = [...codes.subarray(at * n, (at + 1) * n).keys()].filter((i) => codes[at * n + i]! > 0);
    assert.deepEqual([...tokens[fits]!.features], expected);
  });

  test("a prompt longer than the context keeps its end", async () => {
    const text = prose(model.info.contextSize);
    const row = await inspection.readPrompt(text, 10);
    assert.equal(row.ids.length, model.info.contextSize - 10);
    assert.equal(row.ids[0], model.tokenizer.bosId);
    const last = textTokens(text, model.tokenizer).at(-1)!.id;
    assert.equal(row.ids.at(-1), last);
  });

  test("special tokens inside a text show no features", async () => {
    const special = [...model.tokenizer.specialIds].map((id) => model.tokenizer.tokenText(id))[0]!;
    const { tokens } = await inspection.read(`one ${special} two`);
    const found = tokens.filter((token) => token.special);
    assert.equal(found.length, 1);
    assert.equal(found[0]!.features.length, 0);
    assert.ok(tokens.some((token) => !token.special && token.features.length > 0));
  });

  test("features here: sums, counts, maxima, and rarity against the corpus", async () => {
    const { tokens } = await inspection.read(prose(20));
    const feature = tokens[3]!.features[0]!;
    const firing = tokens.map((token) => token.values[token.features.indexOf(feature)] ?? 0);
    const corpus = {
      tokens: 1000,
      of: (i: number) => ({ density: i === feature ? 0 : 0.5, max: i === feature ? 0 : 1000 }),
    };
    const list = featuresHere(tokens, "specificity", corpus);
    const here = list.find((entry) => entry.feature === feature)!;
    assert.equal(here.count, firing.filter((value) => value > 0).length);
    assert.ok(Math.abs(here.sum - firing.reduce((sum, value) => sum + value, 0)) < 1e-6);
    assert.equal(here.max, Math.max(...firing));
    assert.ok(Math.abs(here.specificity - Math.log(2000)) < 1e-9, "never seen in the corpus: half a token");
    assert.equal(list[0], here);
    const byMax = featuresHere(tokens, "max", corpus);
    assert.equal(byMax[0]!.max, Math.max(...tokens.flatMap((token) => [...token.values])));
  });

  test("comparison: features whose means differ most; a text with itself differs in none", async () => {
    const [a, b] = [await inspection.read("she was a nurse"), await inspection.read("he was a doctor")];
    assert.ok(compareFeatures(a.tokens, a.tokens).every((entry) => entry.a === entry.b));
    const differences = compareFeatures(a.tokens, b.tokens);
    const sizes = differences.map((entry) => Math.abs(entry.a - entry.b));
    assert.deepEqual(
      sizes,
      sizes.toSorted((x, y) => y - x),
    );
    const [first] = differences;
    const mean = (text: InspectedText) =>
      text.tokens.reduce((sum, token) => sum + (token.values[token.features.indexOf(first!.feature)] ?? 0), 0) /
      text.tokens.length;
    assert.ok(Math.abs(first!.a - mean(a)) < 1e-6 && Math.abs(first!.b - mean(b)) < 1e-6);
  });
});

describe("tokens and characters", async () => {
  for (const name of ["llama", "llama3_rope", "gpt_neox", "gemma2"]) {
    const { model } = await openWorld("bagging", name);
    after(() => model.close());
    test(`${name}: every token lies on whole characters, together on all of them`, () => {
      for (const text of [
        "plain words",
        "👩‍⚕️ said e\u0301lan, nai\u0308ve",
        "日本語とعربى",
        "a\r\nb\r\n",
        "tab\there  two spaces",
        "\u{10FFFF}x\uFEFFy",
        "",
      ]) {
        const tokens = textTokens(text, model.tokenizer);
        const covered = new Uint8Array(text.length);
        for (const { start, end } of tokens) {
          assert.ok(start >= 0 && start <= end && end <= text.length);
          assert.ok(!/^[\uDC00-\uDFFF]/.test(text.slice(start)), "begins inside no surrogate pair");
          assert.ok(!/[\uD800-\uDBFF]$/.test(text.slice(0, end)), "ends inside none");
          covered.fill(1, start, end);
        }
        // Trimming tokenizers leave spaces out, NFC a mark that became part of its letter.
        const left = [...covered.keys()].filter((i) => !covered[i] && !/[\s\p{M}]/u.test(text[i]!));
        assert.deepEqual(left, [], JSON.stringify(text));
      }
    });
  }

  test("a script that the tokenizer doesn't know is told by its share", async () => {
    const { model } = await openWorld();
    const share = (text: string) => unknownShare(text, textTokens(text, model.tokenizer), model.tokenizer);
    assert.equal(share("she was a nurse"), 0);
    assert.ok(share("ᚠᚢᚦᚨᚱᚲ") > 0.9);
    assert.equal(share(""), 0);
    await model.close();
  });
});

describe("pieces of documents", () => {
  const all = { start: 0, end: Number.MAX_SAFE_INTEGER };
  const placed = (document: string, kind: "text" | "jsonl" | "csv" | "tsv") =>
    piecesOf(document, kind, all).pieces.map(({ text, places }) => ({
      text,
      from: document.slice(places[0], places.at(-1)),
    }));

  test("a short text is one piece; line ends are one character of it", () => {
    const [piece, ...others] = piecesOf("a\r\nb", "text", { start: 0, end: 1 }).pieces;
    assert.equal(others.length, 0);
    assert.equal(piece!.text, "a\nb");
    assert.deepEqual([...piece!.places], [0, 1, 3, 4]);
  });

  test("of a long text, what is seen with context before; the same while scrolling a little", () => {
    const document = Array.from({ length: 2000 }, (_, i) => `line ${i} 😀`).join("\n");
    const visible = { start: 15_500, end: 16_500 };
    const [piece] = piecesOf(document, "text", visible).pieces;
    const [start, end] = [piece!.places[0]!, piece!.places.at(-1)!];
    assert.ok(start < visible.start - 1000 && end > visible.end && end - start <= MOST_CHARACTERS);
    assert.equal(document[start - 1], "\n");
    const [scrolled] = piecesOf(document, "text", { start: 15_700, end: 16_700 }).pieces;
    assert.equal(scrolled!.places[0], start);
    const [oneLine] = piecesOf("😀".repeat(20_000), "text", { start: 10_001, end: 10_050 }).pieces;
    assert.match(oneLine!.text, /^(😀)+$/);
  });

  test("a screen of more than is usually read is read to its end, up to a limit; then it says so", () => {
    const line = `${"x".repeat(119)}\n`;
    const document = line.repeat(1000);
    for (const first of [0, 7, 300, 940]) {
      const visible = { start: first * 120, end: (first + 60) * 120 };
      const { pieces, whole } = piecesOf(document, "text", visible);
      const [start, end] = [pieces[0]!.places[0]!, pieces[0]!.places.at(-1)!];
      assert.ok(start <= Math.max(0, visible.start - 1000) && end >= visible.end, `${start} to ${end}`);
      assert.equal(whole, true);
    }
    // 19,200 characters are seen: less context before them. Of 24,000 the first part.
    const most = piecesOf(document, "text", { start: 36_000, end: 55_200 });
    assert.equal(most.pieces[0]!.places.at(-1), 55_200);
    assert.equal(most.pieces[0]!.text.length, MOST_SEEN);
    assert.equal(most.whole, true);
    const tooMuch = piecesOf(document, "text", { start: 36_000, end: 60_000 });
    assert.deepEqual([tooMuch.pieces[0]!.places[0], tooMuch.pieces[0]!.places.at(-1)], [36_000, 36_000 + MOST_SEEN]);
    assert.equal(tooMuch.whole, false);
  });

  test("of a cell longer than is read at a time, what is seen with context before", () => {
    const long = "she was ".repeat(875);
    for (const [kind, document] of [
      ["jsonl", `{"text": "${long}"}\n{"text": "two"}\n`],
      ["csv", `text\n"${long}"\ntwo\n`],
    ] as const) {
      const { pieces, whole } = piecesOf(document, kind, { start: 0, end: document.length });
      assert.equal(pieces.find(({ text }) => text.length > 5)!.text, long);
      assert.equal(pieces.at(-1)!.text, "two");
      assert.equal(whole, true);
      const beginning = piecesOf(document, kind, { start: 0, end: 3000 });
      assert.equal(beginning.pieces.find(({ text }) => text.length > 5)!.text, long.slice(0, MOST_CHARACTERS));
      assert.equal(beginning.whole, true);
    }
    const huge = `{"text": "${"y".repeat(100_000)}"}`;
    const visible = { start: 50_010, end: 53_000 };
    const [piece] = piecesOf(huge, "jsonl", visible).pieces;
    const [start, end] = [piece!.places[0]!, piece!.places.at(-1)!];
    assert.ok(start <= visible.start - 2000 && end >= visible.end && end - start <= MOST_CHARACTERS);
  });

  test("rows of a screen: as many as there is room for, and whether that is all", () => {
    const document = `${JSON.stringify({ text: "z".repeat(1400) })}\n`.repeat(40);
    const { pieces, whole } = piecesOf(document, "jsonl", { start: 0, end: document.length });
    assert.equal(pieces.length, Math.ceil(MOST_SEEN / 1400));
    assert.equal(
      pieces.reduce((sum, { text }) => sum + text.length, 0),
      MOST_SEEN,
    );
    assert.equal(whole, false);
    assert.equal(piecesOf(document, "jsonl", { start: 0, end: 14_000 }).whole, true);
  });

  test("jsonl: string values, escapes undone, each character at its place", () => {
    const document = '{"id": 1, "text": "She\\n\\u00e9\\"x\\"", "tags": ["a b"]}\nnot json\n{"text": "two"}\n';
    assert.deepEqual(
      placed(document, "jsonl").map(({ text }) => text),
      ['She\né"x"', "a b", "two"],
    );
    const [piece] = piecesOf(document, "jsonl", { start: 0, end: 5 }).pieces;
    assert.equal(document.slice(piece!.places[4], piece!.places[5]), "\\u00e9");
    assert.equal(piecesOf(document, "jsonl", { start: document.length - 3, end: document.length }).pieces.length, 1);
  });

  test("csv and tsv: texts without the names of columns and numbers, quotes and line ends inside of them", () => {
    const document = 'id,text,n\r\n1,"He said ""hi"",\r\nthen left",2.5\r\n2,pl""ain,\r\n';
    assert.deepEqual(placed(document, "csv"), [
      { text: 'He said "hi",\nthen left', from: 'He said ""hi"",\r\nthen left' },
      { text: 'pl""ain', from: 'pl""ain' },
    ]);
    const texts = (document: string, kind: "jsonl" | "csv" | "tsv") => placed(document, kind).map(({ text }) => text);
    assert.deepEqual(texts("She left early one day\tc,d\n\te", "tsv"), ["She left early one day"]);
    assert.deepEqual(texts('7,a,"open', "csv"), ["a", "open"]);
  });

  test("the columns of texts are read, not those of labels; where no cell has several words, all of them", () => {
    const texts = (document: string, kind: "jsonl" | "csv" | "tsv") => placed(document, kind).map(({ text }) => text);
    assert.deepEqual(texts("id,text,label\n1,She is a nurse.,good\n2,Why,bad\n3,1984,good\n", "csv"), [
      "She is a nurse.",
      "Why",
      "1984",
    ]);
    assert.deepEqual(texts("nurse,1\nking,2\n", "csv"), ["nurse", "king"]);
    assert.deepEqual(texts("word,n\nnurse,1\nking,2\n", "csv"), ["nurse", "king"]);
    assert.deepEqual(texts("text,label\n彼女は看護師です,良い\n", "csv"), ["彼女は看護師です"]);
    const rows = [
      { text: "She is a nurse.", label: "good", source: { name: "web" } },
      { text: "Why", label: "bad", source: { name: "web" } },
      { text: "他是医生", label: "good", source: { name: "web" } },
    ];
    const lines = (values: object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");
    assert.deepEqual(texts(lines(rows), "jsonl"), ["She is a nurse.", "Why", "他是医生"]);
    assert.deepEqual(texts(lines([{ word: "nurse" }, { word: "king" }]), "jsonl"), ["nurse", "king"]);
    assert.equal(textBefore("text,label\nShe is here,good\n", "csv", 2), null, "a column's name");
  });

  test("the text before a cursor: of a text all of it, of a cell its part, outside of cells nothing", () => {
    const document = '{"id": 1, "text": "She \\"was\\" here"}';
    const cursor = document.indexOf(" here") + 5;
    assert.equal(textBefore(document, "jsonl", cursor), 'She "was" here');
    assert.equal(textBefore(document, "jsonl", document.indexOf("was")), 'She "');
    assert.equal(textBefore(document, "jsonl", 3), null);
    assert.equal(textBefore("a,bcd,e", "csv", 4), "bc");
    assert.equal(textBefore("one\r\ntwo", "text", 6), "one\nt");
  });
});
