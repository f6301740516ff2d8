// Every stored number of a small index against its definition, recomputed here the long way.
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { buildFeatureIndex, type FeatureIndexBuild } from "../../../src/features/buildFeatureIndex.ts";
import { cutIntoWindows } from "../../../src/features/indexWindows.ts";
import { openFeatureIndex } from "../../../src/features/openFeatureIndex.ts";
import { SequenceSampler } from "../../../src/features/sequenceSampler.ts";
import { temporaryFolder } from "../fixtures.ts";
import {
  allActivations,
  d,
  logit,
  makeEncoder,
  makeEnsemble,
  makeRows,
  model,
  streamed,
  tokenizer,
} from "./tinyWorld.ts";

const folder = temporaryFolder();
const ensemble = makeEnsemble();
const rows = makeRows(30, 20);
const windowTokens = 12;
const leadTokens = 5;
const options = {
  seed: 5,
  windowTokens,
  leadTokens,
  topSequences: 4,
  bands: 3,
  sequencesPerBand: 2,
  tokensPerFeature: 6,
};
const every = { ...options, sampledSequences: 1000 };

async function build(name: string, more: Partial<FeatureIndexBuild> = {}): Promise<string> {
  const path = join(folder, name);
  await buildFeatureIndex({
    path,
    ensemble,
    encoder: makeEncoder(ensemble),
    model,
    rows: streamed(rows),
    options: every,
    ...more,
  });
  return path;
}

const fired = allActivations(ensemble, rows);
const counted = rows.reduce((sum, row) => sum + row.ids.filter((id) => id !== 0).length, 0);
/** Windows in the order of the text: row, and range. */
const windows = rows.flatMap((row, r) =>
  cutIntoWindows(row.ids.length, windowTokens, leadTokens).map((w) => ({ row: r, ...w })),
);

const path = await build("all.sqlite");
const index = openFeatureIndex(path);
const details = Array.from({ length: 24 }, (_, id) => index.detail(id));

test("counts, sums, means, maxima and densities are those of the activations", () => {
  assert.equal(index.info.tokens, counted);
  assert.ok(fired.filter((list) => list.length > 20).length > 12, "the case must have features that fire");
  for (const [id, detail] of details.entries()) {
    const values = fired[id]!.map(({ value }) => value);
    const sum = values.reduce((a, b) => a + b, 0);
    assert.equal(detail.count, values.length);
    assert.equal(detail.density, values.length / counted);
    assert.equal(detail.sum, sum);
    assert.equal(detail.max, Math.max(0, ...values));
    assert.equal(detail.mean, values.length === 0 ? 0 : Math.fround(sum / values.length));
    assert.deepEqual([detail.member, detail.index], [Math.floor(id / 8), id % 8]);
  }
});

test("histograms count every activation once, in bins of one width that end with the maximum", () => {
  for (const [id, { histogram, max }] of details.entries()) {
    const { width, counts } = histogram;
    const expected = counts.map(
      (_, bin) => fired[id]!.filter(({ value }) => value >= bin * width && value < (bin + 1) * width).length,
    );
    assert.deepEqual(counts, expected);
    if (max === 0) {
      assert.deepEqual(counts, []);
      continue;
    }
    assert.ok(counts.length > 32 && counts.length <= 64, `${counts.length} bins`);
    assert.ok(counts.at(-1)! > 0);
  }
});

test("activating tokens are ranked by exact sums, ties by id", () => {
  const occurrences = (id: number) => rows.reduce((sum, row) => sum + row.ids.filter((t) => t === id).length, 0);
  for (const [id, detail] of details.entries()) {
    const byToken = new Map<number, number[]>();
    for (const { token, value } of fired[id]!) byToken.set(token, [...(byToken.get(token) ?? []), value]);
    const total = fired[id]!.reduce((sum, { value }) => sum + value, 0);
    const expected = [...byToken]
      .map(([token, values]) => {
        const sum = values.reduce((a, b) => a + b, 0);
        return {
          id: token,
          text: tokenizer.tokenText(token),
          count: values.length,
          mean: sum / values.length,
          max: Math.max(...values),
          share: sum / total,
          occurrences: occurrences(token),
        };
      })
      .sort((a, b) => b.share - a.share || a.id - b.id);
    assert.equal(detail.distinctTokens, expected.length);
    assert.deepEqual(detail.tokens, expected.slice(0, options.tokensPerFeature));
  }
  assert.ok(!details.some(({ tokens }) => tokens.some(({ id }) => id === 0)), "special tokens are left out");
});

test("sequences: strongest windows, then exact quantile bands, with all activations of the window and its lead", () => {
  const hash = new SequenceSampler(24, { top: 1, sample: 1, seed: options.seed });
  for (const [id, detail] of details.entries()) {
    const peaks = windows.flatMap((window, number) => {
      const own = fired[id]!.filter(({ row, place }) => row === window.row && place >= window.own && place < window.to);
      if (own.length === 0) return [];
      const maximum = Math.max(...own.map(({ value }) => value));
      return [{ number, maximum, peak: own.find(({ value }) => value === maximum)!.place - window.from }];
    });
    peaks.sort((a, b) => b.maximum - a.maximum || a.number - b.number);
    const top = peaks.slice(0, options.topSequences);
    const expected = top.length > 0 ? [{ kind: "top", list: top, all: top, quantiles: [0, 1] }] : [];
    for (let band = 2; band >= 0; band--) {
      const all = peaks.slice(Math.floor((peaks.length * (2 - band)) / 3), Math.floor((peaks.length * (3 - band)) / 3));
      const list = all
        .filter((peak) => !top.includes(peak))
        .sort((a, b) => hash.hash(id, a.number) - hash.hash(id, b.number))
        .slice(0, options.sequencesPerBand)
        .sort((a, b) => b.maximum - a.maximum || a.number - b.number);
      if (list.length > 0) expected.push({ kind: "quantile", list, all, quantiles: [band / 3, (band + 1) / 3] });
    }
    assert.deepEqual(
      detail.bands.map(({ kind, quantiles, range, sequences }) => ({
        kind,
        quantiles,
        range,
        sequences: sequences.map(({ window, peak }) => ({ window, peak })),
      })),
      expected.map(({ kind, list, all, quantiles }) => ({
        kind,
        quantiles,
        range: [Math.min(...all.map((p) => p.maximum)), Math.max(...all.map((p) => p.maximum))],
        sequences: list.map(({ number, peak }) => ({ window: number, peak })),
      })),
    );
    for (const { sequences } of detail.bands) {
      for (const { window: number, tokens } of sequences) {
        const window = windows[number]!;
        const row = rows[window.row]!;
        const expectedTokens = Array.from({ length: window.to - window.from }, (_, t) => {
          const place = window.from + t;
          const document = row.documents[place]!;
          const token = row.ids[place]!;
          return {
            id: token,
            document: document < 0 ? null : document,
            start: row.starts[place]!,
            end: row.ends[place]!,
            text: tokenizer.tokenText(token),
            activation: fired[id]!.find((f) => f.row === window.row && f.place === place)?.value ?? 0,
          };
        });
        assert.deepEqual(tokens, expectedTokens);
      }
    }
  }
});

const row = (id: number) => {
  const { W_dec } = ensemble.members[Math.floor(id / 8)]!.weights;
  return W_dec.subarray((id % 8) * d, ((id % 8) + 1) * d);
};
const norm = (x: Float32Array) => Math.hypot(...x);
const cosine = (a: number, b: number) =>
  row(a).reduce((sum, x, c) => sum + x * row(b)[c]!, 0) / norm(row(a)) / norm(row(b));

test("nearest features of each member by cosine, and in how many members a feature was found", () => {
  for (const [id, { nearest, found }] of details.entries()) {
    assert.equal(nearest.length, 3);
    for (const [member, list] of nearest.entries()) {
      const others = Array.from({ length: 8 }, (_, i) => member * 8 + i).filter((other) => other !== id);
      const best = norm(row(id)) === 0 ? [] : others.map((other) => (norm(row(other)) === 0 ? 0 : cosine(id, other)));
      const sorted = best.toSorted((a, b) => b - a).slice(0, 3);
      assert.equal(list.length, sorted.length);
      for (const [rank, neighbour] of list.entries()) {
        assert.ok(Math.abs(neighbour.cosine - sorted[rank]!) < 1e-6);
        assert.ok(Math.abs((norm(row(neighbour.id)) === 0 ? 0 : cosine(id, neighbour.id)) - neighbour.cosine) < 1e-6);
        assert.notEqual(neighbour.id, id);
      }
      assert.equal(found[member], member === Math.floor(id / 8) || (best.length > 0 && Math.max(...best) >= 0.7));
    }
  }
  // Rows 0-3 of member 1 are multiples of those of member 0; rows 4 and 5 of member 2 are equal.
  assert.deepEqual(details[2]!.nearest[1]![0], { id: 10, cosine: 1 });
  const tied = details[0]!.nearest[2]!.map(({ id }) => id).filter((id) => id === 20 || id === 21);
  assert.deepEqual(
    tied,
    tied.toSorted((a, b) => a - b),
  );
});

test("top and bottom logits are the extremes of the decoder row's logits", () => {
  for (const [id, { logits }] of details.entries()) {
    const all = Array.from({ length: tokenizer.vocabularySize }, (_, token) => ({
      id: token,
      text: tokenizer.tokenText(token),
      logit: logit(row(id), token),
    }));
    assert.deepEqual(logits!.top, all.toSorted((a, b) => b.logit - a.logit || a.id - b.id).slice(0, 10));
    assert.deepEqual(logits!.bottom, all.toSorted((a, b) => a.logit - b.logit || a.id - b.id).slice(0, 10));
  }
});

test("rows and logits of members that rescale by decoder norm are those of unit decoder rows", async () => {
  const rescaled = {
    ...ensemble,
    members: ensemble.members.map((m) => ({ ...m, config: { ...m.config, rescale_acts_by_decoder_norm: true } })),
  };
  const other = openFeatureIndex(await build("rescaled.sqlite", { ensemble: rescaled }));
  const unit = row(9).map((x) => x / norm(row(9)));
  const best = other.detail(9).logits!.top[0]!;
  assert.ok(Math.abs(best.logit - logit(unit, best.id)) < 1e-6);
  assert.deepEqual(other.detail(9).nearest, details[9]!.nearest);
  other.close();
});

test("results do not depend on batches, on chunks, or on how often counts go to disk", async () => {
  const variants = [
    { batchTokens: 1 },
    { batchTokens: 1e6, chunkActivations: 1 },
    { chunkActivations: 100, maxPairs: 1 },
  ];
  for (const [number, variant] of variants.entries()) {
    const other = openFeatureIndex(await build(`variant${number}.sqlite`, { options: { ...every, ...variant } }));
    for (let id = 0; id < 24; id++) assert.deepEqual(other.detail(id), details[id]);
    other.close();
  }
  const again = await readFile(await build("again.sqlite"));
  assert.ok(again.equals(await readFile(path)), "the same build gives the same bytes");
});

test("a build that is aborted or fails leaves the old index and nothing else", async () => {
  const old = await readFile(path);
  const controller = new AbortController();
  const aborted = build("all.sqlite", {
    options: { ...every, batchTokens: 1 },
    signal: controller.signal,
    onProgress: () => controller.abort(new Error("stopped by hand")),
  });
  await assert.rejects(aborted, /stopped by hand/);
  const failing = build("all.sqlite", {
    rows: (async function* () {
      yield rows[0]!;
      throw new Error("the text ended badly");
    })(),
  });
  await assert.rejects(failing, /ended badly/);
  assert.ok(old.equals(await readFile(path)));
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes("building")),
    [],
  );
});

test("what a killed build left is cleared away, and options out of range are refused before anything is written", async () => {
  await assert.rejects(build("never.sqlite", { options: { ...options, leadTokens: 7 } }), RangeError);
  await assert.rejects(build("never.sqlite", { options: { ...options, bands: 0 } }), /bands/);
  assert.ok(!(await readdir(folder)).some((name) => name.includes("never")));
  await mkdir(join(folder, ".left.sqlite.building"));
  await writeFile(join(folder, ".left.sqlite.building", "index.sqlite"), "half a file");
  openFeatureIndex(await build("left.sqlite")).close();
});

/** Builds with codes kept: `stopAfter` batches it is aborted, if given. How many batches the model was asked for, and what was said of going on. */
async function buildResumably(
  name: string,
  identity: () => unknown,
  stopAfter = Number.POSITIVE_INFINITY,
  encoder = makeEncoder(ensemble),
) {
  const controller = new AbortController();
  let [asked, resumed] = [0, 0];
  const built = build(name, {
    encoder,
    identity,
    options: { ...every, batchTokens: 60 },
    signal: controller.signal,
    model: {
      ...model,
      capture: async (batch, hook) => {
        if (++asked === stopAfter) controller.abort(new Error("stopped"));
        return model.capture(batch, hook);
      },
    },
    onBegun: (tokens) => (resumed = tokens),
  });
  if (Number.isFinite(stopAfter)) await assert.rejects(built, /stopped/);
  else await built;
  return { asked, resumed };
}

test("a build with an identity goes on behind the codes that it has, to the same bytes", async () => {
  const whole = await buildResumably("whole.sqlite", () => "a");
  assert.ok(whole.asked > 8 && whole.resumed === 0, `${whole.asked} batches`);
  const bytes = await readFile(join(folder, "whole.sqlite"));
  const journal = join(folder, ".stopped.sqlite.building", "codes.journal");

  assert.equal((await buildResumably("stopped.sqlite", () => "a", 3)).asked, 3);
  assert.deepEqual(await readdir(join(folder, ".stopped.sqlite.building")), ["codes.journal"]);
  const second = await buildResumably("stopped.sqlite", () => "a", 3);
  assert.ok(second.resumed > 0);
  // Five batches are there: a damaged one and those behind it are computed again, and so is one that was cut short.
  const kept = await readFile(journal);
  kept[Math.floor(0.7 * kept.length)]! ^= 1;
  await writeFile(journal, kept);
  assert.ok((await buildResumably("stopped.sqlite", () => "a", 3)).resumed > second.resumed / 2);
  await truncate(journal, (await readFile(journal)).length - 5);
  const last = await buildResumably("stopped.sqlite", () => "a");
  assert.ok(last.resumed > 0 && last.asked < whole.asked);
  assert.ok(bytes.equals(await readFile(join(folder, "stopped.sqlite"))));
  assert.ok(!(await readdir(folder)).some((name) => name.includes("building")));
});

test("codes of another text, ensemble or model are not used", async () => {
  await buildResumably("other.sqlite", () => "a", 4);
  const other = await buildResumably("other.sqlite", () => "b");
  assert.equal(other.resumed, 0);
  assert.ok((await readFile(join(folder, "whole.sqlite"))).equals(await readFile(join(folder, "other.sqlite"))));
});

test("codes of another device are not used where the device is chosen by the first batch", async () => {
  // As the automatic choice of a device does, which has no name of its own before.
  const onDevice = (device: string, stopAfter?: number) => {
    let chosen = "auto";
    const encoder = makeEncoder(ensemble);
    const choosing = {
      ...encoder,
      codes: (x: Float32Array, n: number) => {
        chosen = device;
        return encoder.codes(x, n);
      },
    };
    return buildResumably("chosen.sqlite", () => chosen, stopAfter, choosing);
  };
  await onDevice("webgpu", 4);
  assert.equal((await onDevice("cpu", 4)).resumed, 0);
  const same = await onDevice("cpu");
  assert.ok(same.resumed > 0);
  assert.ok((await readFile(join(folder, "whole.sqlite"))).equals(await readFile(join(folder, "chosen.sqlite"))));
});

/** Whose second batch begins with this activation. */
function makeFaultyEncoder(value: number) {
  const encoder = makeEncoder(ensemble);
  let batches = 0;
  return {
    ...encoder,
    codes: async (x: Float32Array, n: number) => {
      const codes = await encoder.codes(x, n);
      if (++batches === 2) codes.values[0] = value;
      return codes;
    },
  };
}

for (const value of [Number.POSITIVE_INFINITY, Number.NaN]) {
  test(`an activation of ${value} ends the build, with its feature and its window, and is not gone on with`, async () => {
    // A batch a row: the second row's first window is the one behind the windows of the first row.
    const window = windows.findIndex(({ row }) => row === 1);
    const faulty = (more: Partial<FeatureIndexBuild>) =>
      assert.rejects(build("faulty.sqlite", { encoder: makeFaultyEncoder(value), ...more }), (error: Error) =>
        new RegExp(`feature \\d+, window ${window} of the text: found the activation ${value},`).test(error.message),
      );
    const options = { ...every, batchTokens: 1 };
    await faulty({ options });
    await assert.rejects(readFile(join(folder, "faulty.sqlite")), { code: "ENOENT" });

    await faulty({ options, identity: () => "a" });
    let resumed = 0;
    await build("faulty.sqlite", { options, identity: () => "a", onBegun: (tokens) => (resumed = tokens) });
    assert.ok(resumed > 0, "what was computed before it is");
    const built = openFeatureIndex(join(folder, "faulty.sqlite"));
    for (let id = 0; id < 24; id++) assert.deepEqual(built.detail(id), details[id]);
    built.close();
    await rm(join(folder, "faulty.sqlite"));
  });
}
