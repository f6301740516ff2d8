// Interventions: by delta they are what changing the codes is, the error term stays, nothing changes nothing to the bit, and through the model they are Python's.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import type { SparseCodes } from "../../../src/engine/engine.ts";
import { createReferenceEngine } from "../../../src/engine/reference/referenceEngine.ts";
import { tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { generate } from "../../../src/inspection/generate.ts";
import { type Intervention, Interventions } from "../../../src/inspection/interventions.ts";
import { changedLogits, firingNowhere, nextToken, pushingFeatures } from "../../../src/inspection/nextToken.ts";
import { decode } from "../../../src/sae/encode.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import type { Ensemble } from "../../../src/sae/ensemble.ts";
import { golden } from "../fixtures.ts";
import { oneRow, reference } from "../model/references.ts";
import { hook, openWorld, randomEnsemble, waveEnsemble, width } from "./world.ts";

const none = new Set<number>();

function sparse(codes: Float32Array, rows: number): Pick<SparseCodes, "offsets" | "indices" | "values"> {
  const [offsets, indices, values]: [number[], number[], number[]] = [[0], [], []];
  const n = codes.length / rows;
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < n; i++) {
      if (codes[t * n + i] === 0) continue;
      indices.push(i);
      values.push(codes[t * n + i]!);
    }
    offsets.push(indices.length);
  }
  return {
    offsets: Uint32Array.from(offsets),
    indices: Uint32Array.from(indices),
    values: Float32Array.from(values),
  };
}

/** Codes changed by hand, decoded by definition, and the error x − x̂ of the unchanged codes added. */
function byCodes(ensemble: Ensemble, x: Float32Array, rows: number, change: (code: number, i: number) => number) {
  const { codes, reconstruction } = encodeEnsemble(ensemble, x, rows);
  const changed = new Float64Array(x.length);
  for (const [j, member] of ensemble.members.entries()) {
    const weight = ensemble.weights[j]!;
    const own = Float32Array.from({ length: rows * width }, (_, at) => {
      const i = j * width + (at % width);
      return change(codes[Math.floor(at / width) * ensemble.members.length * width + i]!, i) / weight;
    });
    const out = decode(member, own, rows, x);
    for (const [at, value] of out.entries()) changed[at]! += weight * value;
  }
  return x.map((value, at) => value - reconstruction[at]! + changed[at]!);
}

describe("on activations", () => {
  const [rows, d] = [5, 12];
  const x = Float32Array.from({ length: rows * d }, (_, i) => Math.sin(i * 1.7) * 2);
  const features = [3, 40, width + 3];
  const kinds: [Omit<Intervention, "features" | "from">, (code: number) => number][] = [
    [{ kind: "ablate", value: 9 }, () => 0],
    [{ kind: "scale", value: -1.5 }, (code) => -1.5 * code],
    [{ kind: "set", value: 0.75 }, () => 0.75],
    [{ kind: "add", value: 2 }, (code) => code + 2],
  ];
  for (const [method, normalize] of [
    ["bagging", "none"],
    ["bagging", "constant_norm_rescale"],
    ["bagging", "layer_norm"],
    ["boosting", "none"],
  ] as const) {
    test(`by delta equals in codes, the error kept: ${method}, normalize_activations ${normalize}`, () => {
      const ensemble = randomEnsemble(d, method, normalize);
      const { codes } = encodeEnsemble(ensemble, x, rows);
      const tokens = { ids: new Int32Array(rows), x, ...sparse(codes, rows) };
      for (const [kind, change] of kinds) {
        const expected = byCodes(ensemble, x, rows, (code, i) => (features.includes(i) ? change(code) : code));
        const list = [{ ...kind, features, from: "everywhere" as const }];
        const { x: got, firstChanged } = new Interventions(ensemble, list, none).apply(tokens, rows - 1);
        assert.equal(firstChanged, 0);
        for (const [at, value] of got.entries())
          assert.ok(Math.abs(value - expected[at]!) < 2e-5, `${kind.kind}: ${value} for ${expected[at]}`);
      }
    });
  }

  test("one after the other, from here on, and never on special tokens", () => {
    const ensemble = randomEnsemble(d, "bagging");
    const { codes } = encodeEnsemble(ensemble, x, rows);
    const tokens = { ids: Int32Array.of(7, 1, 1, 7, 1), x, ...sparse(codes, rows) };
    const list: Intervention[] = [
      { features: [40], kind: "set", value: 1, from: "everywhere" },
      { features: [40, 40], kind: "scale", value: 3, from: "here" },
    ];
    const { x: got } = new Interventions(ensemble, list, new Set([7])).apply(tokens, 2);
    const one = byCodes(ensemble, x, rows, (code, i) => (i === 40 ? 1 : code));
    const three = byCodes(ensemble, x, rows, (code, i) => (i === 40 ? 3 : code));
    for (const [t, expected] of [x, one, three, x, three].entries())
      for (let j = 0; j < d; j++) assert.ok(Math.abs(got[t * d + j]! - expected[t * d + j]!) < 2e-5, `token ${t}`);
  });

  test("nothing to do gives the very same values, and nonsense is refused", () => {
    const ensemble = randomEnsemble(d, "bagging");
    const { codes } = encodeEnsemble(ensemble, x, rows);
    const silent = Array.from({ length: 2 * width }, (_, i) => i).find((i) =>
      Array.from({ length: rows }, (_, t) => codes[t * 2 * width + i]).every((code) => code === 0),
    );
    const tokens = { ids: new Int32Array(rows), x, ...sparse(codes, rows) };
    const ablate = (i: number): Intervention => ({ features: [i], kind: "ablate", value: 0, from: "everywhere" });
    assert.equal(new Interventions(ensemble, [], none).apply(tokens, 0).x, x);
    if (silent !== undefined) assert.equal(new Interventions(ensemble, [ablate(silent)], none).apply(tokens, 0).x, x);
    assert.throws(() => new Interventions(ensemble, [ablate(2 * width)], none), RangeError);
    assert.throws(
      () => new Interventions(ensemble, [{ ...ablate(1), kind: "scale", value: Number.NaN }], none),
      RangeError,
    );
    const normalised = randomEnsemble(d, "boosting", "layer_norm");
    assert.throws(() => new Interventions(normalised, [ablate(1)], none), RangeError);
  });
});

describe("beside PyTorch (scripts/crosscheck/interventions.py)", async () => {
  const file = golden("inspection", "interventions.json");
  const { ids, cases } = JSON.parse(readFileSync(file, "utf8")) as {
    ids: number[];
    cases: { method: "bagging" | "boosting"; interventions: Intervention[]; logits: number[] }[];
  };
  const { model } = await openWorld();
  after(() => model.close());
  const engine = createReferenceEngine();
  const row = Int32Array.from(ids);
  const x = await model.readTo(hook).append(row);
  for (const { method, interventions, logits: expected } of cases) {
    const what = interventions.map(({ kind, features, from }) => `${kind} ${features.length} ${from}`).join(", ");
    test(`${method}: ${what || "nothing"}`, async () => {
      const ensemble = waveEnsemble(model.info.dModel, method);
      const { codes } = await (await engine.createEncoder(ensemble)).encode(x, ids.length);
      const changed = new Interventions(ensemble, interventions, none).apply({ ids: row, x, ...codes }, ids.length - 1);
      const { logits } = await model.goOnFrom(hook).append(row, changed.x, { logits: true });
      for (const [i, logit] of logits.entries())
        assert.ok(Math.abs(logit - expected[i]!) < 7.5e-5, `token ${i}: ${logit} for ${expected[i]}`);
    });
  }
});

describe("through the model", async () => {
  const { model, ensemble, inspection } = await openWorld();
  after(() => model.close());
  const text = "She was a nurse, and he said that";
  const ablate = (feature: number): Intervention => ({
    features: [feature],
    kind: "ablate",
    value: 0,
    from: "everywhere",
  });

  test("an intervention is its delta at the hook, as transformers' hooks add it", async () => {
    // The reference added a delta at this hook in Python; the delta of an intervention goes the same way.
    const file = await reference("llama3_rope");
    const ids = Int32Array.from(Array.from((await referenceRow(file)) as ArrayLike<number>, Number));
    const delta = await tensorFloat32(file, "delta");
    const expected = await tensorFloat32(file, "logits.add_delta");
    const d = model.info.dModel;
    const V = model.info.dVocab;
    const values = await model.readTo(hook).append(ids);
    const changed = values.map((value, at) => value + delta[at]!);
    const { logits } = await model.goOnFrom(hook).append(ids, changed, { logits: true });
    for (let i = 0; i < V; i++) assert.ok(Math.abs(logits[i]! - expected[(ids.length - 1) * V + i]!) < 7.5e-5);
    // And an intervention's logits are those of its delta over the whole batch.
    const row = await inspection.readPrompt(text, 0);
    const list = [ablate(5), { ...ablate(width + 7), kind: "add" as const, value: 1.5, from: "here" as const }];
    const { x } = new Interventions(ensemble, list, model.tokenizer.specialIds).apply(row, row.ids.length - 1);
    const own = await model.capture(oneRow(row.ids), hook);
    const whole = await model.logits(oneRow(row.ids), {
      hookName: hook,
      delta: x.map((value, at) => value - own[at]!),
    });
    const got = await changedLogits(inspection, row, list);
    for (let i = 0; i < V; i++) assert.ok(Math.abs(got[i]! - whole[(row.ids.length - 1) * V + i]!) < 7.5e-5);
    assert.ok(x.length === row.ids.length * d);
  });

  test("an empty list changes nothing to the bit", async () => {
    const row = await inspection.readPrompt(text, 0);
    assert.equal(await changedLogits(inspection, row, []), row.logits);
    const unchanged = await nextToken(inspection, text, [], 5);
    assert.equal(unchanged.kl, 0);
    assert.ok(unchanged.tokens.every(({ original, changed }) => original === changed));
    assert.deepEqual([unchanged.gains, unchanged.loses], [null, null]);
    // The same through the whole path: values taken out and put back in.
    const same = await model.goOnFrom(hook).append(row.ids, row.x, { logits: true });
    assert.deepEqual(same.logits, row.logits);
    const scaled = await changedLogits(inspection, row, [{ ...ablate(5), kind: "scale", value: 1 }]);
    assert.deepEqual(scaled, row.logits);
  });

  test("what fires nowhere is found among what is ablated or scaled", async () => {
    const row = await inspection.readPrompt(text, 0);
    const special = inspection.model.tokenizer.specialIds;
    const fires = new Set<number>();
    row.ids.forEach((id, t) => {
      if (!special.has(id))
        for (const feature of row.indices.slice(row.offsets[t]!, row.offsets[t + 1]!)) fires.add(feature);
    });
    const atLast = new Set(row.indices.slice(row.offsets[row.ids.length - 1]!, row.offsets[row.ids.length]!));
    const firing = [...fires].find((feature) => !atLast.has(feature))!;
    const silent = [...Array(24).keys()].find((feature) => !fires.has(feature))!;
    const [one, other] = [ablate(firing), ablate(silent)];
    assert.deepEqual(await firingNowhere(inspection, text, [one, other, other]), [silent]);
    assert.deepEqual(await firingNowhere(inspection, text, [{ ...one, from: "here" }]), [firing]);
    const set = { ...other, kind: "set", value: 3 } as const;
    assert.deepEqual(await firingNowhere(inspection, text, [set, other]), []);
  });

  test("what pushes a token is what ablating it changes", async () => {
    const { tokens } = await nextToken(inspection, text, [], 1);
    const { features, probability } = await pushingFeatures(inspection, text, tokens[0]!.id, 6);
    assert.ok(Math.abs(probability - tokens[0]!.original) < 1e-6);
    assert.equal(features.length, 6);
    for (const { feature, probability: without } of features) {
      const { tokens: ablated } = await nextToken(inspection, text, [{ ...ablate(feature), from: "here" }], 300);
      const same = ablated.find(({ id }) => id === tokens[0]!.id)!;
      assert.ok(Math.abs(same.changed - without) < 1e-6);
    }
    const effects = features.map(({ measured }) => measured);
    assert.deepEqual(
      effects,
      effects.toSorted((a, b) => b - a),
      "what pushes it up comes first",
    );
    const others = await pushingFeatures(inspection, text, tokens[0]!.id, 24);
    const sizes = others.features.map(({ measured }) => Math.abs(measured)).sort((a, b) => b - a);
    assert.deepEqual(
      effects.map(Math.abs).sort((a, b) => b - a),
      sizes.slice(0, 6),
      "ablating any other one changes less",
    );
  });

  for (const method of ["bagging", "boosting"] as const) {
    test(`generation, ${method}: greedy is what asking for the next token again and again gives, on both sides`, async () => {
      const world = await openWorld(method);
      after(() => world.model.close());
      const list = [{ ...ablate(5), kind: "add" as const, value: 3 }, ablate(width + 7)];
      const said = { original: [] as number[], changed: [] as number[] };
      for await (const { side, id } of generate(world.inspection, text, list, { tokens: 6, temperature: 0, seed: 1 }))
        said[side].push(id);
      const row = await world.inspection.readPrompt(text, 6);
      for (const [side, interventions] of [
        ["original", []],
        ["changed", list],
      ] as const) {
        const ids = [...row.ids];
        for (const expected of said[side]) {
          const values = await world.model.readTo(hook).append(Int32Array.from(ids));
          const { codes } = await world.encoder.encode(values, ids.length);
          const tokens = { ids: Int32Array.from(ids), x: values, ...codes };
          const { x } = new Interventions(world.ensemble, interventions, model.tokenizer.specialIds).apply(tokens, 0);
          const { logits } = await world.model.goOnFrom(hook).append(Int32Array.from(ids), x, { logits: true });
          const best = logits.reduce((most, value, i) => (value > logits[most]! ? i : most), 0);
          assert.ok(logits[best]! - logits[expected]! < 1e-4, `${side}: ${expected} for ${best}`);
          ids.push(expected);
        }
      }
    });
  }

  test("generation: the token that ends a text is said as an end, not as text", async () => {
    const { tokenizer } = model;
    const { eosId } = tokenizer;
    const options = { tokens: 4, temperature: 0, seed: 1 };
    const said = await Array.fromAsync(generate(inspection, text, [], options));
    assert.deepEqual(
      said.map(({ ended }) => ended),
      [false, false, false, false],
    );
    const last = said.findIndex(({ id }, t) => t > 0 && id !== said[t - 1]!.id);
    try {
      Object.assign(tokenizer, { eosId: said[last]!.id });
      const ending = await Array.fromAsync(generate(inspection, text, [], options));
      assert.equal(ending.length, last + 1);
      assert.deepEqual(ending.at(-1), { ...said[last]!, text: said[last - 1]!.text, ended: true });
    } finally {
      Object.assign(tokenizer, { eosId });
    }
  });

  test("generation: the same seed says the same, another one something else; a signal ends it", async () => {
    const draw = async (seed: number) => {
      const ids: number[] = [];
      for await (const { id } of generate(inspection, text, [], { tokens: 20, temperature: 1, seed })) ids.push(id);
      return ids;
    };
    assert.deepEqual(await draw(3), await draw(3));
    assert.notDeepEqual(await draw(3), await draw(4));
    const abort = new AbortController();
    const heard: string[] = [];
    await assert.rejects(
      async () => {
        for await (const { text: said } of generate(
          inspection,
          text,
          [],
          { tokens: 20, temperature: 1, seed: 3 },
          abort.signal,
        )) {
          heard.push(said);
          if (heard.length === 3) abort.abort();
        }
      },
      { name: "AbortError" },
    );
    assert.equal(heard.length, 3);
    await assert.rejects(async () => {
      for await (const _ of generate(inspection, text, [], { tokens: 5000, temperature: 0, seed: 1 }));
    }, RangeError);
  });
});

async function referenceRow(file: Awaited<ReturnType<typeof reference>>): Promise<ArrayLike<number | bigint>> {
  const { tensorData } = await import("../../../src/formats/safetensors.ts");
  return ((await tensorData(file, "input_ids")) as BigInt64Array).slice(0, 12) as unknown as ArrayLike<number>;
}
