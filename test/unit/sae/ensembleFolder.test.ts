// The ensemble folder: the golden ensembles to their golden codes, a round trip to the same bits, atomic writing, and Proposition 3.1.
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readSafetensors, tensorData, tensorEntryOf, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { combinedDecoder } from "../../../src/sae/combine.ts";
import { encodeEnsemble } from "../../../src/sae/encodeEnsemble.ts";
import { type Ensemble, ensembleWidth } from "../../../src/sae/ensemble.ts";
import { loadEnsemble, movedAside, saveEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { inferenceSae } from "../../../src/sae/fold.ts";
import { initialiseSae } from "../../../src/sae/initialise.ts";
import { completeTrainingSaeConfig, trainingSaeSchema, trainingSaeToConfig } from "../../../src/sae/trainingConfig.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const names = ["bagging_a", "bagging_b", "boosting_a", "boosting_b"];

for (const name of names) {
  test(`${name}: codes, reconstruction and one decoder for all (Proposition 3.1)`, async () => {
    const ensemble = await loadEnsemble(golden("evaluation", name));
    assert.equal(ensemble.method, name.split("_")[0]);
    const input = await readSafetensors(golden("evaluation", "x.safetensors"));
    const rows = tensorEntryOf(input, "x").shape[0]!;
    const x = await tensorFloat32(input, "x");
    const { codes, reconstruction } = encodeEnsemble(ensemble, x, rows);

    const io = await readSafetensors(golden("evaluation", name, "io.safetensors"));
    assertWithin(reconstruction, await tensorFloat32(io, "reconstruction"), 1e-5);
    const width = ensembleWidth(ensemble);
    const expected = new Float32Array(rows * width);
    const indices = (await tensorData(io, "code_indices")) as Int32Array;
    const values = await tensorFloat32(io, "code_values");
    const perRow = indices.length / rows;
    for (let at = 0; at < indices.length; at++) {
      if (indices[at]! >= 0) expected[Math.floor(at / perRow) * width + indices[at]!] = values[at]!;
    }
    assertWithin(codes, expected, 1e-5);
    assertWithin(decodedBy(combinedDecoder(ensemble), codes, rows), reconstruction, 1e-5);
  });
}

test("Proposition 3.1 holds for every architecture, also where decoder norms are rescaled", () => {
  for (const method of ["bagging", "boosting"] as const) {
    for (const architecture of ["standard", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu", "gated"]) {
      const ensemble = randomEnsemble(method, architecture);
      const random = SeededRandom.derive(3, architecture);
      const x = Float32Array.from({ length: 20 * 10 }, () => random.normal());
      const { codes, reconstruction } = encodeEnsemble(ensemble, x, 20);
      assert.ok(codes.some((code) => code > 0));
      assertWithin(decodedBy(combinedDecoder(ensemble), codes, 20), reconstruction, 1e-5);
    }
  }
});

test("an ensemble with a member that normalises each token has no single decoder", () => {
  const ensemble = randomEnsemble("bagging", "standard");
  const [first] = ensemble.members;
  const layerNorm = { ...first!, config: { ...first!.config, normalize_activations: "layer_norm" as const } };
  assert.throws(() => combinedDecoder({ ...ensemble, members: [layerNorm] }), /layer_norm/);
});

test("an ensemble is read back as it was written", async () => {
  const folder = join(temporaryFolder(), "ensemble");
  const bagging = randomEnsemble("bagging", "topk");
  assert.equal(await saveEnsemble(folder, bagging), null);
  assert.deepEqual(await loadEnsemble(folder), bagging);
  assert.deepEqual(await readdir(join(folder, "..")), ["ensemble"], "no temporary folder is left");
});

test("another ensemble over it moves the old one aside with the flags beside it", async () => {
  const folder = join(temporaryFolder(), "ensemble");
  const bagging = randomEnsemble("bagging", "topk");
  await saveEnsemble(folder, bagging);
  await writeFile(join(folder, "annotations.json"), "flags of bagging");
  const boosting = randomEnsemble("boosting", "jumprelu");
  const aside = await saveEnsemble(folder, boosting);
  assert.deepEqual(await loadEnsemble(folder), boosting);
  assert.deepEqual((await readdir(folder)).sort(), ["ensemble.json", "member_0", "member_1", "member_2"]);
  assert.deepEqual(await loadEnsemble(aside!), bagging);
  assert.equal(await readFile(join(aside!, "annotations.json"), "utf8"), "flags of bagging");
  assert.equal(movedAside(basename(aside!))?.name, "ensemble");
  // Twice within a second, and under its own name each time.
  const again = await saveEnsemble(folder, bagging);
  assert.deepEqual((await readdir(join(folder, ".."))).sort(), ["ensemble", basename(aside!), basename(again!)].sort());
});

test("the same weights again keep the folder, and whatever lies beside them", async () => {
  const folder = join(temporaryFolder(), "ensemble");
  const bagging = randomEnsemble("bagging", "topk");
  await saveEnsemble(folder, bagging);
  await writeFile(join(folder, "annotations.json"), "flags");
  assert.equal(await saveEnsemble(folder, { ...bagging, provenance: { again: true } }), null);
  assert.deepEqual((await loadEnsemble(folder)).provenance, { again: true });
  assert.equal(await readFile(join(folder, "annotations.json"), "utf8"), "flags");
  assert.deepEqual(await readdir(join(folder, "..")), ["ensemble"]);
});

test("writing that fails leaves what was there", async () => {
  const folder = join(temporaryFolder(), "ensemble");
  const whole = randomEnsemble("bagging", "topk");
  await saveEnsemble(folder, whole);
  const broken = randomEnsemble("bagging", "topk");
  broken.members[2]!.weights.b_enc = new Float32Array(3);
  await assert.rejects(saveEnsemble(folder, broken), /b_enc/);
  assert.deepEqual(await loadEnsemble(folder), whole);
  assert.deepEqual(await readdir(join(folder, "..")), ["ensemble"]);
});

test("what is wrong in ensemble.json is said with its field", async () => {
  const folder = join(temporaryFolder(), "ensemble");
  await saveEnsemble(folder, randomEnsemble("bagging", "topk"));
  const path = join(folder, "ensemble.json");
  const good = await readFile(path, "utf8");
  const cases: [(json: Record<string, unknown>) => void, RegExp][] = [
    [(json) => (json["format_version"] = 2), /format_version/],
    [(json) => (json["method"] = "stacking"), /method/],
    [(json) => (json["members"] = ["../elsewhere"]), /members\.0/],
    [(json) => (json["weights"] = [1]), /weights.*1 weights for 3 members/],
    [(json) => (json["members"] = []), /members/],
    [(json) => (json["hook"] = "blocks.3.hook_resid_post"), /members\.0.*blocks\.0\.hook_resid_post/],
    [(json) => (json["members"] = ["member_0", "member_1", "member_7"]), /member_7.*: found no such file/],
  ];
  for (const [change, message] of cases) {
    const json = JSON.parse(good);
    change(json);
    await writeFile(path, JSON.stringify(json));
    await assert.rejects(
      loadEnsemble(folder),
      (error: unknown) => error instanceof InputError && message.test(error.message),
    );
  }
  await writeFile(path, good.slice(0, 30));
  await assert.rejects(loadEnsemble(folder), /ensemble\.json: found .*JSON/);
  await assert.rejects(loadEnsemble(join(folder, "nowhere")), /found no such file, expected the ensemble\.json/);
  // The parser quotes what it read, with its line ends.
  await writeFile(path, good.replace("[", "[\n  oops,\n"));
  await assert.rejects(loadEnsemble(folder), /^InputError: [^\n]*oops[^\n]*$/);
});

function randomEnsemble(method: "bagging" | "boosting", architecture: string): Ensemble {
  const isTopk = architecture.endsWith("topk");
  const options = trainingSaeSchema.parse({
    architecture,
    d_sae: 30,
    decoder_init_norm: 0.7,
    ...(isTopk ? { k: 4 } : {}),
    ...(architecture === "matryoshka_batchtopk" ? { matryoshka_widths: [5, 15] } : {}),
  });
  const config = completeTrainingSaeConfig(options, 10);
  const seeds = [1, 2, 3];
  const members = seeds.map((seed) => {
    const weights = initialiseSae(config, seed);
    const random = SeededRandom.derive(seed, "bias");
    weights.b_dec = weights.b_dec.map(() => random.normal());
    return inferenceSae({
      config: trainingSaeToConfig(config, { hook_name: "blocks.0.hook_resid_post" }),
      weights,
      ...(architecture.endsWith("batchtopk") ? { topk_threshold: 0.3 } : {}),
    });
  });
  for (const { config } of members) Object.assign(config.metadata, { sae_lens_version: "6.54.12" });
  const weights = seeds.map(() => (method === "bagging" ? 1 / 3 : 1));
  return { method, members, weights, seeds, hook: "blocks.0.hook_resid_post", provenance: { why: "a test" } };
}

function decodedBy(
  decoder: { W_dec: Float32Array; b_dec: Float32Array },
  codes: Float32Array,
  rows: number,
): Float32Array {
  const d = decoder.b_dec.length;
  const width = codes.length / rows;
  const out = new Float32Array(rows * d);
  for (let t = 0; t < rows; t++) {
    for (let j = 0; j < d; j++) {
      let sum = decoder.b_dec[j]!;
      for (let i = 0; i < width; i++) sum += codes[t * width + i]! * decoder.W_dec[i * d + j]!;
      out[t * d + j] = sum;
    }
  }
  return out;
}

function assertWithin(got: Float32Array, wanted: Float32Array, tolerance: number): void {
  assert.equal(got.length, wanted.length);
  for (let at = 0; at < got.length; at++) {
    const allowed = tolerance * (1 + Math.abs(wanted[at]!));
    assert.ok(Math.abs(got[at]! - wanted[at]!) <= allowed, `entry ${at}: ${got[at]} for ${wanted[at]}`);
  }
}
