// Shows that every family computes what transformers computes, over many configurations: Python makes tiny models at random (Hugging Face folders of all forms and dtypes, GGUF files by llama.cpp's own package), and every hook, the logits and the tokens are compared. Not part of `npm test`: it needs Python.
//
//   pip install -r bench/peers/requirements.txt && npm run crosscheck:models -- [python] [seed] [count]
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensors, type Safetensors, tensorData, tensorFloat32 } from "../../src/formats/safetensors.ts";
import type { LanguageModel, TokenBatch, Tokenizer } from "../../src/model/languageModel.ts";
import { openLanguageModel } from "../../src/model/open.ts";

/** Largest absolute difference of logits and hooks, where values are of the order of 1 to 10. */
const TOLERANCE = 1e-4;

const TEXTS = [
  "The quick brown fox jumps over 12 lazy dogs, isn't it?",
  "  two spaces, a tab\tand\n\nnew lines\n",
  "Größe, naïve, 東京, 🙂 and 3.14159",
  "snake_case camelCase HTTPServer don't WE'LL",
  "",
];

const [python = "python3", seed = "1", count = "42"] = process.argv.slice(2);
const golden = join(import.meta.dirname, "..", "..", "test", "golden", "models");
const folder = process.env["XC"] ?? mkdtempSync(join(tmpdir(), "crosscheck-models-"));
const cacheFolder = mkdtempSync(join(tmpdir(), "crosscheck-models-cache-"));
let failed = 0;
try {
  const script = join(import.meta.dirname, "families.py");
  const { status } = spawnSync(python, [script, folder, golden, seed, count], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error", HF_HUB_DISABLE_PROGRESS_BARS: "1" },
  });
  if (status !== 0) throw new Error(`${script} ended with ${status}`);
  for (const name of readdirSync(folder).sort((a, b) => Number(a) - Number(b))) await checkCase(name);
} finally {
  for (const made of [folder, cacheFolder]) rmSync(made, { recursive: true, force: true });
}
console.log(failed === 0 ? `all ${count} the same` : `${failed} NOT the same`);
process.exitCode = failed === 0 ? 0 : 1;

async function checkCase(name: string): Promise<void> {
  const path = join(folder, name);
  const { family, dtype, form, gguf, settings } = JSON.parse(readFileSync(join(path, "case.json"), "utf8"));
  const shards = readdirSync(path).filter((file) => /^model.*\.safetensors$/.test(file)).length;
  const described = `${family} ${dtype} ${form} ${shards} ${shards === 1 ? "file" : "shards"}`;
  await check(name, described, settings, path, join(path, "reference.safetensors"), null);
  const file = join(path, "model.gguf");
  if (gguf && existsSync(file))
    await check(name, `${family} gguf ${gguf}`, settings, file, join(path, "reference.gguf.safetensors"), path);
}

/** `twin`: a folder whose tokenizer is the same as the file's own. */
async function check(
  name: string,
  what: string,
  settings: object,
  path: string,
  reference: string,
  twin: string | null,
): Promise<void> {
  let difference = Number.NaN;
  let worst = "";
  let tokens = "";
  try {
    const model = await openLanguageModel(path, { threads: 1, cacheFolder });
    [difference, worst] = await largestDifference(model, await readSafetensors(reference));
    if (twin) tokens = await otherTokens(model.tokenizer, twin);
    await model.close();
  } catch (error) {
    worst = (error as Error).message;
  }
  const ok = difference <= TOLERANCE && tokens === "";
  if (!ok) failed++;
  console.log(
    `${ok ? "OK" : "NOT OK"} ${name} ${what}: ${difference.toExponential(1)} ${worst} ${tokens} ${ok ? "" : JSON.stringify(settings)}`,
  );
}

async function largestDifference(model: LanguageModel, file: Safetensors): Promise<[number, string]> {
  const batch = await batchOf(file);
  const hooks = [...file.tensors.keys()].filter((name) => name.startsWith("blocks."));
  const missing = hooks.filter((name) => !model.hookNames.includes(name));
  const more = model.hookNames.filter((name) => !hooks.includes(name));
  if (missing.length + more.length > 0) throw new Error(`hooks differ: ${[...missing, ...more].join(", ")}`);
  let [largest, where] = [0, ""];
  for (const name of ["logits", ...hooks]) {
    const values = name === "logits" ? await model.logits(batch) : await model.capture(batch, name);
    const difference = atRealPositions(values, await tensorFloat32(file, name), batch);
    if (!(difference <= largest)) [largest, where] = [difference, name];
  }
  return [largest, where];
}

async function batchOf(file: Safetensors): Promise<TokenBatch> {
  const [rows, length] = file.tensors.get("input_ids")!.shape as [number, number];
  const ids = Int32Array.from((await tensorData(file, "input_ids")) as BigInt64Array, Number);
  const mask = Int32Array.from((await tensorData(file, "attention_mask")) as BigInt64Array, Number);
  const lengths = Int32Array.from({ length: rows }, (_, row) =>
    mask.subarray(row * length, (row + 1) * length).reduce((sum, one) => sum + one, 0),
  );
  return { rows, length, ids, lengths };
}

function atRealPositions(values: Float32Array, expected: Float32Array, batch: TokenBatch): number {
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY;
  const width = expected.length / (batch.rows * batch.length);
  let largest = 0;
  for (let row = 0; row < batch.rows; row++)
    for (let i = 0; i < batch.lengths[row]! * width; i++) {
      const at = row * batch.length * width + i;
      const difference = Math.abs(values[at]! - expected[at]!);
      if (!(difference <= largest)) largest = difference;
    }
  return largest;
}

/** What the file's own tokenizer makes otherwise of a text than its twin, or nothing. */
async function otherTokens(tokenizer: Tokenizer, twin: string): Promise<string> {
  const other = await openLanguageModel(twin, { threads: 1 });
  try {
    for (const text of TEXTS) {
      const [ours, theirs] = [tokenizer, other.tokenizer].map((one) => one.encode(text).map(({ id }) => id));
      if (JSON.stringify(ours) !== JSON.stringify(theirs))
        return `tokens of ${JSON.stringify(text)}: ${ours}, not ${theirs}`;
    }
    return "";
  } finally {
    await other.close();
  }
}
