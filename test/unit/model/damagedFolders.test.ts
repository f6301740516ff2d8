// Models whose files are damaged by the hundred, the same ones every time: a folder's JSON files, and GGUF files whole. They open and run, or an InputError says what is wrong. MUTATIONS says how many a file.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SeededRandom } from "../../../src/data/seededRandom.ts";
import { InputError } from "../../../src/formats/inputError.ts";
import { openLanguageModel } from "../../../src/model/open.ts";
import { golden, temporaryFolder } from "../fixtures.ts";

const count = Number(process.env["MUTATIONS"] ?? 60);
const temporary = temporaryFolder();
const cacheFolder = join(temporary, "cache");

const JUNK: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  0.5,
  3,
  1e308,
  "",
  "x",
  "__proto__",
  [],
  [[]],
  {},
  { a: 1 },
  "\ud800",
];

/** The value with one to three places replaced, taken out or moved. */
function damaged(value: unknown, random: SeededRandom): unknown {
  const copy = structuredClone(value);
  for (let changes = 1 + random.integer(3); changes > 0; changes--) {
    let at = copy as Record<string, unknown>;
    // Half of the changes lie near the top, where the fields are that mean something.
    for (let depth = random.integer(6); depth > 0; depth--) {
      const inner = Object.values(at).filter((each) => typeof each === "object" && each !== null);
      if (inner.length === 0) break;
      at = inner[random.integer(inner.length)] as Record<string, unknown>;
    }
    const keys = Object.keys(at);
    if (keys.length === 0) continue;
    const key = keys[random.integer(keys.length)]!;
    const kind = random.integer(4);
    if (kind === 0) delete at[key];
    else if (kind === 1) at[key] = at[keys[random.integer(keys.length)]!];
    else at[key] = JUNK[random.integer(JUNK.length)];
  }
  return copy;
}

/** Opens the model, and reads a text and eight tokens with it. */
async function used(path: string): Promise<void> {
  const opened = await openLanguageModel(path, { threads: 1, cacheFolder });
  try {
    opened.tokenizer.encode("The größte  thing,\nisn't it? </s>");
    const { dVocab } = opened.info;
    const ids = Int32Array.from({ length: 8 }, (_, i) => i % dVocab);
    const logits = await opened.logits({ ids, rows: 1, length: 8, lengths: Int32Array.of(8) });
    assert.equal(logits.length, 8 * dVocab);
  } finally {
    await opened.close();
  }
}

const models = ["llama", "gpt2", "gpt_neox", "qwen3", "gemma2", "mistral", "llama_tied_bf16_sharded", "gelu-1l"];
for (const model of models)
  test(model, async () => {
    const folder = join(temporary, model);
    mkdirSync(folder);
    cpSync(golden("models", model), folder, { recursive: true });
    for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"]) {
      const path = join(folder, name);
      if (!existsSync(path)) continue;
      const whole = readFileSync(path, "utf8");
      const random = SeededRandom.derive(1, `${model} ${name}`);
      for (let i = 0; i < count; i++) {
        const text = JSON.stringify(damaged(JSON.parse(whole), random));
        writeFileSync(path, text);
        try {
          await used(folder);
        } catch (error) {
          if (error instanceof InputError) continue;
          writeFileSync(join(folder, "failing.json"), text);
          assert.fail(`${name}, damage ${i}: ${(error as Error).stack}`);
        }
      }
      writeFileSync(path, whole);
    }
  });

for (const model of ["llama", "gpt_neox"]) {
  const whole = readFileSync(golden("models", "gguf", model, "model.gguf"));

  test(`a GGUF file of ${model}, bytes of it changed or missing`, async () => {
    const random = SeededRandom.derive(1, `gguf ${model}`);
    const outcomes = { opened: 0, refused: 0 };
    for (let i = 0; i < count; i++) {
      const path = join(temporary, `${model}.gguf`);
      const bytes = Buffer.from(i % 3 === 0 ? whole.subarray(0, random.integer(whole.length)) : whole);
      // Most of what means something stands before the weights: metadata, tokens, tensors' names and places.
      const within = i % 2 === 0 ? bytes.length : Math.min(bytes.length, 2000);
      for (let n = random.integer(4); n >= 0 && within > 0; n--) bytes[random.integer(within)] = random.integer(256);
      writeFileSync(path, bytes);
      try {
        await used(path);
        outcomes.opened++;
      } catch (error) {
        outcomes.refused++;
        if (!(error instanceof InputError)) assert.fail(`damage ${i}: ${(error as Error).stack}`);
        assert.ok(error.file.startsWith(path), `${error.file} is named`);
      }
    }
    assert.ok(outcomes.opened > 0 && outcomes.refused > count / 4, JSON.stringify(outcomes));
  });

  test(`a GGUF file of ${model} that ends anywhere before its padding is refused, and nothing of it is kept`, async () => {
    const path = join(temporary, `${model}-cut.gguf`);
    const untouched = join(temporary, `${model}-untouched`);
    for (let cut = 32; cut < whole.length; cut += Math.ceil(whole.length / count)) {
      writeFileSync(path, whole.subarray(0, whole.length - cut));
      await assert.rejects(openLanguageModel(path, { threads: 1, cacheFolder: untouched }), { name: "InputError" });
    }
    assert.deepEqual(existsSync(untouched) ? readdirSync(untouched, { recursive: true }) : [], []);
  });
}
