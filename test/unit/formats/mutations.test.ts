// Damaged files by the thousand, weights and configurations, the same ones every time: a reader either refuses with an InputError or, where the format has checksums, gives what the whole file gives. MUTATIONS says how many a format (10,000 for the full run).
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readNpz } from "../../../src/formats/npz.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { readTorch, TorchTensor } from "../../../src/formats/torch.ts";
import { encode } from "../../../src/sae/encode.ts";
import { loadEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { openSae } from "../../../src/sae/openSae.ts";
import type { Sae } from "../../../src/sae/sae.ts";
import { loadSae, saveSae } from "../../../src/sae/saeLensFolder.ts";
import { randomSae } from "../engine/randomCases.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const count = Number(process.env["MUTATIONS"] ?? 300);
const folder = temporaryFolder();
const saes = (...path: string[]) => golden("saes", ...path);

const formats = [
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
];

/** Every tensor by its path of names. */
async function readAll(path: string): Promise<Map<string, Float32Array>> {
  const all = new Map<string, Float32Array>();
  if (extname(path) === ".npz") {
    const file = await readNpz(path);
    for (const name of file.tensors.keys()) all.set(name, await file.float32(name));
  } else if (extname(path) === ".safetensors") {
    const file = await readSafetensors(path);
    for (const name of file.tensors.keys()) all.set(name, await tensorFloat32(file, name));
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

/** One to three changes: bytes flipped or set, numbers made huge, parts cut out, doubled or put in, the end cut off. */
function mutated(bytes: Buffer, random: SeededRandom): Buffer {
  let result = Buffer.from(bytes);
  for (let changes = 1 + random.integer(3); changes > 0 && result.length > 0; changes--) {
    const at = random.integer(result.length);
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

for (const { name, path, checksums } of formats) {
  test(`${name}: ${count} damaged files`, { timeout: 600_000 }, async () => {
    const bytes = readFileSync(path);
    const whole = await readAll(path);
    assert.ok(whole.size > 0);
    const random = SeededRandom.derive(9, name);
    const file = join(folder, `damaged${extname(path)}`);
    const before = process.memoryUsage.rss();
    let refused = 0;
    for (let i = 0; i < count; i++) {
      const damaged = mutated(bytes, random);
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
  for (let seed = 0; seed < 40; seed++) {
    const architecture = (["standard", "topk", "jumprelu", "gated"] as const)[seed % 4]!;
    const sae = randomSae({ architecture }, seed);
    const to = join(folder, "identity");
    await saveSae(to, sae);
    const again = await loadSae(to);
    assert.deepEqual(again.weights, sae.weights);
    assert.equal(again.config.architecture, architecture);
    assert.equal(again.config.k, sae.config.k);
  }
});
