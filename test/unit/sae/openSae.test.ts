// SAEs in every layout that the field has: each package's own files to that package's own codes and reconstructions; what can't be known is asked for, never guessed in silence.
import assert from "node:assert/strict";
import { cpSync, globSync, mkdirSync, readdirSync } from "node:fs";
import { copyFile, cp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readSafetensors, tensorEntryOf, tensorFloat32, writeSafetensors } from "../../../src/formats/safetensors.ts";
import { decode, encode } from "../../../src/sae/encode.ts";
import { type OpenOptions, Unsaid } from "../../../src/sae/layouts/opened.ts";
import { openSae } from "../../../src/sae/openSae.ts";
import { notForEnsembles, type Sae, type SaeConfig, type SaeWeights, trainedWidths } from "../../../src/sae/sae.ts";
import { saveSae } from "../../../src/sae/saeLensFolder.ts";
import { golden, sharedData, temporaryFolder } from "../fixtures.ts";
import { type Pickled, savedByTorch } from "../torchFiles.ts";

const saes = (...path: string[]) => golden("saes", ...path);

/** [what to open, where its answers lie if not beside it, names of the answers if others] */
const cases: readonly { path: string; io?: string; layout: RegExp; warnings?: RegExp }[] = [
  ...[
    "AutoEncoder",
    "AutoEncoder_unnormalised_decoder",
    "AutoEncoderNew",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "GatedAutoEncoder",
    "JumpReluAutoEncoder",
    "MatryoshkaBatchTopKSAE",
  ].map((name) => ({
    path: `dictionary_learning/${name}`,
    layout: new RegExp(`^dictionary_learning, ${name.replace("_unnormalised_decoder", "")}$`),
  })),
  {
    path: "dictionary_learning/BatchTopKSAE_threshold_unset",
    layout: /BatchTopKSAE/,
    warnings: /threshold is unset \(-1\)/,
  },
  ...[
    "topk",
    "topk_bfloat16",
    "topk_not_normalised",
    "topk_num_latents_0",
    "topk_skip",
    "topk_transcode",
    "topk_skip_transcode",
    "groupmax",
    "groupmax_skip_transcode",
  ].map((name) => ({ path: `sparsify/${name}`, layout: /^sparsify, (topk|groupmax) (skip )?(SAE|transcoder)$/ })),
  ...["width_128", "width_128_compressed", "width_128_fortran", "width_128_lowercase"].map((name) => ({
    path: `gemma_scope/layer_12/${name}/average_l0_40`,
    io: "gemma_scope/layer_12/width_128/average_l0_40",
    layout: /^Gemma Scope$/,
  })),
  { path: "gemma_scope/gemma_scope_2_resid_post_layer_12_width_128_l0_medium", layout: /^Gemma Scope 2$/ },
  { path: "openai/topk", layout: /OpenAI.*TopK/ },
  { path: "openai/relu", layout: /OpenAI.*ReLU/ },
  { path: "sae_lens/topk", layout: /^SAELens$/ },
];

for (const { path, io = path, layout, warnings } of cases) {
  test(`${path} gives its package's codes and reconstructions`, async () => {
    const opened = await openSae(saes(path));
    assert.match(opened.layout, layout);
    assert.equal(opened.warnings.length, warnings ? 1 : 0, opened.warnings.join("; "));
    if (warnings) assert.match(opened.warnings[0]!, warnings);
    await assertGives(opened.sae, io);
  });
}

for (const file of readdirSync(saes("dictionary_learning", "wrappings")).filter((name) => name.endsWith(".pt"))) {
  test(`the same SAE as torch.save wrote it: ${file}`, async () => {
    const halved = /float16|bfloat16/.exec(file) !== null;
    const opened = await openSae(saes("dictionary_learning", "wrappings", file), { dict_class: "AutoEncoderTopK" });
    await assertGives(opened.sae, "dictionary_learning/wrappings", halved ? 3e-2 : 1e-5);
    assert.equal(
      opened.warnings.some((warning) => warning.includes("norm_factor 3.25")),
      file.startsWith("backup"),
    );
  });
}

test("every golden SAE of a package but SAELens' has its test", () => {
  const packages = ["dictionary_learning", "sparsify", "gemma_scope", "openai"];
  const weights = packages.flatMap((name) => globSync(`${name}/**/*.{pt,npz,safetensors}`, { cwd: saes() }));
  const folders = weights.filter((file) => !file.endsWith("io.safetensors")).map((file) => dirname(file));
  const tested = new Set([...cases.map(({ path }) => path), "dictionary_learning/wrappings"]);
  assert.deepEqual(
    [...new Set(folders)].filter((folder) => !tested.has(folder.replaceAll("\\", "/"))),
    [],
  );
});

async function assertGives(
  sae: Awaited<ReturnType<typeof openSae>>["sae"],
  io: string,
  tolerance = 1e-5,
): Promise<void> {
  const file = await readSafetensors(saes(io, "io.safetensors"));
  const x = await tensorFloat32(file, "x");
  const rows = tensorEntryOf(file, "x").shape[0]!;
  const codes = encode(sae, x, rows);
  assertClose(codes, await tensorFloat32(file, "codes"), "codes", tolerance);
  assertClose(decode(sae, codes, rows, x), await tensorFloat32(file, "reconstruction"), "reconstruction", tolerance);
}

function assertClose(got: Float32Array, wanted: Float32Array, what: string, tolerance: number): void {
  assert.equal(got.length, wanted.length, what);
  for (let at = 0; at < got.length; at++) {
    const allowed = tolerance * (1 + Math.abs(wanted[at]!));
    assert.ok(Math.abs(got[at]! - wanted[at]!) <= allowed, `${what}, entry ${at}: ${got[at]} for ${wanted[at]}`);
  }
}

test("model and hook are read from what stands beside the weights, and a person's word is taken where they don't say", async () => {
  const { sae } = await openSae(saes("dictionary_learning", "AutoEncoderTopK"));
  assert.equal(sae.config.metadata.model_name, "EleutherAI/pythia-160m-deduped");
  assert.equal(sae.config.metadata.hook_name, "blocks.4.hook_resid_post");
  assert.equal(sae.config.metadata.context_size, 128);
  const gemma = await openSae(saes("gemma_scope", "gemma_scope_2_resid_post_layer_12_width_128_l0_medium"));
  assert.equal(gemma.sae.config.metadata.hook_name, "blocks.12.hook_resid_post");
  const said = await openSae(saes("openai", "topk"), { hook_name: "blocks.3.hook_mlp_out" });
  assert.equal(said.sae.config.metadata.hook_name, "blocks.3.hook_mlp_out");
  const overruled = await openSae(saes("dictionary_learning", "AutoEncoderTopK"), {
    hook_name: "blocks.3.hook_mlp_out",
    model_name: "gpt2",
  });
  assert.equal(overruled.sae.config.metadata.hook_name, "blocks.4.hook_resid_post");
  assert.equal(overruled.sae.config.metadata.model_name, "EleutherAI/pythia-160m-deduped");
});

test("a matryoshka keeps its groups, as widths from the first feature on", async () => {
  const { config } = (await openSae(saes("dictionary_learning", "MatryoshkaBatchTopKSAE"))).sae;
  assert.equal(config.architecture, "jumprelu");
  assert.deepEqual(trainedWidths(config), [16, 48, 128]);
  assert.deepEqual(config.metadata["training_architecture_details"], {
    k: 8,
    matryoshka_widths: [16, 48, 128],
    group_weights: [1 / 3, 1 / 3, 1 / 3],
  });
  const batchtopk = (await openSae(saes("dictionary_learning", "BatchTopKSAE"))).sae;
  assert.equal(trainedWidths(batchtopk.config), null);
});

test("transcoders and skips are read as what they are, and are not for ensembles", async () => {
  const transcoder = (await openSae(saes("sparsify", "topk_skip_transcode"))).sae;
  assert.equal(transcoder.config.d_out, 32);
  assert.match(notForEnsembles(transcoder)!, /transcoder/);
  assert.match(notForEnsembles((await openSae(saes("sparsify", "topk_skip"))).sae)!, /skip connection/);
  assert.match(notForEnsembles((await openSae(saes("sparsify", "groupmax"))).sae)!, /groupmax/);
  assert.equal(notForEnsembles((await openSae(saes("sparsify", "topk"))).sae), null);
});

test("a file, its folder and its configuration mean the same", async () => {
  const folder = saes("sparsify", "topk");
  const byFolder = await openSae(folder);
  for (const name of ["sae.safetensors", "cfg.json"]) {
    assert.deepEqual((await openSae(join(folder, name))).sae, byFolder.sae);
  }
});

test("sparsify's folders are named after modules, whose outputs are hooks, or none", async () => {
  const folder = temporaryFolder();
  for (const [module, hook] of [
    ["layers.3", "blocks.3.hook_resid_post"],
    ["gpt_neox.layers.3.mlp", "blocks.3.hook_mlp_out"],
    ["h.3.attn", "blocks.3.hook_attn_out"],
    ["layers.3.mlp.act", "blocks.3.mlp.hook_post"],
    ["layers.3.mlp.act_fn", undefined],
    ["layers.3.self_attn.o_proj", undefined],
  ] as const) {
    await cp(saes("sparsify", "topk"), join(folder, module), { recursive: true });
    assert.equal((await openSae(join(folder, module))).sae.config.metadata.hook_name, hook, module);
  }
});

async function refused(path: string, message: RegExp, options = {}): Promise<void> {
  await assert.rejects(openSae(path, options), (error: unknown) => {
    assert.ok(error instanceof InputError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

test("what isn't an SAE, or can't be known, is refused with what there is", async () => {
  const folder = temporaryFolder();
  await refused(join(folder, "nowhere"), /no such file or folder/);
  await refused(folder, /found nothing, expected a folder with an SAE's weights/);
  await refused(saes("sparsify"), /MANIFEST\.json/);
  await refused(saes("hostile", "control_ok.pt"), /the tensors encoder\.weight/);
  await refused(saes("hostile", "pt_memo_index_lie.pt"), /no tensors/);
  await refused(saes("hostile", "pt_self_reference.pt"), /no tensors, among self/);
  await refused(saes("hostile", "cfg_claims_too_much"), /W_enc|tensor/);
  await refused(
    saes("hostile", "st_nan_and_inf.safetensors"),
    /tensor W_enc: found 2 values that are not finite, the first \(.*\) at 5/,
  );
  await refused(saes("dictionary_learning", "wrappings", "plain.pt"), /dict_class: found GatedAutoEncoder/, {
    dict_class: "GatedAutoEncoder",
  });
});

test("values that are no numbers are counted and placed", async () => {
  const folder = temporaryFolder();
  const weights = new Float32Array(8).fill(0.5);
  weights.set([Number.NaN, Number.POSITIVE_INFINITY], 5);
  const vector = (n: number) => ({ shape: [n], data: new Float32Array(n) });
  const file = join(folder, "odd.safetensors");
  const W_dec = { shape: [4, 2], data: new Float32Array(8).fill(1) };
  const b = { b_enc: vector(4), b_dec: vector(2), threshold: vector(4) };
  await writeSafetensors(file, { W_enc: { shape: [2, 4], data: weights }, W_dec, ...b });
  await refused(file, /tensor W_enc: found 2 values that are not finite, the first \(NaN\) at 5/);
});

test("a lost threshold is caught by name", async () => {
  const folder = temporaryFolder();
  const source = await readSafetensors(
    saes("gemma_scope", "gemma_scope_2_resid_post_layer_12_width_128_l0_medium", "params.safetensors"),
  );
  const kept = [...source.tensors].filter(([name]) => name !== "threshold");
  const tensors = await Promise.all(
    kept.map(async ([name, { shape }]) => [name, { shape, data: await tensorFloat32(source, name) }] as const),
  );
  await writeSafetensors(join(folder, "params.safetensors"), new Map(tensors));
  await refused(folder, /no tensor threshold.*every positive feature would fire/);
});

test("a batchtopk of any kind without its threshold is read as its package reads it, with a word about its L0", async () => {
  const folder = temporaryFolder();
  const tensors = {
    W_enc: { shape: [4, 8], data: new Float32Array(32).fill(0.1) },
    W_dec: { shape: [8, 4], data: new Float32Array(32).fill(0.1) },
    b_enc: { shape: [8], data: new Float32Array(8) },
    b_dec: { shape: [4], data: new Float32Array(4) },
    group_sizes: { shape: [2], data: Int32Array.of(2, 6) },
  };
  const file = join(folder, "matryoshka.safetensors");
  await writeSafetensors(file, tensors);
  const { layout, sae, warnings } = await openSae(file);
  assert.equal(layout, "dictionary_learning, MatryoshkaBatchTopKSAE");
  assert.equal(sae.config.architecture, "standard");
  assert.match(warnings.join(), /its threshold is missing: every positive feature fires/);
});

test("a threshold of all features that is no number is refused by name", async () => {
  const folder = temporaryFolder();
  const linear = {
    "encoder.weight": { shape: [8, 4], data: new Float32Array(32).fill(0.1) },
    "encoder.bias": { shape: [8], data: new Float32Array(8) },
    "decoder.weight": { shape: [4, 8], data: new Float32Array(32).fill(0.1) },
    b_dec: { shape: [4], data: new Float32Array(4) },
    k: { shape: [], data: Int32Array.of(2) },
  };
  const file = join(folder, "batchtopk.safetensors");
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await writeSafetensors(file, { ...linear, threshold: { shape: [], data: Float32Array.of(value) } });
    for (const options of [{}, { dict_class: "BatchTopKSAE" }]) {
      await refused(file, /tensor threshold: found 1 value that is not finite/, options);
    }
  }
  const bare = join(folder, "bare.safetensors");
  const { W_enc, W_dec, b_enc } = {
    W_enc: { shape: [4, 8], data: new Float32Array(32).fill(0.1) },
    W_dec: { shape: [8, 4], data: new Float32Array(32).fill(0.1) },
    b_enc: { shape: [8], data: new Float32Array(8) },
  };
  const threshold = { shape: [1], data: Float32Array.of(Number.NaN) };
  await writeSafetensors(bare, { W_enc, W_dec, b_enc, b_dec: linear.b_dec, threshold });
  await refused(bare, /tensor threshold: found 1 value that is not finite/, { architecture: "jumprelu" });
});

test("an encoder stored the other way round is turned, by the lengths of the biases", async () => {
  const folder = temporaryFolder();
  const source = saes("sparsify", "topk");
  const file = await readSafetensors(join(source, "sae.safetensors"));
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, { shape }] of file.tensors) tensors.set(name, { shape, data: await tensorFloat32(file, name) });
  const { shape, data } = tensors.get("encoder.weight")!;
  const [F, d] = shape as [number, number];
  const turned = Float32Array.from(data, (_, at) => data[(at % F) * d + Math.floor(at / F)]!);
  tensors.set("encoder.weight", { shape: [d, F], data: turned });
  await writeSafetensors(join(folder, "sae.safetensors"), tensors);
  await copyFile(join(source, "cfg.json"), join(folder, "cfg.json"));
  await assertGives((await openSae(folder)).sae, "sparsify/topk");
});

test("a state dict of unknown layout needs its selection said, and is then used with a warning", async () => {
  const folder = temporaryFolder();
  const source = await readSafetensors(saes("sae_lens", "topk", "sae_weights.safetensors"));
  const names = {
    W_enc: "encoder_weights",
    W_dec: "decoder_weights",
    b_enc: "encoder_bias",
    b_dec: "pre_bias",
  } as const;
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, other] of Object.entries(names)) {
    tensors.set(other, { shape: tensorEntryOf(source, name).shape, data: await tensorFloat32(source, name) });
  }
  const file = join(folder, "someone.safetensors");
  await writeSafetensors(file, tensors);
  await refused(file, /doesn't say how its features are selected/);
  await refused(file, /k: found nothing/, { architecture: "topk" });
  const opened = await openSae(file, { architecture: "topk", k: 8 });
  await assertGives(opened.sae, "sae_lens/topk");
  assert.match(opened.warnings[0]!, /read as topk with k 8/);
});

test("where a file doesn't say how it selects, the error says what to ask", async () => {
  const file = join(temporaryFolder(), "someone.safetensors");
  const square = { shape: [4, 4], data: new Float32Array(16).fill(0.5) };
  const vector = { shape: [4], data: new Float32Array(4) };
  await writeSafetensors(file, { W_enc: square, W_dec: square, b_enc: vector, b_dec: vector });
  const asks = (options: OpenOptions, ask: string) =>
    assert.rejects(openSae(file, options), (error: unknown) => error instanceof Unsaid && error.ask === ask);
  await asks({}, "architecture");
  await asks({ architecture: "topk" }, "k");
  assert.equal((await openSae(file, { architecture: "topk", k: 2 })).sae.config.k, 2);
  await refused(file, /k: found 5, expected a whole number from 1 to 4/, { architecture: "topk", k: 5 });
});

test("what is said of a bare state dict doesn't change one whose configuration names its class", async () => {
  const { sae, layout } = await openSae(saes("dictionary_learning", "JumpReluAutoEncoder"), {
    architecture: "topk",
    k: 3,
  });
  assert.equal(layout, "dictionary_learning, JumpReluAutoEncoder");
  await assertGives(sae, "dictionary_learning/JumpReluAutoEncoder");
});

/** A small SAE's tensors under names that others use as well. */
async function written(names: Readonly<Record<keyof typeof small, string>>, more: Tensors = {}): Promise<string> {
  const file = join(temporaryFolder(), "stranger.safetensors");
  const tensors = Object.entries(names).map(([key, name]) => [name, small[key as keyof typeof small]]);
  await writeSafetensors(file, { ...Object.fromEntries(tensors), ...more });
  return file;
}
type Tensors = Readonly<Record<string, { shape: readonly number[]; data: Float32Array }>>;
const filled = (...shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(0.5) });
const small = { W_enc: filled(3, 6), b_enc: filled(6), W_dec: filled(6, 3), b_dec: filled(3) };
const parameters = { W_enc: "W_enc", b_enc: "b_enc", W_dec: "W_dec", b_dec: "b_dec" };
const linear = { W_enc: "encoder.weight", b_enc: "encoder.bias", W_dec: "decoder.weight", b_dec: "decoder.bias" };

test("a class that the names of tensors alone tell is said, with its selection and what b_dec does; one that is said is not", async () => {
  const threshold = filled(6);
  const cases: [string, RegExp][] = [
    [
      await written(parameters, { threshold }),
      /nothing names its class: read as .* JumpReluAutoEncoder.*\(jumprelu, b_dec added to the output only\)/,
    ],
    [await written(linear), /read as .* AutoEncoderNew.*\(standard, b_dec added to the output only\)/],
    [
      await written({ ...linear, b_dec: "bias" }),
      /read as .* AutoEncoder,.*\(standard, b_dec subtracted from the input\)/,
    ],
  ];
  for (const [file, warning] of cases) {
    const { warnings, layout } = await openSae(file);
    assert.match(warnings.join("; "), warning);
    assert.deepEqual((await openSae(file, { dict_class: layout.split(", ")[1]! })).warnings, []);
  }
  const { sae } = await openSae(cases[0]![0], { architecture: "jumprelu" });
  assert.equal(sae.config.apply_b_dec_to_input, true);
});

test("of two classes with the same tensors one is assumed with a word, and a person can be asked", async () => {
  const file = await written({ ...linear, b_dec: "b_dec" });
  const assumed = await openSae(file, { k: 2 });
  assert.equal(assumed.asks, "dict_class");
  assert.match(assumed.warnings.join(), /read as AutoEncoderTopK \(topk with k 2, b_dec subtracted from the input\)/);
  for (const dict_class of ["AutoEncoderTopK", "BatchTopKSAE"]) {
    const { asks, layout, warnings } = await openSae(file, { k: 2, dict_class });
    assert.deepEqual([asks, layout], [undefined, `dictionary_learning, ${dict_class}`]);
    assert.doesNotMatch(warnings.join(), /nothing says/);
  }
  // What a configuration names is not asked for, and a word on others doesn't change it.
  const { layout } = await openSae(saes("dictionary_learning", "JumpReluAutoEncoder"), { dict_class: "BatchTopKSAE" });
  assert.equal(layout, "dictionary_learning, JumpReluAutoEncoder");
});

test("a cfg.json of SAELens' beside the weights is read whatever their file is called", async () => {
  for (const name of ["standard", "topk", "jumprelu", "gated", "batchtopk_training_checkpoint"]) {
    const folder = temporaryFolder();
    const file = join(folder, "layer12.safetensors");
    await copyFile(saes("sae_lens", name, "cfg.json"), join(folder, "cfg.json"));
    await copyFile(saes("sae_lens", name, "sae_weights.safetensors"), file);
    const { sae, layout, path } = await openSae(file);
    assert.deepEqual(sae, (await openSae(saes("sae_lens", name))).sae);
    assert.deepEqual([layout, path], ["SAELens", file]);
    assert.deepEqual((await openSae(folder)).sae, sae);
  }
});

test("what SAELens says of a state dict in its wrap is what it is read by", async () => {
  const file = join(temporaryFolder(), "wrapped.pt");
  const state_dict = { ...small, threshold: filled(6) };
  const write = (cfg: Pickled, tensors: Pickled = state_dict) =>
    writeFile(file, savedByTorch({ state_dict: tensors, cfg }));
  const cfg = {
    architecture: "jumprelu",
    d_in: 3,
    d_sae: 6,
    hook_point: "blocks.5.hook_resid_pre",
    model_name: "gpt2",
  };
  for (const apply_b_dec_to_input of [true, false]) {
    await write({ ...cfg, apply_b_dec_to_input });
    const { sae, layout, warnings } = await openSae(file);
    assert.deepEqual([layout, warnings], ["SAELens, in a state dict", []]);
    assert.equal(sae.config.architecture, "jumprelu");
    assert.equal(sae.config.apply_b_dec_to_input, apply_b_dec_to_input);
    assert.equal(sae.config.metadata.hook_name, "blocks.5.hook_resid_pre");
    assert.equal(sae.config.metadata.model_name, "gpt2");
  }
  await write(cfg);
  assert.equal((await openSae(file)).sae.config.apply_b_dec_to_input, true, "SAELens' default");
  await write({ ...cfg, architecture: "standard" });
  await refused(file, /tensor threshold: found one that .*\(standard\) doesn't use/);
  await write({ ...cfg, architecture: "crosscoder" });
  await refused(file, /architecture: found crosscoder/);
  await write({ ...cfg, d_sae: 7 });
  await refused(file, /d_sae: found 7 by the configuration, expected 6, as the weights have/);
  await write({ architecture: "topk", activation_fn_str: "topk", activation_fn_kwargs: { k: 2 } }, small);
  assert.deepEqual((await openSae(file)).sae.config.k, 2);

  // Tensors of other names: what the wrap says goes before what the names alone would be taken for.
  const layers = Object.fromEntries(
    Object.entries(linear).map(([key, name]) => [name, small[key as keyof typeof small]]),
  );
  await write({ k: 2, hook_name: "blocks.5.hook_resid_pre" }, layers);
  const { sae, warnings } = await openSae(file);
  assert.deepEqual([sae.config.architecture, sae.config.k], ["topk", 2]);
  assert.equal(sae.config.metadata.hook_name, "blocks.5.hook_resid_pre");
  assert.match(warnings.join(), /read as topk with k 2, b_dec \(decoder\.bias\) subtracted from the input/);
  await write({ architecture: "standard", apply_b_dec_to_input: false }, layers);
  assert.equal((await openSae(file)).sae.config.apply_b_dec_to_input, false);
  await write({ architecture: "gated" }, layers);
  await refused(file, /architecture: found gated, expected standard, topk or jumprelu/);
  await write({ architecture: "standard", normalize_activations: "layer_norm" }, layers);
  await refused(file, /normalize_activations: found layer_norm, expected none/);
});

test("an autoencoder of OpenAI's without its activation is read as their package does, with a word, or as a person says", async () => {
  const file = join(temporaryFolder(), "converted.safetensors");
  const W = { shape: [4, 2], data: new Float32Array(8).fill(0.5) };
  const tensors = {
    pre_bias: { shape: [2], data: new Float32Array(2) },
    latent_bias: { shape: [4], data: new Float32Array(4) },
    "encoder.weight": W,
    "decoder.weight": { ...W, shape: [2, 4] },
  };
  await writeSafetensors(file, tensors);
  const { sae, warnings } = await openSae(file);
  assert.equal(sae.config.architecture, "standard");
  assert.match(warnings.join(), /nothing says its activation: read as ReLU/);
  const said = await openSae(file, { architecture: "topk", k: 2 });
  assert.deepEqual([said.sae.config.architecture, said.sae.config.normalize_activations], ["topk", "layer_norm"]);
});

test("a crosscoder is refused as one", async () => {
  const file = join(temporaryFolder(), "crosscoder.safetensors");
  await writeSafetensors(file, {
    "encoder.weight": { shape: [2, 4, 8], data: new Float32Array(64) },
    "encoder.bias": { shape: [8], data: new Float32Array(8) },
    "decoder.weight": { shape: [2, 8, 4], data: new Float32Array(64) },
    "decoder.bias": { shape: [2, 4], data: new Float32Array(8) },
  });
  await refused(file, /tensor encoder\.weight: found shape \[2,4,8\]: a crosscoder/);
});

/** A trained SAE's like, as wide as its input: shapes don't tell which way round its matrices lie. */
function squareSae(): Sae {
  const d = 24;
  const random = SeededRandom.derive(5, "square");
  const W_enc = Float32Array.from({ length: d * d }, () => random.normal());
  const vector = (value: number) => new Float32Array(d).fill(value);
  const config: SaeConfig = {
    architecture: "jumprelu",
    d_in: d,
    d_sae: d,
    apply_b_dec_to_input: false,
    normalize_activations: "none",
    dtype: "float32",
    metadata: {},
  };
  const W_dec = W_enc.map((value) => 0.7 * value + 0.3 * random.normal());
  return { config, weights: { W_enc, W_dec, b_enc: vector(0.1), b_dec: vector(0.2), threshold: vector(0.05) } };
}

const turned = (values: Float32Array): Float32Array => {
  const d = Math.sqrt(values.length);
  return values.map((_, at) => values[(at % d) * d + Math.floor(at / d)]!);
};

/** How each layout stores [F, d] rows, by its own word. */
const layouts: Record<string, (sae: Sae, folder: string) => Promise<string>> = {
  SAELens: async (sae, folder) => {
    await saveSae(folder, sae);
    return folder;
  },
  "Gemma Scope 2": async ({ weights }, folder) => {
    const { W_enc, W_dec, b_enc, b_dec, threshold } = weights;
    const file = join(folder, "params.safetensors");
    await writeSafetensors(file, {
      w_enc: matrix(turned(W_enc)),
      w_dec: matrix(W_dec),
      ...vectors({ b_enc: b_enc!, b_dec, threshold: threshold! }),
    });
    return file;
  },
  "dictionary_learning, linear layers": async ({ weights }, folder) => {
    const { W_enc, W_dec, b_enc, b_dec } = weights;
    const file = join(folder, "ae.safetensors");
    const biases = vectors({ "encoder.bias": b_enc!, "decoder.bias": b_dec });
    await writeSafetensors(file, {
      "encoder.weight": matrix(W_enc),
      "decoder.weight": matrix(turned(W_dec)),
      ...biases,
    });
    return file;
  },
  "dictionary_learning, parameters": async ({ weights }, folder) => {
    const { W_enc, W_dec, b_enc, b_dec, threshold } = weights;
    const file = join(folder, "ae.safetensors");
    await writeSafetensors(file, {
      W_enc: matrix(turned(W_enc)),
      W_dec: matrix(W_dec),
      ...vectors({ b_enc: b_enc!, b_dec, threshold: threshold! }),
    });
    return file;
  },
  sparsify: async ({ weights, config }, folder) => {
    const { W_enc, W_dec, b_enc, b_dec } = weights;
    await writeFile(join(folder, "cfg.json"), JSON.stringify({ k: 4, d_in: config.d_in, num_latents: config.d_sae }));
    const biases = vectors({ "encoder.bias": b_enc!, b_dec });
    await writeSafetensors(join(folder, "sae.safetensors"), {
      "encoder.weight": matrix(W_enc),
      W_dec: matrix(W_dec),
      ...biases,
    });
    return folder;
  },
  "OpenAI sparse_autoencoder": async ({ weights }, folder) => {
    const { W_enc, W_dec, b_enc, b_dec } = weights;
    const file = join(folder, "autoencoder.safetensors");
    const biases = vectors({ pre_bias: b_dec, latent_bias: b_enc! });
    await writeSafetensors(file, {
      "encoder.weight": matrix(W_enc),
      "decoder.weight": matrix(turned(W_dec)),
      ...biases,
    });
    return file;
  },
};

function matrix(data: Float32Array) {
  const d = Math.sqrt(data.length);
  return { shape: [d, d], data };
}

function vectors(named: Readonly<Record<string, Float32Array>>) {
  return Object.fromEntries(Object.entries(named).map(([name, data]) => [name, { shape: [data.length], data }]));
}

for (const [layout, write] of Object.entries(layouts)) {
  test(`${layout}: a square SAE is read by the layout's word, and a turned matrix of it is caught by name`, async () => {
    const sae = squareSae();
    const { W_enc, W_dec } = sae.weights;
    const open = async (change: Partial<SaeWeights>) =>
      openSae(await write({ ...sae, weights: { ...sae.weights, ...change } }, temporaryFolder()));
    const right = await open({});
    // Some layouts fold norms: what must hold is the direction of every row.
    assert.ok(meanCosine(right.sae.weights.W_enc, W_enc) > 0.999);
    assert.ok(meanCosine(right.sae.weights.W_dec, W_dec) > 0.999);
    assert.doesNotMatch(right.warnings.join(), /stored the other way round/);
    for (const [name, change] of [
      ["W_enc", { W_enc: turned(W_enc) }],
      ["W_dec", { W_dec: turned(W_dec) }],
    ] as const) {
      const { warnings } = await open(change);
      assert.match(warnings.join("; "), new RegExp(`${name} seems to be stored the other way round`));
    }
  });
}

/** Of rows of the same place. */
function meanCosine(a: Float32Array, b: Float32Array): number {
  const d = Math.sqrt(a.length);
  let sum = 0;
  for (let row = 0; row < d; row++) {
    const [x, y] = [a, b].map((values) => values.subarray(row * d, (row + 1) * d)) as [Float32Array, Float32Array];
    const product = (u: Float32Array, v: Float32Array) => u.reduce((total, value, j) => total + value * v[j]!, 0);
    sum += product(x, y) / Math.sqrt(product(x, x) * product(y, y));
  }
  return sum / d;
}

test("configurations that contradict the weights are refused", async () => {
  const folder = join(temporaryFolder(), "sae");
  mkdirSync(folder);
  const source = saes("dictionary_learning", "AutoEncoderTopK");
  await copyFile(join(source, "ae.pt"), join(folder, "ae.pt"));
  const config = JSON.parse(await readFile(join(source, "config.json"), "utf8"));
  config.trainer.dict_size = 64;
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await refused(folder, /dict_size 128 by the weights, 64 by the configuration/);
  await writeFile(join(folder, "config.json"), "{");
  await refused(folder, /config\.json: found .*JSON/);
});

test("a skip connection of sparsify's that its configuration doesn't speak of, or that is missing, is refused", async () => {
  const folder = join(temporaryFolder(), "sae");
  const change = async (name: string, skip_connection: boolean) => {
    cpSync(saes("sparsify", name), folder, { recursive: true });
    const config = JSON.parse(await readFile(join(folder, "cfg.json"), "utf8"));
    await writeFile(join(folder, "cfg.json"), JSON.stringify({ ...config, skip_connection }));
  };
  await change("topk_skip", false);
  await refused(folder, /cfg\.json, skip_connection: found false, beside a tensor W_skip/);
  await change("topk", true);
  await refused(folder, /no tensor W_skip/);
});

const strangers = sharedData("saes");
test("checkpoints of strangers load", { skip: strangers.skip }, async () => {
  const at = (name: string) => join(strangers.path, name);
  for (const name of ["tinystories-1semele/ae1.pt", "tinystories-1semele/ae2.pt"]) {
    const { layout, sae } = await openSae(at(name));
    assert.match(layout, /dictionary_learning, AutoEncoder$/);
    assert.equal(sae.config.architecture, "standard");
  }
  const list = await openSae(at("listcomp/sae_d100_k4_50ksteps_2layer_100dig_64d.pt"));
  assert.match(list.layout, /BatchTopKSAE/);
  assert.match(list.warnings.join("; "), /act_mean stands beside the SAE.*BatchTopKSAE or an AutoEncoderTopK/);
  for (const F of [128, 512, 1024]) {
    const { sae } = await openSae(at(`tinystories-prestoj/sae_${F}_4.pt`), { architecture: "topk", k: 4 });
    assert.deepEqual([sae.config.d_in, sae.config.d_sae], [64, F]);
  }
  await refused(at("listcomp/2layer_100dig_64d.pt"), /the tensors embed\.W_E/);
});
