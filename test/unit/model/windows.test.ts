// Windows of tokens against SAELens' own batching, and where each token says that it comes from.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Tokenizer } from "../../../src/model/languageModel.ts";
import { type TokenWindow, tokenWindows, type WindowOptions } from "../../../src/model/windows.ts";
import { golden } from "../fixtures.ts";

/** A stand-in: the text's numbers are its tokens. */
function numbers(bosId: number | null): Tokenizer {
  return {
    vocabularySize: 100,
    bosId,
    eosId: null,
    specialIds: new Set(bosId === null ? [] : [bosId]),
    encode: (text) =>
      Array.from(text.matchAll(/\d+/g), ({ 0: id, index }) => ({
        id: Number(id),
        start: index,
        end: index + id.length,
      })),
    decode: (ids) => ids.join(" "),
    tokenText: String,
  };
}

async function windows(
  documents: readonly number[][],
  bos: number | null,
  options: WindowOptions,
): Promise<TokenWindow[]> {
  const texts = documents.map((ids) => ({ text: ids.join(" ") }));
  return Array.fromAsync(tokenWindows(texts, numbers(bos), options));
}

interface Case {
  context_size: number;
  prepend_bos: boolean;
  bos: number;
  documents: number[][];
  rows: number[][];
}

const { cases } = JSON.parse(readFileSync(golden("windows", "sae_lens.json"), "utf8")) as { cases: Case[] };

for (const [i, { context_size, prepend_bos, bos, documents, rows }] of cases.entries()) {
  test(`packed as SAELens packs, case ${i}`, async () => {
    const options = { contextSize: context_size, prependBos: prepend_bos, packing: "packed" } as const;
    const ours = await windows(documents, bos, options);
    assert.deepEqual(
      ours.map(({ ids }) => [...ids]),
      rows,
    );
    checkPlaces(ours, documents, bos);
  });
}

/** Every token's range holds its own text, and nothing of a document is lost or told twice, but for what the last window drops. */
function checkPlaces(ours: readonly TokenWindow[], documents: readonly number[][], bos: number | null): void {
  const texts = documents.map((ids) => ids.join(" "));
  const seen: string[] = [];
  for (const { ids, documents: from, starts, ends } of ours) {
    for (const [t, id] of ids.entries()) {
      if (from[t] === -1) assert.deepEqual([id, starts[t], ends[t]], [bos, 0, 0]);
      else {
        assert.equal(texts[from[t]!]!.slice(starts[t], ends[t]), String(id));
        seen.push(`${from[t]}:${starts[t]}`);
      }
    }
  }
  const all = texts.flatMap((text, d) => Array.from(text.matchAll(/\d+/g), ({ index }) => `${d}:${index}`));
  assert.deepEqual(seen, all.slice(0, seen.length));
}

test("one text a row: BOS once, cut at the context, short ones kept, empty ones left out", async () => {
  const documents = [[5, 6, 7, 8, 9], [], [1, 5], [4], [5, 6, 7]];
  const options = { contextSize: 4, prependBos: true, packing: "one_text_per_row" } as const;
  const ours = await windows(documents, 1, options);
  assert.deepEqual(
    ours.map(({ ids }) => [...ids]),
    [
      [1, 5, 6, 7],
      [1, 5],
      [1, 4],
      [1, 5, 6, 7],
    ],
  );
  assert.deepEqual([...ours[3]!.documents], [-1, 4, 4, 4]);
  const bare = await windows(documents, 1, { ...options, prependBos: false });
  assert.deepEqual([...bare[0]!.ids], [5, 6, 7, 8]);
});

test("a tokenizer without BOS packs without separators", async () => {
  const ours = await windows(
    [
      [5, 6, 7],
      [8, 9],
    ],
    null,
    { contextSize: 2, prependBos: true, packing: "packed" },
  );
  assert.deepEqual(
    ours.map(({ ids }) => [...ids]),
    [
      [5, 6],
      [7, 8],
    ],
  );
});

test("a context that can't hold BOS and a token is refused", () =>
  assert.rejects(windows([[5]], 1, { contextSize: 1, prependBos: true, packing: "packed" }), RangeError));
