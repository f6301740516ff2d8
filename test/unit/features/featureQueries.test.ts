// Every question to an index, alone and combined, against a walk over all features; and what people type that is not a good question.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { buildFeatureIndex } from "../../../src/features/buildFeatureIndex.ts";
import { phraseQuery } from "../../../src/features/contextSearch.ts";
import { type FeatureFilter, type FeatureQuery, QueryError } from "../../../src/features/featureIndex.ts";
import { openFeatureIndex } from "../../../src/features/openFeatureIndex.ts";
import { temporaryFolder } from "../fixtures.ts";
import { makeEncoder, makeEnsemble, makeRows, model, streamed, tokenizer } from "./tinyWorld.ts";

const path = join(temporaryFolder(), "index.sqlite");
const ensemble = makeEnsemble();
await buildFeatureIndex({
  path,
  ensemble,
  encoder: makeEncoder(ensemble),
  model,
  rows: streamed(makeRows(14, 9)),
  source: { path: "texts.txt" },
  options: { topSequences: 2, bands: 2, sequencesPerBand: 1, sampledSequences: 3, tokensPerFeature: 4 },
});
const index = openFeatureIndex(path);
after(() => index.close());
const all = Array.from({ length: 24 }, (_, id) => index.detail(id));
const annotations = new Map([
  [3, { flagged: true, label: "women and men" }],
  [9, { label: "Ärzte im Krankenhaus", note: "siehe 東京都" }],
  [10, { label: "Ärzte im Krankenhaus" }],
  [12, { flagged: true }],
]);
index.setAnnotations(annotations);
const shown = (id: number) =>
  all[id]!.bands.flatMap(({ sequences }) =>
    sequences.map(({ tokens }) => {
      const documents = [...new Set(tokens.map(({ document }) => document))].filter((document) => document !== null);
      return documents.map((document) =>
        tokenizer.decode(tokens.filter((t) => t.document === document).map(({ id }) => id)),
      );
    }),
  ).flat();
const ids = (query: FeatureQuery) => [...index.ids(query)];
const where = (filter: FeatureFilter) => ids({ filter });
const expected = (pass: (id: number) => boolean) => all.map(({ id }) => id).filter(pass);

test("info says what the index is of", () => {
  assert.deepEqual(index.info.source, { path: "texts.txt" });
  assert.deepEqual(
    index.info.members,
    [0, 8, 16].map((first) => ({ first, size: 8 })),
  );
  assert.equal(index.info.modelName, "tiny");
});

test("sorts, both ways, ties by id", () => {
  const keys = {
    density: (id: number) => all[id]!.count,
    max: (id: number) => all[id]!.max,
    mean: (id: number) => all[id]!.mean,
    found: (id: number) => all[id]!.found.filter((f) => f).length,
  };
  for (const [sort, key] of Object.entries(keys)) {
    for (const sign of [1, -1]) {
      const order = expected(() => true).sort((a, b) => sign * (key(a) - key(b)) || a - b);
      assert.deepEqual(ids({ sort: sort as "density", descending: sign < 0 }), order, sort);
    }
  }
  assert.ok(new Set(all.map(({ id }) => keys.found(id))).size > 1);
  assert.deepEqual(ids({ descending: true }), expected(() => true).reverse());
  assert.deepEqual(ids({ sort: "label" }).slice(0, 5), [3, 9, 10, 0, 1]);
  assert.deepEqual(ids({ sort: "label", descending: true }).slice(0, 5), [9, 10, 3, 0, 1]);
  assert.deepEqual(ids({ flaggedFirst: true }).slice(0, 4), [3, 12, 0, 1]);
});

test("pages join up to the whole list, with its total", () => {
  const query = { sort: "density", descending: true, filter: { alive: true } } as const;
  const whole = ids(query);
  const pages = [0, 5, 10, 15, 20, 25].flatMap((offset) => index.page({ ...query, offset, limit: 5 }).rows);
  assert.deepEqual(
    pages.map(({ id }) => id),
    whole,
  );
  assert.equal(index.page({ ...query, limit: 0 }).total, whole.length);
  assert.equal(index.count(query.filter), whole.length);
  for (const row of pages) {
    const { sum: _s, distinctTokens: _d, bands: _b, logits: _l, nearest: _n, ...summary } = all[row.id]!;
    assert.deepEqual({ ...row, annotation: {} }, { ...summary, annotation: {} });
    assert.deepEqual(row.annotation, annotations.get(row.id) ?? {});
  }
});

test("filters alone and together", () => {
  assert.deepEqual(
    where({ member: 1 }),
    expected((id) => id >= 8 && id < 16),
  );
  assert.deepEqual(
    where({ alive: false }),
    expected((id) => all[id]!.count === 0),
  );
  assert.ok(where({ alive: false }).length >= 3);
  const { density } = all[2]!;
  assert.deepEqual(
    where({ minDensity: density }),
    expected((id) => all[id]!.density >= density),
  );
  assert.deepEqual(
    where({ maxDensity: density }),
    expected((id) => all[id]!.density <= density),
  );
  assert.deepEqual(
    where({ minFound: 2 }),
    expected((id) => all[id]!.found.filter((f) => f).length >= 2),
  );
  assert.deepEqual(where({ flagged: true }), [3, 12]);
  assert.equal(where({ flagged: false }).length, 22);
  assert.deepEqual(where({ ids: new Set([5, 4, 99]) }), [4, 5]);
  assert.deepEqual(where({ member: 0, flagged: true, minFound: 1 }), [3]);
});

test("features that fire on a token: by id, by exact text, by word, by pattern; by relevance", () => {
  const on = (tokens: number[]) => expected((id) => all[id]!.tokens.some((token) => tokens.includes(token.id)));
  for (let id = 0; id < tokenizer.vocabularySize; id++) assert.deepEqual(where({ token: { id } }), on([id]));
  assert.deepEqual(where({ token: { text: " she", match: "exact" } }), on([2, 13]));
  assert.deepEqual(where({ token: { text: "SHE ", match: "word" } }), on([2, 3, 13]));
  assert.deepEqual(where({ token: { text: "⟨A9⟩", match: "exact" } }), on([7]));
  assert.deepEqual(where({ token: { text: "<img src=x>", match: "exact" } }), on([5]));
  assert.deepEqual(where({ token: { text: "she'; DROP TABLE features; --", match: "exact" } }), []);
  assert.deepEqual(where({ tokenPattern: "^\\s*SHE$|東" }), on([2, 3, 8]));
  const relevance = (id: number) =>
    all[id]!.tokens.filter((t) => [2, 3].includes(t.id)).reduce((sum, { share }) => sum + share, 0);
  const page = index.page({ filter: { token: { text: "she", match: "word" } }, sort: "relevance", descending: true });
  assert.ok(page.rows.length > 5);
  for (const [rank, row] of page.rows.entries()) {
    assert.ok(Math.abs(row.relevance! - relevance(row.id)) < 1e-6);
    if (rank > 0) assert.ok(row.relevance! <= page.rows[rank - 1]!.relevance!);
  }
  assert.deepEqual(
    index
      .tokens("she", "word")
      .map(({ id }) => id)
      .sort(),
    [13, 2, 3],
  );
});

test("phrases in contexts: what is shown is found, whatever the script and the punctuation", () => {
  const words = (text: string) =>
    text
      .replace(/([東京])/gu, " $1 ")
      .normalize("NFD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  const holds = (id: number, phrase: string[], begun: boolean) =>
    shown(id).some((text) => {
      const list = words(text);
      return list.some((_, at) =>
        phrase.every((word, w) =>
          begun && w === phrase.length - 1 ? list[at + w]?.startsWith(word) : list[at + w] === word,
        ),
      );
    });
  const cases: [string, string[], boolean][] = [
    ["the nurse", ["the", "nurse"], true],
    ["nurse the", ["nurse", "the"], true],
    ["nur", ["nur"], true],
    ["nur ", ["nur"], false],
    ["東京", ["東", "京"], false],
    ["京", ["京"], false],
    ["é", ["e"], false],
    ['"img src" = (x', ["img", "src", "x"], false],
    ["nurse OR the", ["nurse", "or", "the"], true],
  ];
  for (const [text, phrase, begun] of cases) {
    assert.deepEqual(
      where({ text }),
      expected((id) => holds(id, phrase, begun)),
      text,
    );
  }
  assert.ok(where({ text: "the nurse" }).length > 0 && where({ text: "the nurse" }).length < 24);
  for (const text of ["", "   ", '"', "*", "\0", "()", "-"])
    assert.deepEqual(where({ text }), [], JSON.stringify(text));
  for (const text of ['a" OR b', "NEAR(a b)", "text:x", "^a", "a*b", "a AND", "\0a\0", "{a}", "a+b", "🙂 a"])
    where({ text });
  assert.equal(phraseQuery('say "hi" now'), '"say ""hi"" now" *');
});

test("labels and notes are searched as they are now", () => {
  assert.deepEqual(where({ label: "krankenhaus" }), [9, 10]);
  assert.deepEqual(where({ label: "arzte" }), [9, 10]);
  assert.deepEqual(where({ label: "京都" }), [9]);
  assert.deepEqual(where({ label: "wom", member: 0 }), [3]);
  const changed = new Map<number, { label: string }>(
    [...annotations, [10, { label: "nurses" }], [1000, { label: "nurses" }]].map(([id, a]) => [
      id as number,
      a as { label: string },
    ]),
  );
  changed.delete(9);
  index.setAnnotations(changed);
  assert.deepEqual(where({ label: "krankenhaus" }), []);
  assert.deepEqual(where({ label: "nurse" }), [10]);
  index.setAnnotations(annotations);
});

test("searches and filters together", () => {
  const both = where({ text: "the nurse", token: { id: 4 }, alive: true });
  assert.deepEqual(
    both,
    where({ text: "the nurse" }).filter((id) => where({ token: { id: 4 } }).includes(id)),
  );
});

test("bad questions are refused in words", () => {
  const refused = (query: unknown, message: RegExp) =>
    assert.throws(
      () => index.page(query as FeatureQuery),
      (error) => error instanceof QueryError && message.test(error.message),
    );
  refused({ filter: { tokenPattern: "(" } }, /regular expression/);
  refused({ sort: "relevance" }, /token or a pattern/);
  refused({ sort: "size" }, /sort "size"/);
  refused({ offset: -1 }, /offset/);
  refused({ limit: 5000 }, /limit/);
  assert.throws(() => index.detail(24), QueryError);
  assert.throws(() => index.summaries([-1]), QueryError);
});
