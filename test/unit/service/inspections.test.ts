// What the service answers about texts on a real tiny run: documents and their parts, next tokens, generation, comparison, and what it says where it can't.
import assert from "node:assert/strict";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { readExperiment } from "../../../src/jobs/experiment.ts";
import { openInspection } from "../../../src/jobs/openInspection.ts";
import { runJobs } from "../../../src/jobs/runJobs.ts";
import type { DocumentKind } from "../../../src/protocol/inspection.ts";
import { Inspections } from "../../../src/service/inspections.ts";
import { OpenEnsemble } from "../../../src/service/openEnsembles.ts";
import { temporaryFolder } from "../fixtures.ts";
import { writeTinyExperiment } from "../jobs/tinyExperiment.ts";

const folder = temporaryFolder();
const never = new AbortController().signal;
let ensemble = "";
let run = "";
let open: Promise<OpenEnsemble>;
let inspections: Inspections;

before(async () => {
  const experiment = readExperiment(
    writeTinyExperiment(folder, { training_tokens: 2560, ensembles: { methods: ["bagging"], n_members: 2 } }),
  );
  await runJobs(experiment, ["harvest", "train", "index"]);
  run = experiment.paths.runFolder;
  ensemble = join(run, "ensembles", "bagging");
  open = OpenEnsemble.open(ensemble);
  inspections = new Inspections(() => open);
});

const inspect = (
  text: string,
  {
    kind = "text" as DocumentKind,
    visible = { start: 0, end: 200 },
    pinned = [] as number[],
    likelihoods = true,
    signal = never,
  } = {},
) => inspections.inspect({ ensemble, document: "d", kind, text, visible, pinned, likelihoods }, signal);

describe("a document", () => {
  test("every token with its strongest features, all of which are described, and pinned ones wherever they fire", async () => {
    const text = "the nurse saw the king under the old house";
    const first = await inspect(text);
    assert.deepEqual(first.read, { start: 0, end: text.length });
    for (const { features } of first.tokens) {
      const values = features.map(({ value }) => value);
      assert.deepEqual(
        values,
        values.toSorted((a, b) => b - a),
      );
    }
    const { feature } = first.tokens.find(({ features }) => features.length > 0)!.features[0]!;
    const { tokens, pinned, rows } = await inspect(text, { pinned: [feature] });
    assert.deepEqual(tokens, first.tokens);
    for (const [t, value] of pinned[0]!.entries()) {
      const shown = tokens[t]!.features.find((one) => one.feature === feature);
      if (shown) assert.equal(value, shown.value);
    }
    const described = new Set(rows.map((row) => row.feature));
    for (const { features } of tokens) for (const one of features) assert.ok(described.has(one.feature));
  });

  test("features come first, probabilities are filled in; both at once where they are known", async () => {
    const text = "a small red river and an old king";
    const features = await inspect(text, { likelihoods: false });
    assert.equal(features.likelihoods, false);
    assert.ok(features.tokens.every(({ logprob, rank }) => logprob === null && rank === null));
    const all = await inspect(text);
    assert.equal(all.likelihoods, true);
    assert.deepEqual(
      all.tokens.map(({ features }) => features),
      features.tokens.map(({ features }) => features),
    );
    assert.ok(all.tokens.slice(1).every(({ logprob, rank }) => logprob! < 0 && rank! >= 0));
    assert.deepEqual(await inspect(text, { likelihoods: false }), all);
  });

  test("features of a part are those of its tokens, by sum, maximum and rarity", async () => {
    const text = "the nurse saw the king under the old house";
    const { tokens } = await inspect(text);
    const span = { start: 4, end: 9 };
    const within = tokens.filter(({ start, end }) => start < span.end && end > span.start);
    for (const ranking of ["sum", "max", "specificity"] as const) {
      const here = (await inspections.featuresHere({ ensemble, document: "d", spans: [span], ranking, limit: 500 }))!;
      assert.equal(here.tokens, within.length);
      assert.equal(here.total, here.features.length);
      const order = here.features.map((one) => one[ranking]);
      assert.deepEqual(
        order,
        order.toSorted((a, b) => b - a),
      );
    }
    const question = { ensemble, document: "d", ranking: "sum", limit: 1 } as const;
    const all = (await inspections.featuresHere({ ...question, spans: null }))!;
    assert.equal(all.tokens, tokens.length);
    assert.equal(all.features.length, 1);
    const nothing = (await inspections.featuresHere({ ...question, spans: [{ start: 0, end: 0 }] }))!;
    assert.equal(nothing.tokens, 0, "an empty part is not everything");
    const ends = [tokens[0]!, tokens.at(-1)!];
    const two = (await inspections.featuresHere({ ...question, spans: ends }))!;
    assert.equal(two.tokens, 2, "every part counts");
  });

  test("of a very long one the part that is seen is read, of tables and jsonl the cells that are", async () => {
    const line = "the old nurse saw a small red river\n";
    const text = line.repeat(5000);
    const visible = { start: 100 * line.length, end: 140 * line.length };
    const { tokens, read, wholeScreen } = await inspect(text, { visible });
    assert.equal(wholeScreen, true);
    assert.ok(read.start < visible.start && read.end > visible.end && read.end - read.start < 10_000);
    assert.ok(tokens.every(({ start, end }) => start >= read.start && end <= read.end));
    const screen = { start: 0, end: 25_000 };
    assert.equal((await inspect(text, { visible: screen, likelihoods: false })).wholeScreen, false);
    const cells = await inspect('{"id": 1, "text": "the nurse"}\n{"id": 2, "text": "a king"}\n', { kind: "jsonl" });
    const written = '{"id": 1, "text": "the nurse"}\n';
    assert.ok(cells.tokens.every(({ start }) => start >= written.indexOf("the") && start !== written.length));
    const table = await inspect("id,text\n1,the nurse\n2,a king\n", { kind: "csv" });
    const rows = table.tokens.map(({ start }) => start);
    assert.equal(rows.includes("id,text\n".length), false, "the number of the first row");
  });

  test("a script that the tokenizer has never seen: its share is told, the numbers are there all the same", async () => {
    const { unknown, tokens } = await inspect("ᚠᚢᚦᚨᚱᚲᚷᚹ");
    assert.ok(unknown > 0.9);
    assert.ok(tokens.length > 0);
    assert.equal((await inspect("the nurse")).unknown, 0);
  });

  test("nothing to read, and a question that is cancelled", async () => {
    assert.deepEqual((await inspect("")).tokens, []);
    const stopped = new AbortController();
    stopped.abort();
    await assert.rejects(inspect("a text that was not read before", { signal: stopped.signal }), {
      name: "AbortError",
    });
  });
});

describe("what the model goes on with", () => {
  const text = "the nurse saw the";
  const ablate = (features: number[], flagged = false) =>
    ({ features, flagged, kind: "ablate", value: 0, from: "everywhere" }) as const;

  test("next tokens under interventions; all flagged features as one of them", async () => {
    const plain = await inspections.nextToken({ ensemble, text, interventions: [], count: 5 }, never);
    assert.equal(plain.kl, 0);
    assert.equal(plain.flagged, 0);
    const { tokens } = await inspect(text);
    const firing = [...new Set(tokens.flatMap(({ features }) => features.map(({ feature }) => feature)))];
    const byName = await inspections.nextToken({ ensemble, text, interventions: [ablate(firing)], count: 5 }, never);
    assert.ok(byName.kl > 0);
    assert.deepEqual(
      byName.rows.map(({ feature }) => feature),
      firing,
    );
    const nothingFlagged = { ensemble, text, interventions: [ablate([], true)], count: 5 };
    assert.equal((await inspections.nextToken(nothingFlagged, never)).kl, 0);
    await (await open).annotate({ features: firing, flagged: true });
    const byFlag = await inspections.nextToken(nothingFlagged, never);
    assert.equal(byFlag.kl, byName.kl);
    await (await open).annotate({ features: firing, flagged: false });
  });

  test("generation tells of every token of both sides, and ends at a signal", async () => {
    const heard: { side: string; text: string }[] = [];
    const options = { tokens: 8, temperature: 1, seed: 3 };
    const question = { ensemble, text, interventions: [ablate([1, 2, 3])], options };
    await inspections.generate({ ...question, stream: "1" }, (one) => heard.push(one), never);
    assert.deepEqual(new Set(heard.map(({ side }) => side)), new Set(["original", "changed"]));
    const abort = new AbortController();
    let count = 0;
    const stopping = inspections.generate(
      { ...question, options: { ...options, tokens: 30 }, stream: "2" },
      () => {
        if (++count === 4) abort.abort();
      },
      abort.signal,
    );
    await assert.rejects(stopping, { name: "AbortError" });
    assert.equal(count, 4);
  });

  test("two texts: the features whose means differ; line ends don't count", async () => {
    const compare = (a: string, b: string, kind: DocumentKind = "text") =>
      inspections.compare({ ensemble, a: { text: a, kind: "text" }, b: { text: b, kind }, limit: 10 }, never);
    const same = await compare("she saw\nhim", "she saw\r\nhim");
    assert.ok(same.features.every(({ a, b }) => a === b));
    const { features } = await compare("she was", "the king ran");
    assert.ok(features[0]!.a !== features[0]!.b);
    // Of jsonl the cells: keys and numbers are no part of the text.
    const cells = await compare("she saw him", '{"id": 1, "text": "she saw him"}\n', "jsonl");
    assert.ok(cells.features.every(({ a, b }) => a === b));
  });
});

describe("ensembles and documents that are kept", () => {
  const read = (of: Inspections, folder: string, document: string) => {
    const text = "the nurse saw the king";
    const visible = { start: 0, end: text.length };
    const question = { ensemble: folder, document, kind: "text" as const, text, visible, likelihoods: false };
    return of.inspect({ ...question, pinned: [] }, never);
  };
  const here = (of: Inspections, folder: string, document: string) =>
    of.featuresHere({ ensemble: folder, document, spans: null, ranking: "sum", limit: 500 });

  /** Inspections that open the same ensemble by whatever name, and tell what was opened and closed. */
  function watched(index: (folder: string) => Promise<OpenEnsemble> = () => open) {
    const events: string[] = [];
    const closing: Promise<unknown>[] = [];
    const of = new Inspections(index, async (folder) => {
      events.push(`open ${folder}`);
      const { inspection, close } = await openInspection(ensemble);
      const closed = () => close().then(() => void events.push(`close ${folder}`));
      return {
        inspection,
        close: () => {
          closing.push(closed());
          return closing.at(-1) as Promise<void>;
        },
      };
    });
    return { of, events, closing };
  }

  test("features of a document stay known when its model has had nothing to do for long, and when another one is used", async (t) => {
    const { of, events, closing } = watched();
    t.mock.timers.enable({ apis: ["setTimeout"] });
    await read(of, "a", "1");
    const known = await here(of, "a", "1");
    assert.ok(known!.features.length > 0);
    t.mock.timers.tick(5 * 60_000);
    await setImmediate();
    await Promise.all(closing);
    assert.deepEqual(events, ["open a", "close a"]);
    assert.deepEqual(await here(of, "a", "1"), known);
    await read(of, "b", "1");
    assert.deepEqual(await here(of, "a", "1"), known);
    assert.deepEqual(events, ["open a", "close a", "open b"], "numbers that are kept need no model");
    await of.forget("b");
  });

  test("of more documents than are kept the first is said to be unknown, not to be empty", async () => {
    const { of } = watched();
    for (let document = 0; document < 9; document++) await read(of, "a", String(document));
    assert.equal(await here(of, "a", "0"), null);
    assert.ok((await here(of, "a", "1"))!.features.length > 0);
    await read(of, "a", "0");
    assert.ok((await here(of, "a", "0"))!.features.length > 0);
    await of.forget("a");
  });

  test("what is deleted or replaced is forgotten: closed by then, opened anew, its documents unknown", async () => {
    const { of, events } = watched();
    const deleted = join("runs", "one");
    const folder = join(deleted, "ensembles", "bagging");
    await read(of, folder, "1");
    await of.forget(join("runs", "one more"));
    await read(of, folder, "2");
    assert.deepEqual(events, [`open ${folder}`]);
    await of.forget(deleted);
    assert.deepEqual(events, [`open ${folder}`, `close ${folder}`]);
    assert.equal(await here(of, folder, "1"), null);
    await read(of, folder, "1");
    assert.deepEqual(events, [`open ${folder}`, `close ${folder}`, `open ${folder}`]);
    await of.forget(deleted);
  });

  test("an index that has been replaced is noticed before anything is read with the old weights", async () => {
    let replaced = false;
    const { of, events } = watched(async (folder) => {
      if (replaced) await of.forget(folder);
      replaced = false;
      return open;
    });
    await read(of, "a", "1");
    replaced = true;
    await read(of, "a", "1");
    assert.deepEqual(events, ["open a", "close a", "open a"]);
    await of.forget("a");
  });

  test("another ensemble is opened once, however many documents are read with it at the same time", async () => {
    const { of, events } = watched();
    await read(of, "a", "1");
    await Promise.all([read(of, "b", "1"), read(of, "b", "2")]);
    assert.deepEqual(events, ["open a", "close a", "open b"]);
    await of.forget("b");
  });
});

describe("where it can't", () => {
  test("a model that is gone is named, and found again once it is back", async () => {
    const record = join(run, "experiment.json");
    const before = readFileSync(record, "utf8");
    const { paths } = JSON.parse(before) as { paths: { model: string } };
    writeFileSync(record, before.replaceAll(JSON.stringify(paths.model), JSON.stringify("/nowhere/model")));
    const fresh = new Inspections(() => open);
    const question = {
      ensemble,
      document: "d",
      kind: "text",
      text: "the",
      visible: { start: 0, end: 3 },
      pinned: [],
      likelihoods: true,
    };
    const ask = () => fresh.inspect({ ...question, kind: "text" }, never);
    await assert.rejects(ask, /experiment\.json, paths\.model: found "\/nowhere\/model", which is not there/);
    writeFileSync(record, before);
    assert.equal((await ask()).tokens.length, 1);
  });

  test("an ensemble that is gone: one error that names it", async () => {
    renameSync(ensemble, `${ensemble}-elsewhere`);
    const fresh = new Inspections((where) => OpenEnsemble.open(where));
    const question = {
      ensemble,
      document: "d",
      text: "the",
      visible: { start: 0, end: 3 },
      pinned: [],
      likelihoods: true,
    };
    await assert.rejects(fresh.inspect({ ...question, kind: "text" }, never), /ensembles.bagging/);
    renameSync(`${ensemble}-elsewhere`, ensemble);
  });
});
