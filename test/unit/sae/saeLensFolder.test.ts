// SAELens folders: the package's own files to the package's own codes, ours back to the same bits, and refusals that say why.
import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { InputError } from "../../../src/formats/inputError.ts";
import {
  type Dtype,
  readSafetensors,
  type TensorSource,
  tensorEntryOf,
  tensorFloat32,
  writeSafetensors,
} from "../../../src/formats/safetensors.ts";
import { decode, encode } from "../../../src/sae/encode.ts";
import { foldActivationScale, inferenceSae } from "../../../src/sae/fold.ts";
import { initialiseSae } from "../../../src/sae/initialise.ts";
import { openSae } from "../../../src/sae/openSae.ts";
import { architectureWords, type Sae, trainedWidths } from "../../../src/sae/sae.ts";
import { loadSae, loadSparsity, saveSae } from "../../../src/sae/saeLensFolder.ts";
import { completeTrainingSaeConfig, trainingSaeSchema, trainingSaeToConfig } from "../../../src/sae/trainingConfig.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const folders = [
  "standard",
  "standard_no_b_dec_to_input",
  "standard_expected_average_only_in",
  "standard_constant_norm_rescale",
  "standard_layer_norm",
  "standard_bfloat16",
  "topk",
  "topk_no_b_dec_to_input",
  "topk_layer_norm",
  "topk_float16",
  "topk_rescale_acts_by_decoder_norm",
  "topk_saved_for_inference",
  "jumprelu",
  "jumprelu_no_b_dec_to_input",
  "jumprelu_zero_and_negative_threshold",
  "batchtopk_as_jumprelu",
  "batchtopk_no_rescale_as_jumprelu",
  "matryoshka_batchtopk_as_jumprelu",
  "batchtopk_training_checkpoint",
  "gated",
  "gated_no_b_dec_to_input",
  "fold_before",
  "fold_after",
  "legacy/v3_scaling_factor_tensor_of_ones",
  "legacy/v3_standard_bool_normalize",
  "legacy/v4_gated",
  "legacy/v5_jumprelu_null_normalize",
  "legacy/v5_topk_as_activation_fn",
  "legacy/v4_hook_z_implied",
  "standard_hook_z",
  "transcoder",
  "skip_transcoder",
  "jumprelu_transcoder",
  "jumprelu_skip_transcoder",
];

async function io(
  folder: string,
): Promise<{ x: Float32Array; rows: number; codes: Float32Array; reconstruction: Float32Array }> {
  const file = await readSafetensors(golden("saes", "sae_lens", folder, "io.safetensors"));
  // A batchtopk's codes depend on the whole batch, and the file's name for them says so.
  const codesName = file.tensors.has("codes") ? "codes" : "codes_batch_of_64";
  const [x, codes, reconstruction] = await Promise.all(
    ["x", codesName, "reconstruction"].map((name) => tensorFloat32(file, name)),
  );
  return { x: x!, rows: tensorEntryOf(file, "x").shape[0]!, codes: codes!, reconstruction: reconstruction! };
}

/** INDEX.md: |a−b| ≤ 1e-5 + 1e-5|b|, and the same features active. */
function assertClose(got: Float32Array, wanted: Float32Array, what: string): void {
  assert.equal(got.length, wanted.length, what);
  for (let at = 0; at < got.length; at++) {
    const allowed = 1e-5 + 1e-5 * Math.abs(wanted[at]!);
    assert.ok(Math.abs(got[at]! - wanted[at]!) <= allowed, `${what}, entry ${at}: ${got[at]} for ${wanted[at]}`);
  }
}

function assertSaeGives(sae: Sae, expected: Awaited<ReturnType<typeof io>>): void {
  const codes = encode(sae, expected.x, expected.rows);
  assertClose(codes, expected.codes, "codes");
  assert.deepEqual(
    codes.map((code) => (code > 0 ? 1 : 0)),
    expected.codes.map((code) => (code > 0 ? 1 : 0)),
    "the same features are active",
  );
  assertClose(decode(sae, codes, expected.rows, expected.x), expected.reconstruction, "reconstruction");
}

for (const folder of folders) {
  test(`${folder}: SAELens' file gives SAELens' codes and reconstructions, and so does our copy of it`, async () => {
    const sae = await loadSae(golden("saes", "sae_lens", folder));
    const expected = await io(folder);
    assertSaeGives(sae, expected);
    const copy = join(temporaryFolder(), "copy");
    await saveSae(copy, sae);
    const again = await loadSae(copy);
    assert.deepEqual(again.weights, sae.weights);
    assert.equal(again.topk_threshold, sae.topk_threshold);
    assertSaeGives(again, expected);
  });
}

test("every golden folder has its test", () => {
  const root = golden("saes", "sae_lens");
  const all = globSync("**/cfg.json", { cwd: root }).map((file) => dirname(file).replaceAll("\\", "/"));
  assert.deepEqual(all.sort(), [...folders, "abstopk"].sort());
});

test("metadata survives, old files' too, and the version that SAELens needs is always written", async () => {
  const old = await loadSae(golden("saes", "sae_lens", "legacy", "v5_topk_as_activation_fn"));
  assert.equal(old.config.metadata.hook_name, "blocks.6.hook_resid_post");
  assert.equal(old.config.metadata.prepend_bos, false);
  assert.equal(old.config.normalize_activations, "none");
  assert.equal(old.config.k, 8);
  const folder = temporaryFolder();
  await saveSae(folder, old);
  const written = JSON.parse(await readFile(join(folder, "cfg.json"), "utf8"));
  assert.match(written.metadata.sae_lens_version, /^6\./);
  assert.equal(written.metadata.hook_name, "blocks.6.hook_resid_post");
  assert.equal(written.metadata.sae_lens_training_version, "5.3.1");
  const boolean = await loadSae(golden("saes", "sae_lens", "legacy", "v3_standard_bool_normalize"));
  assert.equal(boolean.config.normalize_activations, "expected_average_only_in");
});

test("sparsity.safetensors is log10(density + 1e-10)", async () => {
  const theirs = await loadSparsity(golden("saes", "sae_lens", "standard"));
  assert.equal(theirs!.filter((value) => Math.abs(value + 10) < 1e-6).length, 5);
  assert.equal(await loadSparsity(golden("saes", "sae_lens", "topk")), null);
  const folder = temporaryFolder();
  const sae = await loadSae(golden("saes", "sae_lens", "standard"));
  await saveSae(folder, sae, { density: Float32Array.from(theirs!, (log) => Math.max(0, 10 ** log - 1e-10)) });
  assertClose((await loadSparsity(folder))!, theirs!, "log densities");
});

test("architectures that SAELens writes and we don't compute are refused by name, with why", async () => {
  const folder = temporaryFolder();
  await saveSae(folder, await loadSae(golden("saes", "sae_lens", "topk")));
  const cfg = JSON.parse(await readFile(join(folder, "cfg.json"), "utf8"));
  for (const [architecture, why] of [
    ["temporal", /temporal \(its codes depend on other tokens\)/],
    ["matching_pursuit", /matching_pursuit \(it encodes in rounds\)/],
    ["crosscoder", /architecture: found crosscoder/],
  ] as const) {
    await writeFile(join(folder, "cfg.json"), JSON.stringify({ ...cfg, architecture }));
    await assert.rejects(loadSae(folder), (error: unknown) => error instanceof InputError && why.test(error.message));
  }
});

test("abstopk is refused by name", async () => {
  await assert.rejects(loadSae(golden("saes", "sae_lens", "abstopk")), (error: unknown) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /abstopk \(its codes may be negative\)/);
    assert.match(error.file, /cfg\.json$/);
    return true;
  });
});

test("what is wrong in a folder is said with its file and place", async () => {
  const refused = async (change: (folder: string) => Promise<void>, message: RegExp): Promise<void> => {
    const folder = temporaryFolder();
    await saveSae(folder, await loadSae(golden("saes", "sae_lens", "topk")));
    await change(folder);
    await assert.rejects(
      loadSae(folder),
      (error: unknown) => error instanceof InputError && message.test(error.message),
    );
  };
  const edit = (text: (old: string) => string) => async (folder: string) => {
    const path = join(folder, "cfg.json");
    await writeFile(path, text(await readFile(path, "utf8")));
  };
  await refused(
    edit((old) => old.replace('"d_in": 32', '"d_in": 31')),
    /W_enc.*\[32,128\].*\[31,128\]/,
  );
  await refused(
    edit((old) => old.replace('"k": 8', '"k": 129')),
    /k: found 129/,
  );
  await refused(
    edit((old) => old.replace('"k": 8', '"k": "many"')),
    /cfg\.json, k/,
  );
  await refused(
    edit((old) => old.replace('"topk"', '"jumprelu"')),
    /threshold/,
  );
  await refused(
    edit((old) => old.replace('"none"', '"covariance_whitening"')),
    /covariance_whitening/,
  );
  await refused(
    edit((old) => old.slice(0, 40)),
    /JSON/,
  );
  await refused(async (folder) => {
    const sae = await loadSae(golden("saes", "sae_lens", "topk"));
    sae.weights.W_dec[5] = Number.NaN;
    await saveSae(folder, sae);
  }, /W_dec.*NaN/);
  await assert.rejects(loadSae(join(temporaryFolder(), "nowhere")), /nowhere.*: found no such file/);
});

test("a transcoder's b_dec is never subtracted from what it reads: not where nothing says so, and not by a word", async () => {
  const folder = temporaryFolder();
  await saveSae(folder, await loadSae(golden("saes", "sae_lens", "transcoder")));
  const path = join(folder, "cfg.json");
  const { apply_b_dec_to_input, ...config } = JSON.parse(await readFile(path, "utf8"));
  assert.equal(apply_b_dec_to_input, false);
  await writeFile(path, JSON.stringify(config));
  assert.equal((await loadSae(folder)).config.apply_b_dec_to_input, false);
  await writeFile(path, JSON.stringify({ ...config, apply_b_dec_to_input: true }));
  await assert.rejects(
    loadSae(folder),
    (error) => error instanceof InputError && /cfg\.json, apply_b_dec_to_input: found true/.test(error.message),
  );
});

test("a tensor that the architecture doesn't use is refused by name, not dropped", async () => {
  const jumprelu = golden("saes", "sae_lens", "jumprelu");
  const folder = temporaryFolder();
  await saveSae(folder, await loadSae(jumprelu));
  const path = join(folder, "cfg.json");
  await writeFile(path, (await readFile(path, "utf8")).replace('"jumprelu"', '"standard"'));
  const refused = (message: RegExp) =>
    assert.rejects(loadSae(folder), (error: unknown) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      assert.match(error.file, /sae_weights\.safetensors$/);
      return true;
    });
  await refused(/tensor threshold: found one that .*\(standard\) doesn't use/);
  await saveSae(folder, await loadSae(golden("saes", "sae_lens", "skip_transcoder")));
  await writeFile(path, (await readFile(path, "utf8")).replace('"skip_transcoder"', '"transcoder"'));
  await refused(/tensor W_skip: found one that/);
});

test("a batchtopk checkpoint's topk_threshold is a number, or refused by name", async () => {
  const folder = temporaryFolder();
  const sae = await loadSae(golden("saes", "sae_lens", "batchtopk_training_checkpoint"));
  for (const topk_threshold of [Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
    await saveSae(folder, { ...sae, topk_threshold });
    await assert.rejects(loadSae(folder), (error: unknown) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, /tensor topk_threshold: found 1 value that is not finite/);
      return true;
    });
  }
  await saveSae(folder, { ...sae, topk_threshold: 0 });
  assert.match((await openSae(folder)).warnings.join("; "), /its topk_threshold is 0: every positive feature fires/);
  await saveSae(folder, sae);
  assert.deepEqual((await openSae(folder)).warnings, []);
});

test("a topk_threshold of any type of floats is the number that it is, and of no other type", async () => {
  const folder = temporaryFolder();
  await saveSae(folder, await loadSae(golden("saes", "sae_lens", "batchtopk_training_checkpoint")));
  const path = join(folder, "sae_weights.safetensors");
  const file = await readSafetensors(path);
  const tensors = new Map<string, TensorSource>();
  for (const [name, { shape }] of file.tensors) {
    if (name !== "topk_threshold") tensors.set(name, { shape, data: await tensorFloat32(file, name) });
  }
  const read = async (data: TensorSource["data"], dtype: Dtype, shape: readonly number[] = []) => {
    await writeSafetensors(path, new Map(tensors).set("topk_threshold", { shape, dtype, data }));
    return (await loadSae(folder)).topk_threshold;
  };
  // 1.0 in bfloat16 is the upper half of its float32.
  assert.equal(await read(Uint16Array.of(0x3f80), "BF16"), 1);
  assert.equal(await read(Float16Array.of(1.5), "F16"), 1.5);
  assert.equal(await read(Float32Array.of(0.1), "F32"), Math.fround(0.1));
  assert.equal(await read(Float64Array.of(0.1), "F64"), 0.1);
  await assert.rejects(read(BigInt64Array.of(1n), "I64"), /tensor topk_threshold: found dtype I64/);
  await assert.rejects(read(Float32Array.of(1, 2), "F32", [2]), /tensor topk_threshold: found shape \[2\]/);
});

test("an activation from before SAELens 6 that would be another's without a word is refused by name", async () => {
  const folder = temporaryFolder();
  const source = golden("saes", "sae_lens", "legacy", "v5_topk_as_activation_fn");
  await copyFile(join(source, "sae_weights.safetensors"), join(folder, "sae_weights.safetensors"));
  const {
    activation_fn_str: _,
    activation_fn_kwargs: __,
    ...cfg
  } = JSON.parse(readFileSync(join(source, "cfg.json"), "utf8"));
  const load = (change: object) => {
    writeFileSync(join(folder, "cfg.json"), JSON.stringify({ ...cfg, ...change }));
    return loadSae(folder);
  };
  const cases: [object, RegExp][] = [
    [{ activation_fn_str: "topk" }, /activation_fn_kwargs\.k: found nothing/],
    [{ activation_fn_str: "topk", activation_fn_kwargs: null }, /activation_fn_kwargs\.k: found nothing/],
    [{ activation_fn_str: "tanh-relu" }, /activation_fn_str: found tanh-relu, expected relu or topk/],
    [{ activation_fn: "tanh-relu" }, /activation_fn: found tanh-relu/],
    [
      { activation_fn_str: "topk", k: 8, architecture: "transcoder", d_out: 32 },
      /activation_fn_str: found topk, of a transcoder SAE/,
    ],
  ];
  for (const [change, message] of cases) {
    await assert.rejects(load(change), (error: unknown) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal((await load({ activation_fn_str: "topk", k: 8 })).config.k, 8);
  assert.equal((await load({ activation_fn_str: "relu" })).config.architecture, "standard");
});

test("folding the activations' scale: fold_before becomes fold_after", async () => {
  const before = await loadSae(golden("saes", "sae_lens", "fold_before"));
  const after = await loadSae(golden("saes", "sae_lens", "fold_after"));
  const folded = foldActivationScale(before, 0.37);
  for (const [name, values] of Object.entries(after.weights)) {
    assertClose(folded.weights[name as keyof typeof folded.weights]!, values, name);
  }
  assert.equal(folded.config.normalize_activations, "none");
  assertSaeGives(folded, await io("fold_after"));
});

test("a batchtopk checkpoint in its inference form is a jumprelu with one threshold in units of pre·‖W_dec‖", async () => {
  const checkpoint = await loadSae(golden("saes", "sae_lens", "batchtopk_training_checkpoint"));
  const sae = inferenceSae(checkpoint);
  assert.equal(sae.config.architecture, "jumprelu");
  assert.equal(sae.config.k, undefined);
  assert.ok(sae.weights.threshold!.every((value) => value === Math.fround(checkpoint.topk_threshold!)));
  // With the threshold between the k·rows-th and the next activation both select the same set.
  const { x, rows, codes, reconstruction } = await io("batchtopk_training_checkpoint");
  const kept = codes.filter((code) => code > 0).sort();
  const between = inferenceSae({ ...checkpoint, topk_threshold: kept[0]! - 1e-5 });
  assertClose(encode(between, x, rows), codes, "codes");
  assertClose(decode(between, encode(between, x, rows), rows, x), reconstruction, "reconstruction");
});

test("the inference form of a rescaling topk has unit decoder rows and changes neither codes nor reconstruction", async () => {
  const sae = await loadSae(golden("saes", "sae_lens", "topk_rescale_acts_by_decoder_norm"));
  const folded = inferenceSae(sae);
  for (let i = 0; i < 128; i++) {
    assert.ok(Math.abs(Math.hypot(...folded.weights.W_dec.subarray(i * 32, (i + 1) * 32)) - 1) < 1e-6);
  }
  assertSaeGives(folded, await io("topk_rescale_acts_by_decoder_norm"));
});

test("a freshly initialised SAE of every architecture is written and read back", async () => {
  for (const architecture of ["standard", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu", "gated"]) {
    const isTopk = architecture.endsWith("topk");
    const options = trainingSaeSchema.parse({
      architecture,
      d_sae: 24,
      ...(isTopk ? { k: 3 } : {}),
      ...(architecture === "matryoshka_batchtopk" ? { matryoshka_widths: [4, 12] } : {}),
    });
    const config = completeTrainingSaeConfig(options, 6);
    const weights = initialiseSae(config, 1);
    const sae = {
      config: trainingSaeToConfig(config, { hook_name: "h" }),
      weights,
      ...(isTopk ? { topk_threshold: 0.25 } : {}),
    };
    const folder = join(temporaryFolder(), architecture);
    await saveSae(folder, inferenceSae(sae));
    const again = await loadSae(folder);
    assert.deepEqual(again.weights, inferenceSae(sae).weights);
    assert.equal(again.config.metadata["training_architecture"], architecture);
  }
});

test("a matryoshka is SAELens' jumprelu with its widths in the metadata, and as a training checkpoint keeps its name and widths", async () => {
  const theirs = await loadSae(golden("saes", "sae_lens", "matryoshka_batchtopk_as_jumprelu"));
  assert.equal(theirs.config.architecture, "jumprelu");
  assert.deepEqual(trainedWidths(theirs.config), [16, 48, 128]);
  assert.equal(architectureWords(theirs.config), "jumprelu (matryoshka of 16, 48, 128 features)");

  const options = trainingSaeSchema.parse({
    architecture: "matryoshka_batchtopk",
    d_sae: 24,
    k: 3,
    matryoshka_widths: [4, 12],
  });
  const config = completeTrainingSaeConfig(options, 6);
  const checkpoint = {
    config: trainingSaeToConfig(config, {}),
    weights: initialiseSae(config, 1),
    topk_threshold: 0.25,
  };
  const folder = join(temporaryFolder(), "checkpoint");
  await saveSae(folder, checkpoint);
  const cfg = JSON.parse(readFileSync(join(folder, "cfg.json"), "utf8"));
  assert.deepEqual([cfg.architecture, cfg.matryoshka_widths], ["matryoshka_batchtopk", [4, 12, 24]]);
  const again = await loadSae(folder);
  assert.deepEqual(again.config.matryoshka_widths, [4, 12, 24]);

  await saveSae(folder, inferenceSae(again));
  const inference = JSON.parse(readFileSync(join(folder, "cfg.json"), "utf8"));
  assert.deepEqual([inference.architecture, inference.matryoshka_widths], ["jumprelu", undefined]);
  assert.equal(inference.metadata.training_architecture, "matryoshka_batchtopk");
  assert.deepEqual(inference.metadata.training_architecture_details.matryoshka_widths, [4, 12, 24]);

  writeFileSync(join(folder, "cfg.json"), JSON.stringify({ ...cfg, matryoshka_widths: [12, 4, 24] }));
  await assert.rejects(loadSae(folder), /matryoshka_widths: found 12, 4, 24, expected widths that ascend to d_sae, 24/);
});
