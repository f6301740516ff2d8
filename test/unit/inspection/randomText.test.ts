// Where tokens lie in texts of random Unicode: every tokenizer that we carry, whole texts, documents with CRLF, cells of jsonl and csv.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { readGguf } from "../../../src/formats/gguf.ts";
import { type Piece, piecesOf } from "../../../src/inspection/pieces.ts";
import { type TextToken, textTokens } from "../../../src/inspection/textTokens.ts";
import { ggufTokenizer } from "../../../src/model/ggufTokenizer.ts";
import { openTokenizer } from "../../../src/model/huggingFaceFolder.ts";
import type { Tokenizer } from "../../../src/model/languageModel.ts";
import { golden, sharedData } from "../fixtures.ts";

const TEXTS = 150;

const between = (first: number, last: number) => (random: SeededRandom) =>
  String.fromCodePoint(first + random.integer(last - first + 1));
const oneOf = (list: readonly string[]) => (random: SeededRandom) => list[random.integer(list.length)]!;

/** What texts are made of; each draw takes one. */
const kinds: readonly ((random: SeededRandom) => string)[] = [
  oneOf(["the", " nurse", " she", " said", "Hello", " 42", " don't", "\n", "  ", "\t", ". "]),
  between(0x21, 0x7e),
  between(0xa1, 0x24f), // Latin with marks of its own
  between(0x300, 0x36f), // marks that combine, on whatever stands before
  oneOf(["e\u0301", "a\u0308\u0323", "n\u0303", "\u1112\u1161\u11ab", "\u0915\u094d\u0937\u093f"]),
  between(0x5d0, 0x5ea), // Hebrew
  between(0x620, 0x64a), // Arabic
  oneOf(["\u200f", "\u200e", "\u202e", "\u2067", "\u2069", "\u00ad", "\u200b", "\u200c", "\u200d", "\u2060"]),
  between(0x4e00, 0x9fff),
  between(0xac00, 0xd7a3), // Hangul
  between(0x16a0, 0x16ea), // runes
  between(0x1f300, 0x1f64f), // emoji, beyond the first plane
  oneOf(["👩‍⚕️", "👨‍👩‍👧‍👦", "🇫🇷", "👍🏽", "❤️", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"]),
  between(0x20000, 0x2a6df), // ideographs beyond the first plane
  oneOf(["\ufeff", "\ufffd", "\u{10ffff}", "\u0001", "\u0085", "\u2028", "\u00a0", "\u3000", "ﬁ", "Å", "İ"]),
];

function randomText(random: SeededRandom): string {
  return Array.from({ length: random.integer(24) }, () => kinds[random.integer(kinds.length)]!(random)).join("");
}

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** White space and what tokenizers may take away or join with its neighbours (NFC, trimming). */
const plain = (text: string) => text.normalize("NFC").replaceAll(/[\s\ufeff]/g, "");

function assertOnWholeCharacters(text: string, tokens: readonly TextToken[], tokenizer: Tokenizer): void {
  const shown = JSON.stringify(text);
  const covered = new Uint8Array(text.length);
  let before = { start: 0, end: 0 };
  for (const { start, end } of tokens) {
    assert.ok(start >= 0 && start <= end && end <= text.length, shown);
    assert.ok(start >= before.start && end >= before.end, `in order: ${shown}`);
    for (const place of [start, end])
      assert.ok(!/^[\uD800-\uDBFF][\uDC00-\uDFFF]/.test(text.slice(place - 1, place + 1)), `half a pair: ${shown}`);
    covered.fill(1, start, end);
    before = { start, end };
  }
  const left = [...covered.keys()].filter((unit) => !covered[unit] && !/[\s\ufeff]/.test(text[unit]!));
  assert.deepEqual(left, [], `characters without a token: ${shown}`);
  // What tokens say is what they stand on, letter by letter with its marks: which mark is whose, normalisers decide.
  const letters = new Set(Array.from(segmenter.segment(text), ({ index, segment }) => index + segment.length));
  for (const { index } of text.matchAll(/(?<=[\u1100-\u11ff])[\u1100-\u11ff]/g)) letters.delete(index);
  for (let first = 0; first < tokens.length; ) {
    let [next, end] = [first + 1, tokens[first]!.end];
    while (next < tokens.length && (tokens[next]!.start < end || !letters.has(end)))
      end = Math.max(end, tokens[next++]!.end);
    const group = tokens.slice(first, next);
    const ids = group.map(({ id }) => id);
    first = next;
    if (ids.some((id) => tokenizer.specialIds.has(id))) continue; // "unknown" says nothing of what it stands for
    const [said, stoodOn] = [plain(tokenizer.decode(ids)), plain(text.slice(group[0]!.start, end))];
    assert.equal(said, stoodOn, shown);
  }
}

/** Tokens of a piece, at their places in the document that it comes from. */
function placed({ text, places }: Piece, tokenizer: Tokenizer) {
  return textTokens(text, tokenizer).map(({ start, end }) => ({
    text: text.slice(start, end),
    start: places[start]!,
    end: end > start ? places[end]! : places[start]!,
  }));
}

function checkTokenizer(tokenizer: Tokenizer, seed: number): void {
  const random = SeededRandom.derive(seed, "texts");
  for (let n = 0; n < TEXTS; n++) {
    const text = randomText(random);
    assertOnWholeCharacters(text, textTokens(text, tokenizer), tokenizer);

    const document = text.replaceAll("\n", "\r\n");
    for (const piece of piecesOf(document, "text", { start: 0, end: document.length }).pieces)
      for (const token of placed(piece, tokenizer))
        assert.equal(document.slice(token.start, token.end).replaceAll("\r\n", "\n"), token.text);

    // A character that JSON escapes is six or two in the document.
    const escaped = JSON.stringify(text).replaceAll(/[\u0080-\uffff]/g, (unit) =>
      random.uniform() < 0.5 ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
    const line = `{"id": 7, "text": ${escaped}}`;
    for (const piece of piecesOf(line, "jsonl", { start: 0, end: line.length }).pieces) {
      assert.equal(piece.text, text);
      for (const token of placed(piece, tokenizer))
        assert.equal(JSON.parse(`"${line.slice(token.start, token.end)}"`), token.text);
    }

    const cell = text.replaceAll("\r", "");
    const table = `7,"${cell.replaceAll('"', '""').replaceAll("\n", "\r\n")}",2\r\n`;
    for (const piece of piecesOf(table, "csv", { start: 0, end: table.length }).pieces) {
      assert.equal(piece.text, cell);
      for (const token of placed(piece, tokenizer)) {
        const written = table.slice(token.start, token.end).replaceAll("\r\n", "\n").replaceAll('""', '"');
        assert.equal(written, token.text);
      }
    }
  }
}

describe("random Unicode: every token on whole characters that say what it says", () => {
  // SentencePiece with bytes for the rest, and byte-level BPE with and without a normaliser.
  for (const [seed, name] of ["llama", "mistral", "gemma2", "llama3_rope", "gpt2", "gpt_neox", "qwen2"].entries()) {
    test(`${name}, tokenizer.json`, async () => {
      checkTokenizer(await openTokenizer(golden("models", name), {}), seed);
    });
  }
  for (const [seed, path] of [
    ["models", "stories260K", "stories260K-f32.gguf"],
    ["models", "smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf"],
  ].entries()) {
    const file = sharedData(...path);
    test(`${path[1]}, GGUF`, { skip: file.skip }, async () => {
      checkTokenizer(ggufTokenizer(await readGguf(file.path)), 10 + seed);
    });
  }
});
