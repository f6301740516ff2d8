// The two GGUF models against independent float32 runs: hooks, logits, losses, greedy samples, and the cache of their conversion.
import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import type { LanguageModel } from "../../../src/model/languageModel.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, sharedData, temporaryFolder } from "../fixtures.ts";
import { expectClose, oneRow, reference, referenceIds } from "./references.ts";

const cacheFolder = temporaryFolder();
const stories = sharedData("models", "stories260K", "stories260K-f32.gguf");
const smollm2 = sharedData("models", "smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf");

interface Greedy {
  prompt: string;
  prompt_ids: number[];
  ids: number[];
  text: string;
}

async function manifest<T>(model: string): Promise<T> {
  return JSON.parse(await readFile(golden("models", model, "MANIFEST.json"), "utf8")) as T;
}

async function greedy(model: LanguageModel, prompt: readonly number[], tokens: number): Promise<number[]> {
  const ids = [...prompt];
  const v = model.info.dVocab;
  while (ids.length < prompt.length + tokens) {
    const last = (await model.logits(oneRow(ids))).subarray(-v);
    ids.push(last.reduce((best, x, i) => (x > last[best]! ? i : best), 0));
  }
  return ids.slice(prompt.length);
}

/** Differences relative to the largest value of the same token: first tokens are a hundred times larger than others. */
function relativeDifference(values: Float32Array, expected: Float32Array, d: number): number {
  let worst = 0;
  for (let at = 0; at < expected.length; at += d) {
    const largest = expected.subarray(at, at + d).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    for (let i = at; i < at + d; i++) {
      const difference = Math.abs(values[i]! - expected[i]!) / largest;
      assert.ok(Number.isFinite(difference));
      worst = Math.max(worst, difference);
    }
  }
  return worst;
}

function negativeLogLikelihoods(logits: Float32Array, ids: Int32Array, v: number): number[] {
  return Array.from(ids.subarray(1), (next, t) => {
    const row = logits.subarray(t * v, (t + 1) * v);
    const most = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, x) => total + Math.exp(x - most), 0);
    return most + Math.log(sum) - row[next]!;
  });
}

describe("stories260k", { skip: stories.skip }, () => {
  let model: LanguageModel;
  test("every text: hooks, logits, losses", async () => {
    model = await openLanguageModel(stories.path, { threads: 2, cacheFolder });
    assert.deepEqual(model.info, {
      modelName: "stories260K-f32",
      family: "llama",
      nLayers: 5,
      dModel: 64,
      dHeads: 64,
      dMlp: 172,
      dVocab: 512,
      contextSize: 512,
    });
    const file = await reference("stories260k");
    const { texts } = await manifest<{ texts: { text: string; ids: number[] }[] }>("stories260k");
    for (const [i, { text, ids }] of texts.entries()) {
      const encoded = model.tokenizer.encode(text).map(({ id }) => id);
      assert.deepEqual([model.tokenizer.bosId, ...encoded], ids);
      const batch = oneRow(ids);
      const logits = await model.logits(batch);
      await expectClose(logits, file, `text${i}.logits`, batch, 8.2e-5);
      for (let l = 0; l < 5; l++) {
        const hook = `blocks.${l}.hook_resid_post`;
        await expectClose(await model.capture(batch, hook), file, `text${i}.${hook}`, batch, 8.2e-5);
      }
      const losses = negativeLogLikelihoods(logits, batch.ids, 512);
      const expected = await tensorFloat32(file, `text${i}.nll`);
      for (const [t, loss] of losses.entries()) assert.ok(Math.abs(loss - expected[t]!) < 1e-4);
    }
  });

  test("the documented greedy sample, and a continuation", async () => {
    const { greedy_from_bos: sample, greedy_from_prompt: continued } = await manifest<{
      greedy_from_bos: { ids: number[]; documented_text: string };
      greedy_from_prompt: Greedy;
    }>("stories260k");
    const ids = await greedy(model, [1], sample.ids.length);
    assert.equal(
      model.tokenizer
        .decode([1, ...ids])
        .slice("<s>".length)
        .trimStart(),
      sample.documented_text,
    );
    assert.deepEqual(ids, sample.ids);
    assert.deepEqual(await greedy(model, continued.prompt_ids, continued.ids.length), continued.ids);
  });

  test("the conversion is made once, again when it is damaged or the file changed", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "copy.gguf");
    const cache = join(folder, "cache");
    await cp(stories.path, path);
    const open = async () => {
      let converted = 0;
      const opened = await openLanguageModel(path, {
        threads: 1,
        cacheFolder: cache,
        onConversion: (done) => (converted = done),
      });
      const logits = await opened.logits(oneRow([1, 403, 407]));
      await opened.close();
      return { converted, logits };
    };
    const first = await open();
    assert.ok(first.converted > 1e6);
    const again = await open();
    assert.equal(again.converted, 0);
    assert.deepEqual(again.logits, first.logits);
    const inCache = async () => (await readdir(join(cache, "gguf"))).filter((name) => name.endsWith(".safetensors"));
    const [name] = await inCache();
    const cached = join(cache, "gguf", name!);
    await truncate(cached, (await stat(cached)).size - 4);
    const repaired = await open();
    assert.ok(repaired.converted > 1e6);
    assert.deepEqual(repaired.logits, first.logits);
    await utimes(path, new Date(0), new Date(0));
    assert.ok((await open()).converted > 1e6);
    const names = await inCache();
    assert.ok(names.length === 1 && names[0] !== name, "what the earlier state of the file became is gone");
  });

  test("a conversion goes with its source, but not while it is in use", async () => {
    const folder = temporaryFolder();
    const cacheFolder = join(folder, "cache");
    const copied = async (name: string) => {
      await cp(stories.path, join(folder, name));
      return openLanguageModel(join(folder, name), { threads: 1, cacheFolder });
    };
    const cached = async () =>
      (await readdir(join(cacheFolder, "gguf"))).map((name) => /^(\w+)-\w+\.safetensors/.exec(name)?.[1]).sort();
    const [used, unused] = [await copied("used.gguf"), await copied("unused.gguf")];
    await unused.close();
    await rm(join(folder, "used.gguf"));
    await rm(join(folder, "unused.gguf"));
    // As a process that was killed while it converted leaves them.
    const killed = ["killed-0.safetensors.lock", ".killed-0.safetensors.1.2.tmp"];
    for (const name of killed) await writeFile(join(cacheFolder, "gguf", name), "");
    const last = await copied("last.gguf");
    assert.deepEqual(await cached(), ["last", "last", "used", "used"], "weights and locks");
    // Weights are opened when they are first asked for.
    await used.logits(oneRow([1, 403, 407]));
    await used.close();
    await last.close();
    await (await copied("other.gguf")).close();
    assert.deepEqual(await cached(), ["last", "last", "other", "other"]);
  });

  test("a damaged file is refused, and nothing is cached", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "cut.gguf");
    const whole = await readFile(stories.path);
    await writeFile(path, whole.subarray(0, whole.length - 1000));
    await assert.rejects(openLanguageModel(path, { cacheFolder: join(folder, "cache") }), { name: "InputError" });
    assert.deepEqual(await readdir(folder), ["cut.gguf"]);
  });

  after(() => model?.close());
});

/** Beside the data folder, as it is of no use without the model. */
const smollm2Reference = sharedData("..", "golden", "models", "smollm2-135m", "reference.safetensors");
describe("smollm2-135m", { skip: smollm2.skip || smollm2Reference.skip }, () => {
  let model: LanguageModel;
  test("every text: hooks, last logits, losses", async () => {
    model = await openLanguageModel(smollm2.path, { threads: 2, cacheFolder });
    const file = await readSafetensors(smollm2Reference.path);
    const v = model.info.dVocab;
    const texts = await Promise.all([0, 1, 2].map((i) => referenceIds(file, `text${i}.ids`)));
    for (const [i, ids] of texts.entries()) {
      const logits = await model.logits(oneRow(ids));
      const last = oneRow([0]);
      await expectClose(logits.slice(-v), file, `text${i}.logits_last`, last, 3.2e-4);
      const expected = await tensorFloat32(file, `text${i}.nll`);
      for (const [t, loss] of negativeLogLikelihoods(logits, ids, v).entries())
        assert.ok(Math.abs(loss - expected[t]!) < 4e-4);
    }
    // All three as one padded batch: the same values as alone.
    const length = Math.max(...texts.map((ids) => ids.length));
    const batch = {
      rows: 3,
      length,
      ids: new Int32Array(3 * length),
      lengths: Int32Array.from(texts, (ids) => ids.length),
    };
    for (const [i, ids] of texts.entries()) batch.ids.set(ids, i * length);
    const d = model.info.dModel;
    for (const l of [0, 8, 15, 22, 29]) {
      const hook = `blocks.${l}.hook_resid_post`;
      const values = await model.capture(batch, hook);
      for (const [i, ids] of texts.entries()) {
        const row = values.subarray(i * length * d, (i * length + ids.length) * d);
        const difference = relativeDifference(row, await tensorFloat32(file, `text${i}.${hook}`), d);
        assert.ok(difference < 2e-5, `${hook}, text ${i}: ${difference}`);
      }
    }
  });

  test("a greedy sample", async () => {
    const { greedy: samples } = await manifest<{ greedy: Greedy[] }>("smollm2-135m");
    for (const { prompt, prompt_ids, ids, text } of samples.slice(0, 1)) {
      assert.deepEqual(
        model.tokenizer.encode(prompt).map(({ id }) => id),
        prompt_ids,
      );
      assert.deepEqual(await greedy(model, prompt_ids, ids.length), ids);
      assert.equal(model.tokenizer.decode(ids), text);
    }
  });

  after(() => model?.close());
});
