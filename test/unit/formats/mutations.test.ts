// Damaged files by the thousand, the same ones every time: a reader either refuses with an InputError or, where the format has checksums, gives what the whole file gives. MUTATIONS says how many a format (10,000 for the full run).
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { readNpz } from "../../../src/formats/npz.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { readTorch, TorchTensor } from "../../../src/formats/torch.ts";
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
