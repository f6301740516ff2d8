// Gemma Scope beyond the plain SAEs of openSae.test.ts: skip connections, and transcoders, which have an SAE's shapes and are told by what their files and folders say.
import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { InputError } from "../../../src/formats/inputError.ts";
import { readSafetensors, tensorEntryOf, tensorFloat32, writeSafetensors } from "../../../src/formats/safetensors.ts";
import { decode, encode } from "../../../src/sae/encode.ts";
import { openSae } from "../../../src/sae/openSae.ts";
import { notForEnsembles } from "../../../src/sae/sae.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const folder = temporaryFolder();
const saes = (...path: string[]) => golden("saes", ...path);

interface Change {
  readonly config?: object | null;
  /** Turned into the tensor that is written. */
  readonly skip?: (affine: Float32Array) => { shape: number[]; data: Float32Array } | null;
}

/** SAELens' golden skip transcoder, in the files of Gemma Scope 2. */
async function asGemmaScope(name: string, { config, skip }: Change = {}): Promise<string> {
  const file = await readSafetensors(saes("sae_lens", "jumprelu_skip_transcoder", "sae_weights.safetensors"));
  const [d_out, d_in] = tensorEntryOf(file, "W_skip").shape as [number, number];
  const W_skip = await tensorFloat32(file, "W_skip");
  const affine = new Float32Array(W_skip.length);
  for (let i = 0; i < d_in; i++) for (let o = 0; o < d_out; o++) affine[i * d_out + o] = W_skip[o * d_in + i]!;
  const tensors: Record<string, { shape: number[]; data: Float32Array }> = {};
  for (const own of ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"]) {
    const written = own.startsWith("W") ? own.toLowerCase() : own;
    tensors[written] = { shape: [...tensorEntryOf(file, own).shape], data: await tensorFloat32(file, own) };
  }
  const tensor = skip ? skip(affine) : { shape: [d_in, d_out], data: affine };
  if (tensor) tensors["affine_skip_connection"] = tensor;
  const to = join(folder, name);
  mkdirSync(to, { recursive: true });
  await writeSafetensors(join(to, "params.safetensors"), tensors);
  if (config !== null) {
    const said = {
      architecture: "jump_relu",
      type: "transcoder",
      model_name: "gemma-v3-1b-pt",
      affine_connection: true,
      hf_hook_point_in: "model.layers.3.pre_feedforward_layernorm.output",
      hf_hook_point_out: "model.layers.3.post_feedforward_layernorm.output",
    };
    writeFileSync(join(to, "config.json"), JSON.stringify({ ...said, ...config }));
  }
  return to;
}

test("affine_skip_connection is SAELens' W_skip, turned: the golden skip transcoder's codes and reconstruction", async () => {
  const { sae, layout } = await openSae(await asGemmaScope("skip"));
  assert.equal(layout, "Gemma Scope 2, transcoder");
  assert.equal(sae.config.metadata.model_name, "gemma-3-1b-pt");
  assert.equal(sae.config.metadata.hook_name, undefined, "it reads another hook than it writes");
  assert.match(notForEnsembles(sae)!, /transcoder/);
  const io = await readSafetensors(saes("sae_lens", "jumprelu_skip_transcoder", "io.safetensors"));
  const rows = tensorEntryOf(io, "x").shape[0]!;
  const x = await tensorFloat32(io, "x");
  const codes = encode(sae, x, rows);
  const result = { codes, reconstruction: decode(sae, codes, rows, x) };
  for (const name of ["codes", "reconstruction"] as const) {
    const wanted = await tensorFloat32(io, name);
    assert.equal(result[name].length, wanted.length);
    for (const [at, value] of wanted.entries())
      assert.ok(Math.abs(result[name][at]! - value) <= 1e-5 + 1e-5 * Math.abs(value), `${name} ${at}`);
  }
});

test("a skip connection that is lost, of another shape, or no number is refused by name", async () => {
  const cases: [string, Change, RegExp][] = [
    ["lost", { skip: () => null }, /no tensor affine_skip_connection, expected .*affine_connection/],
    ["short", { skip: (data) => ({ shape: [data.length], data }) }, /affine_skip_connection.*shape/],
    [
      "endless",
      { skip: (data) => ({ shape: [32, data.length / 32], data: data.fill(Number.POSITIVE_INFINITY) }) },
      /affine_skip_connection/,
    ],
  ];
  for (const [name, change, message] of cases) {
    const path = await asGemmaScope(name, change);
    await assert.rejects(openSae(path), (error) => error instanceof InputError && message.test(error.message), name);
  }
});

test("a square transcoder is one by its type, by its two hooks, or by its folder's name", async () => {
  const square = saes("gemma_scope", "layer_12", "width_128", "average_l0_40", "params.npz");
  const copied = async (path: string, config?: object) => {
    const to = join(folder, ...path.split("/"));
    cpSync(square, join(to, "params.npz"));
    if (config) writeFileSync(join(to, "config.json"), JSON.stringify(config));
    return (await openSae(to)).sae;
  };
  const [read, written] = ["pre_feedforward_layernorm", "post_feedforward_layernorm"].map(
    (name) => `model.layers.3.${name}.output`,
  );
  const transcoders = [
    await copied("a/typed", { type: "transcoder" }),
    await copied("b/hooked", { hf_hook_point_in: read, hf_hook_point_out: written }),
    await copied("models--google--gemma-scope-2b-pt-transcoders/snapshots/c0ffee/layer_3/width_128"),
    await copied("models--google--gemma-scope-2-1b-pt/snapshots/c0ffee/transcoder_all/layer_3_width_128_l0_small"),
  ];
  for (const { config, ...rest } of transcoders) {
    assert.equal(config.d_out, 32);
    assert.match(notForEnsembles({ config, ...rest })!, /transcoder/);
    assert.equal(config.metadata.hook_name, undefined);
  }
  // A folder of a person's, in which transcoders lie as well, decides nothing.
  const sae = await copied("transcoders/mine/gemma-scope-9b-it-res/layer_9/width_128/average_l0_40");
  assert.equal(sae.config.d_out, undefined);
  assert.deepEqual(sae.config.metadata, { model_name: "google/gemma-2-9b-it", hook_name: "blocks.9.hook_resid_post" });
});

test("Gemma Scope 2's configuration names the module whose values are read", async () => {
  const source = saes("gemma_scope", "gemma_scope_2_resid_post_layer_12_width_128_l0_medium");
  for (const [part, hook] of [
    ["output", "blocks.3.hook_resid_post"],
    ["post_feedforward_layernorm.output", "blocks.3.hook_mlp_out"],
    ["self_attn.o_proj.input", "blocks.3.attn.hook_z"],
    ["post_attention_layernorm.output", undefined],
  ] as const) {
    const to = join(folder, "modules", part);
    cpSync(join(source, "params.safetensors"), join(to, "params.safetensors"));
    const config = { hf_hook_point_in: `model.layers.3.${part}`, hf_hook_point_out: `model.layers.3.${part}` };
    writeFileSync(join(to, "config.json"), JSON.stringify(config));
    assert.equal((await openSae(to)).sae.config.metadata.hook_name, hook, part);
  }
});

test("model and hook stand in the names of repository and folder", async () => {
  const square = saes("gemma_scope", "gemma_scope_2_resid_post_layer_12_width_128_l0_medium", "params.safetensors");
  const cases: [string, string, string | undefined][] = [
    ["gemma-scope-2b-pt-res/layer_20/width_16k", "google/gemma-2-2b", "blocks.20.hook_resid_post"],
    ["gemma-scope-2b-pt-mlp/layer_20/width_16k", "google/gemma-2-2b", "blocks.20.hook_mlp_out"],
    ["gemma-scope-2b-pt-att/layer_20/width_16k", "google/gemma-2-2b", "blocks.20.attn.hook_z"],
    ["gemma-scope-2-1b-pt/resid_post/layer_13_width_16k_l0_big", "google/gemma-3-1b-pt", "blocks.13.hook_resid_post"],
    ["gemma-scope-2-270m-pt/mlp_out_all/layer_7_width_16k", "google/gemma-3-270m", "blocks.7.hook_mlp_out"],
    ["gemma-scope-2-4b-it/attn_out/layer_7_width_16k", "google/gemma-3-4b-it", "blocks.7.attn.hook_z"],
  ];
  for (const [path, model_name, hook_name] of cases) {
    const to = join(folder, "named", `models--google--${path}`, "params.safetensors");
    cpSync(square, to);
    const { metadata } = (await openSae(to)).sae.config;
    assert.deepEqual([metadata.model_name, metadata.hook_name], [model_name, hook_name], path);
  }
});
