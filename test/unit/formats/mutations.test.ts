// Damaged files by the thousand, weights and configurations, the same ones every time: a reader either refuses with an InputError or, where the format has checksums, gives what the whole file gives. MUTATIONS says how many a format (10,000 for the full run).
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { ggufFloat32, readGguf } from "../../../src/formats/gguf.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readNpz } from "../../../src/formats/npz.ts";
import { readOnnx } from "../../../src/formats/onnxFile.ts";
import {
  BYTES_PER_ELEMENT,
  type Dtype,
  readSafetensors,
  type TensorSource,
  tensorBytes,
  tensorFloat32,
  writeSafetensors,
} from "../../../src/formats/safetensors.ts";
import { readTorch, TorchTensor } from "../../../src/formats/torch.ts";
import { encode } from "../../../src/sae/encode.ts";
import { loadEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { openSae } from "../../../src/sae/openSae.ts";
import type { Sae } from "../../../src/sae/sae.ts";
import { loadSae, saveSae } from "../../../src/sae/saeLensFolder.ts";
import { architectures, asTrained, randomSae } from "../engine/randomCases.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const count = Number(process.env["MUTATIONS"] ?? 300);
const folder = temporaryFolder();
const saes = (...path: string[]) => golden("saes", ...path);

const formats: { name: string; path: string; checksums: boolean; header?: number }[] = [
  { name: "torch zip", path: saes("dictionary_learning", "wrappings", "plain.pt"), checksums: true },
  {
    name: "torch zip, wrapped",
    path: saes("dictionary_learning", "wrappings", "state_dict_and_cfg.pt"),
    checksums: true,
  },
  { name: "torch before 1.6", path: saes("dictionary_learning", "wrappings", "legacy_not_zip.pt"), checksums: false },
  { name: "npz, stored", path: saes("hostile", "control_ok.npz"), checksums: true },
  {
    name: "npz, deflated",
    path: saes("gemma_scope", "layer_12", "width_128_compressed", "average_l0_40", "params.npz"),
    checksums: true,
  },
  { name: "safetensors", path: saes("hostile", "control_ok.safetensors"), checksums: false },
  { name: "safetensors of every type", path: golden("formats", "types.safetensors"), checksums: false, header: 1500 },
  { name: "GGUF", path: golden("formats", "types.gguf"), checksums: false, header: 1500 },
  { name: "ONNX", path: golden("models", "onnx", "llama.torch-dynamo.onnx"), checksums: false, header: 1500 },
];

/** Every tensor by its path of names. */
async function readAll(path: string): Promise<Map<string, Float32Array>> {
  const all = new Map<string, Float32Array>();
  if (extname(path) === ".gguf") {
    const file = await readGguf(path);
    for (const [name, { type }] of file.tensors) if (type.decode) all.set(name, await ggufFloat32(file, name));
  } else if (extname(path) === ".onnx") {
    const { graph } = await readOnnx(path);
    for (const { name } of graph.tensors) all.set(name, new Float32Array(0));
  } else if (extname(path) === ".npz") {
    const file = await readNpz(path);
    for (const name of file.tensors.keys()) all.set(name, await file.float32(name));
  } else if (extname(path) === ".safetensors") {
    const file = await readSafetensors(path);
    for (const [name, { dtype }] of file.tensors) {
      if (["F64", "F32", "F16", "BF16"].includes(dtype)) all.set(name, await tensorFloat32(file, name));
      else await tensorBytes(file, name);
    }
  } else {
    const file = await readTorch(path);
    const walk = async (value: unknown, name: string, depth: number): Promise<void> => {
      if (value instanceof TorchTensor) all.set(name, await file.float32(value));
      else if (value instanceof Map && depth < 3)
        for (const [key, inner] of value) await walk(inner, `${name}/${String(key)}`, depth + 1);
    };
    await walk(file.root, "", 0);
  }
  return all;
}

/**
 * One to three changes: bytes flipped or set, numbers made huge, parts cut out, doubled or put in, the end cut off. Half of them
 * within the header where one is named: most of what can go wrong stands there.
 */
function mutated(bytes: Buffer, random: SeededRandom, header = bytes.length): Buffer {
  let result = Buffer.from(bytes);
  for (let changes = 1 + random.integer(3); changes > 0 && result.length > 0; changes--) {
    const at = random.integer(random.integer(2) === 0 ? Math.min(header, result.length) : result.length);
    const length = Math.min(1 + random.integer(16), result.length - at);
    switch (random.integer(7)) {
      case 0:
        result[at]! ^= 1 << random.integer(8);
        break;
      case 1:
        result[at] = [0, 1, 0x7f, 0x80, 0xff][random.integer(5)]!;
        break;
      case 2:
        result.fill(0xff, at, at + length);
        break;
      case 3:
        result = result.subarray(0, at);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 5:
        result = Buffer.concat([result.subarray(0, at + length), result.subarray(at)]);
        break;
      default:
        result = Buffer.concat([
          result.subarray(0, at),
          Buffer.from(Array.from({ length }, () => random.integer(256))),
          result.subarray(at),
        ]);
    }
  }
  return result;
}

for (const { name, path, checksums, header } of formats) {
  test(`${name}: ${count} damaged files`, { timeout: 600_000 }, async () => {
    const bytes = readFileSync(path);
    const whole = await readAll(path);
    assert.ok(whole.size > 0);
    const random = SeededRandom.derive(9, name);
    const file = join(folder, `damaged${extname(path)}`);
    const before = process.memoryUsage.rss();
    let refused = 0;
    for (let i = 0; i < count; i++) {
      const damaged = mutated(bytes, random, header);
      writeFileSync(file, damaged);
      try {
        const read = await readAll(file);
        if (!checksums) continue;
        for (const [tensor, values] of read)
          assert.deepEqual(values, whole.get(tensor), `${name}, mutation ${i}, ${tensor}`);
      } catch (error) {
        if (!(error instanceof InputError)) {
          throw new Error(`${name}, mutation ${i}: ${(error as Error).stack}`);
        }
        refused++;
      }
    }
    assert.ok(refused > count / 4, `${refused} of ${count} refused`);
    assert.ok(process.memoryUsage.rss() - before < 256 << 20, "memory");
  });
}

/** What stands beside weights and says how they are used: a folder, its configuration, and how it is opened. */
const configurations: readonly {
  name: string;
  from: string;
  file: string;
  open: (folder: string) => Promise<Sae[]>;
}[] = [
  ...[
    ["SAELens", saes("sae_lens", "topk"), "cfg.json"],
    ["SAELens, gated", saes("sae_lens", "gated"), "cfg.json"],
    ["SAELens, a training checkpoint", saes("sae_lens", "batchtopk_training_checkpoint"), "cfg.json"],
    ["SAELens, a matryoshka", saes("sae_lens", "matryoshka_batchtopk_as_jumprelu"), "cfg.json"],
    ["SAELens before 6", saes("sae_lens", "legacy", "v5_topk_as_activation_fn"), "cfg.json"],
    ["sparsify", saes("sparsify", "topk"), "cfg.json"],
    ["dictionary_learning", saes("dictionary_learning", "AutoEncoderTopK"), "config.json"],
    ["Gemma Scope 2", saes("gemma_scope", "gemma_scope_2_resid_post_layer_12_width_128_l0_medium"), "config.json"],
  ].map(([name, from, file]) => ({
    name: name!,
    from: from!,
    file: file!,
    open: async (path: string) => [(await openSae(path)).sae],
  })),
  {
    name: "an ensemble",
    from: golden("evaluation", "bagging_a"),
    file: "ensemble.json",
    open: async (path) => [...(await loadEnsemble(path)).members],
  },
];

for (const { name, from, file, open } of configurations) {
  test(`${name}: ${count} damaged ${file}`, { timeout: 600_000 }, async () => {
    const to = join(folder, `configuration of ${name}`);
    cpSync(from, to, { recursive: true });
    const bytes = readFileSync(join(from, file));
    const shapes = (await open(to)).map(({ config: { d_in, d_sae } }) => [d_in, d_sae]);
    const random = SeededRandom.derive(10, name);
    const before = process.memoryUsage.rss();
    let refused = 0;
    for (let i = 0; i < count; i++) {
      writeFileSync(join(to, file), i % 3 === 0 ? mutatedNumbers(bytes, random) : mutated(bytes, random));
      try {
        // What the weights say is never overruled, and codes are numbers.
        const opened = await open(to);
        for (const [j, { config, weights }] of opened.entries()) {
          const { d_in, d_sae } = config;
          assert.deepEqual([d_in, d_sae], shapes[j], `${name}, mutation ${i}`);
          assert.equal(weights.W_enc.length, d_in * d_sae, `${name}, mutation ${i}`);
          const x = new Float32Array(d_in).fill(1);
          assert.ok(encode(opened[j]!, x, 1).every(Number.isFinite), `${name}, mutation ${i}`);
        }
      } catch (error) {
        if (!(error instanceof InputError)) throw new Error(`${name}, mutation ${i}: ${(error as Error).stack}`);
        refused++;
      }
    }
    assert.ok(refused > count / 4, `${refused} of ${count} refused`);
    assert.ok(process.memoryUsage.rss() - before < 256 << 20, "memory");
  });
}

/** One number of a JSON text made another: negative, fractional, huge, of another kind. */
function mutatedNumbers(bytes: Buffer, random: SeededRandom): string {
  const text = bytes.toString("utf8");
  const numbers = [...text.matchAll(/-?\d+(\.\d+)?/g)];
  const { index, 0: found } = numbers[random.integer(numbers.length)]!;
  const others = ["-1", "0", "1", "0.5", "1e9", "1e400", "9007199254740993", "null", '"8"', "[]", `${found}0`];
  return text.slice(0, index) + others[random.integer(others.length)]! + text.slice(index + found.length);
}

test("a written SAE is read as it was, whatever it is", async () => {
  for (let seed = 0; seed < 10 * architectures.length; seed++) {
    const random = SeededRandom.derive(seed, "identity");
    const [d_in, d_sae] = [1 + random.integer(20), 9 + random.integer(60)];
    const architecture = architectures[seed % architectures.length]!;
    const sae = randomSae({ ...asTrained(architecture, d_sae), d_in, d_sae, metadata: { why: 'é\u0000"' } }, seed);
    const to = join(folder, "identity");
    await saveSae(to, sae);
    const { config, ...again } = await loadSae(to);
    const { sae_lens_version, ...metadata } = config.metadata;
    assert.deepEqual({ ...again, config: { ...config, metadata } }, sae);
  }
});

test("tensors of any type, shape and name are read as they were written", async () => {
  const types = Object.keys(BYTES_PER_ELEMENT) as Dtype[];
  for (let seed = 0; seed < 60; seed++) {
    const random = SeededRandom.derive(seed, "tensors");
    const tensors = new Map<string, TensorSource & { readonly data: Uint8Array }>();
    for (let n = random.integer(8); n >= 0; n--) {
      const dtype = types[random.integer(types.length)]!;
      const shape = Array.from({ length: random.integer(4) }, () => random.integer(5));
      const length = shape.reduce((product, one) => product * one, BYTES_PER_ELEMENT[dtype]);
      const bytes = Uint8Array.from({ length }, () => random.integer(256));
      const name = ["a", "W_dec", "é ü", "__proto__", "layers.0/x", '"', "\n", "0"][random.integer(8)]!;
      tensors.set(name, { dtype, shape, data: bytes });
    }
    const path = join(folder, "any.safetensors");
    await writeSafetensors(path, tensors, { seed: String(seed) });
    const file = await readSafetensors(path);
    assert.deepEqual(file.metadata, { seed: String(seed) });
    assert.deepEqual([...file.tensors.keys()].sort(), [...tensors.keys()].sort());
    for (const [name, { dtype, shape, data }] of tensors) {
      assert.deepEqual([file.tensors.get(name)!.dtype, file.tensors.get(name)!.shape], [dtype, shape]);
      assert.deepEqual(new Uint8Array(await tensorBytes(file, name)), data);
    }
  }
});
