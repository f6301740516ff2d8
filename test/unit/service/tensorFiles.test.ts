// What the editor is told of files of tensors: an SAE's facts, an ensemble's members, numbers of tensors against a plain recount.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { readSafetensors, tensorFloat32, writeSafetensors } from "../../../src/formats/safetensors.ts";
import { saveEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { loadSae } from "../../../src/sae/saeLensFolder.ts";
import { describeTensorFile, statisticsOf } from "../../../src/service/tensorFiles.ts";
import { ensembleOf } from "../engine/randomCases.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const signal = new AbortController().signal;

test("an SAE's file says what SAE it is", async () => {
  const path = golden("saes", "sparsify", "topk_skip_transcode", "sae.safetensors");
  const { title, facts, problem, tensors } = await describeTensorFile(path);
  const fact = Object.fromEntries(facts);
  assert.equal(title, "sae.safetensors");
  assert.equal(problem, "");
  assert.equal(fact["layout"], "sparsify, topk skip transcoder");
  assert.equal(fact["d_out"], "32");
  assert.match(fact["in ensembles"]!, /transcoder/);
  assert.deepEqual(tensors.map(({ name }) => name).sort(), [
    "W_dec",
    "W_skip",
    "b_dec",
    "encoder.bias",
    "encoder.weight",
  ]);
});

test("a matryoshka's file says its widths", async () => {
  const { facts } = await describeTensorFile(
    golden("saes", "sae_lens", "matryoshka_batchtopk_as_jumprelu", "sae_weights.safetensors"),
  );
  assert.equal(Object.fromEntries(facts)["architecture"], "jumprelu (matryoshka of 16, 48, 128 features)");
});

test("an ensemble.json shows its members and their tensors", async () => {
  const path = golden("evaluation", "bagging_a", "ensemble.json");
  const { facts, tensors } = await describeTensorFile(path);
  assert.match(Object.fromEntries(facts)["method"]!, /^bagging of \d/);
  assert.ok(tensors.some(({ name }) => name === "member_1/W_enc"));
  const at = tensors.findIndex(({ name }) => name === "member_1/W_enc");
  const numbers = await statisticsOf(path, at, signal);
  const values = await tensorFloat32(
    await readSafetensors(join(path, "..", "member_1", "sae_weights.safetensors")),
    "W_enc",
  );
  assert.equal(numbers.elements, values.length);
  assert.equal(numbers.min, Math.min(...values));
  assert.equal(numbers.max, Math.max(...values));
  assert.ok(Math.abs(numbers.norm - Math.hypot(...values)) < 1e-9 * numbers.norm);
  assert.equal(
    numbers.histogram.reduce((sum, n) => sum + n, 0),
    values.length,
  );
});

test("of weights too large to read at once, their configurations are told and that they weren't checked", async () => {
  const told = async (...path: string[]) => {
    const whole = await describeTensorFile(golden(...path));
    const { facts, warnings, problem, tensors } = await describeTensorFile(golden(...path), 0);
    assert.deepEqual([facts, problem, tensors], [whole.facts, "", whole.tensors]);
    assert.match(warnings.join(), /^its weights \(0\.0 GiB\) were not read/);
    return Object.fromEntries(facts);
  };
  const sae = await told("saes", "sae_lens", "skip_transcoder", "sae_weights.safetensors");
  assert.equal(sae["layout"], "SAELens");
  assert.match(sae["in ensembles"]!, /^no: a transcoder/);
  assert.match((await told("evaluation", "boosting_a", "ensemble.json"))["method"]!, /^boosting of \d/);
  const { facts } = await describeTensorFile(golden("saes", "sparsify", "topk", "sae.safetensors"), 0);
  assert.match(Object.fromEntries(facts)["layout"]!, /^not looked for: its 0\.0 GiB of weights were not read/);
});

test("above the limit no member is read, however many there are", async () => {
  const folder = join(temporaryFolder(), "bag");
  const sae = await loadSae(golden("saes", "sae_lens", "topk"));
  await saveEnsemble(folder, { ...ensembleOf("bagging", [sae, sae]), hook: sae.config.metadata.hook_name! });
  // A weight that only reading finds.
  const weights = join(folder, "member_1", "sae_weights.safetensors");
  const { offset } = (await readSafetensors(weights)).tensors.get("W_dec")!;
  const bytes = await readFile(weights);
  bytes.writeFloatLE(Number.NaN, offset);
  await writeFile(weights, bytes);
  const file = join(folder, "ensemble.json");
  assert.match((await describeTensorFile(file)).problem, /tensor W_dec: found 1 value that is not finite/);
  assert.equal((await describeTensorFile(file, 0)).problem, "");
});

test("of unlike members every value is said, not the first one's", async () => {
  const folder = join(temporaryFolder(), "bag");
  const [first, second] = await Promise.all(
    ["topk_layer_norm", "jumprelu_no_b_dec_to_input"].map((name) => loadSae(golden("saes", "sae_lens", name))),
  );
  const hook = first!.config.metadata.hook_name!;
  await saveEnsemble(folder, { ...ensembleOf("bagging", [first!, second!]), hook });
  const { facts } = await describeTensorFile(join(folder, "ensemble.json"));
  const fact = Object.fromEntries(facts);
  assert.equal(fact["architecture"], "topk, jumprelu");
  assert.equal(fact["k"], "8");
  assert.equal(fact["b_dec"], "subtracted from the input, added to the output only");
  assert.equal(fact["normalize_activations"], "layer_norm, none");
});

test("a state dict that doesn't say how it selects is said to be one, which is no error", async () => {
  const file = join(temporaryFolder(), "stranger.safetensors");
  const matrix = { shape: [3, 2], data: new Float32Array(6).fill(1) };
  await writeSafetensors(file, {
    encoder_weights: matrix,
    decoder_weights: matrix,
    encoder_bias: { shape: [3], data: new Float32Array(3) },
    decoder_bias: { shape: [2], data: new Float32Array(2) },
  });
  const { facts, problem } = await describeTensorFile(file);
  assert.equal(problem, "");
  assert.match(Object.fromEntries(facts)["layout"]!, /doesn't say how its features fire/);
});

test("any other file of tensors is shown as it is; what is broken is said", async () => {
  const folder = temporaryFolder();
  const data = Float32Array.of(0, Number.NaN, 2, -2, Number.POSITIVE_INFINITY, 0);
  await writeSafetensors(join(folder, "any.safetensors"), { odd: { shape: [2, 3], data } }, { format: "pt" });
  const any = await describeTensorFile(join(folder, "any.safetensors"));
  assert.deepEqual([any.problem, any.facts], ["", [["format", "pt"]]]);
  const { histogram, ...numbers } = await statisticsOf(join(folder, "any.safetensors"), 0, signal);
  assert.deepEqual(numbers, { elements: 6, notFinite: 2, min: -2, max: 2, mean: 0, norm: Math.sqrt(8), zeros: 2 });
  assert.equal(
    histogram.reduce((sum, n) => sum + n, 0),
    4,
  );
  await assert.rejects(describeTensorFile(golden("saes", "hostile", "st_hole.safetensors")), /belong to no tensor/);
  mkdirSync(join(folder, "broken"));
  await writeFile(join(folder, "broken", "ensemble.json"), "{}");
  assert.match((await describeTensorFile(join(folder, "broken", "ensemble.json"))).problem, /ensemble\.json/);
});
