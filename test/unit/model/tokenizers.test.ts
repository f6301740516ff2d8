// Tokenizers against the tokenizers library: ids, byte ranges, decoded texts; from tokenizer.json and from GGUF vocabularies.
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type GgufValue, readGguf } from "../../../src/formats/gguf.ts";
import { ggufTokenizer } from "../../../src/model/ggufTokenizer.ts";
import { openTokenizer } from "../../../src/model/huggingFaceFolder.ts";
import type { Tokenizer } from "../../../src/model/languageModel.ts";
import { readableText } from "../../../src/model/tokenBytes.ts";
import { TokenizerJson } from "../../../src/model/tokenizerJson.ts";
import { golden, sharedData, temporaryFolder } from "../fixtures.ts";

interface Case {
  text: string;
  ids: number[];
  offsets_byte: [number, number][];
  decoded?: string;
}

function checkVectors(tokenizer: Tokenizer, model: string): void {
  const { cases } = JSON.parse(readFileSync(golden("models", model, "tokenizer_vectors.json"), "utf8")) as {
    cases: Case[];
  };
  assert.ok(cases.length > 30);
  for (const { text, ids, offsets_byte, decoded } of cases) {
    const tokens = tokenizer.encode(text);
    assert.deepEqual(
      tokens.map(({ id }) => id),
      ids,
      JSON.stringify(text),
    );
    assert.deepEqual(
      tokens.map(({ start, end }) => [start, end]),
      offsets_byte,
      JSON.stringify(text),
    );
    if (decoded !== undefined) assert.equal(tokenizer.decode(ids), decoded);
  }
}

/** Special tokens of each folder. */
const folders: Record<string, { bos: number | null; eos: number | null; special: number[] }> = {
  llama: { bos: 1, eos: 2, special: [0, 1, 2] },
  llama3_rope: { bos: 320, eos: 321, special: [320, 321, 322] },
  mistral: { bos: 1, eos: 2, special: [0, 1, 2] },
};

for (const [model, { bos, eos, special }] of Object.entries(folders)) {
  test(`${model}: ids, byte ranges, decoding, special tokens`, async () => {
    const tokenizer = await openTokenizer(golden("models", model), {});
    checkVectors(tokenizer, model);
    assert.equal(tokenizer.bosId, bos);
    assert.equal(tokenizer.eosId, eos);
    assert.deepEqual([...tokenizer.specialIds].sort(), special);
  });
}

for (const model of ["gpt2", "gpt_neox", "qwen2", "gemma2"]) {
  test(`${model}: ids, byte ranges and decoding`, async () => {
    checkVectors(await openTokenizer(golden("models", model), {}), model);
  });
}

test("llama reads its special tokens from tokenizer_config.json, else from the model's configuration", async () => {
  const json = JSON.parse(readFileSync(golden("models", "llama", "tokenizer.json"), "utf8"));
  const tokenizer = new TokenizerJson(json, "tokenizer.json", { bos: 2, eos: "<unk>", others: [5] });
  assert.deepEqual([tokenizer.bosId, tokenizer.eosId, [...tokenizer.specialIds].sort()], [2, 0, [0, 1, 2, 5]]);
});

test("a special token that tokenizer_config.json doesn't speak of is special_tokens_map.json's, else the configuration's", async () => {
  const folder = temporaryFolder();
  cpSync(golden("models", "llama", "tokenizer.json"), join(folder, "tokenizer.json"));
  const write = (name: string, value: object) => writeFileSync(join(folder, name), JSON.stringify(value));
  const opened = async (config = {}) => {
    const { bosId, eosId } = await openTokenizer(folder, { bos_token_id: 5, eos_token_id: [6, 7], ...config });
    return [bosId, eosId];
  };
  assert.deepEqual(await opened(), [5, 6], "no file speaks of any");
  // As the whole file of openai-community/gpt2 is.
  write("tokenizer_config.json", { model_max_length: 1024 });
  assert.deepEqual(await opened(), [5, 6]);
  assert.deepEqual(await opened({ bos_token_id: -1, eos_token_id: 0.5 }), [null, null], "what can be no id");
  write("special_tokens_map.json", { bos_token: { content: "<s>" } });
  assert.deepEqual(await opened(), [1, 6]);
  write("tokenizer_config.json", { bos_token: null, eos_token: "</s>" });
  assert.deepEqual(await opened(), [null, 2], "null says that there is none, as Qwen's files do");
});

describe("the text of one token", async () => {
  const llama = await openTokenizer(golden("models", "llama"), {});
  const llama3 = await openTokenizer(golden("models", "llama3_rope"), {});
  const id = (tokenizer: Tokenizer, text: string, i: number) => tokenizer.encode(text)[i]!.id;
  test("keeps its leading space", () => {
    assert.equal(llama.tokenText(id(llama, "Hello world", 5)), " w");
    assert.equal(llama3.tokenText(id(llama3, "Hello world", 4)), " w");
  });
  test("lone bytes are shown as such, ASCII ones as characters", () => {
    assert.equal(llama.tokenText(3 + 0xe2), "⟨E2⟩");
    assert.equal(llama.tokenText(3 + 0x0a), "\n");
    assert.equal(llama3.tokenText(id(llama3, "今", 0)), "⟨E4⟩");
  });
  test("special tokens are their names; ids past the vocabulary are numbers", () => {
    assert.equal(llama.tokenText(1), "<s>");
    assert.equal(llama.tokenText(5000), "⟨5000⟩");
  });
  test("texts of all tokens of a text join to the text", () => {
    const text = "The quick brown fox, 1234 jumps.";
    assert.equal(
      llama3
        .encode(text)
        .map(({ id }) => llama3.tokenText(id))
        .join(""),
      text,
    );
  });
  test("bytes that are cut short or wrong never swallow what follows", () => {
    assert.equal(readableText(Buffer.from([0x61, 0xe2, 0x82, 0x62])), "a⟨E2⟩⟨82⟩b");
    assert.equal(readableText(Buffer.from("é€😀\ufeff")), "é€😀\ufeff");
  });
});

test("what isn't a tokenizer known here is refused by field", () => {
  const open = (json: unknown) => () => new TokenizerJson(json, "tokenizer.json", { bos: null, eos: null, others: [] });
  const model = { type: "BPE", vocab: { a: 0 }, merges: [] };
  assert.throws(open({ model: { type: "WordPiece", vocab: {} } }), /tokenizer\.json, model\.type: /);
  assert.throws(open({ model: { ...model, vocab: { a: -1 } } }), /model\.vocab\.a/);
  assert.throws(open({ model, normalizer: { type: "Precompiled" } }), /normalizer: found \{"type":"Precompiled"\}/);
  assert.throws(open({ model, pre_tokenizer: { type: "Martian" } }), { name: "InputError" });
});

describe("every kind of pre-tokenizer that a GGUF file names cuts as the models' own tokenizer.json do", () => {
  // One vocabulary whose merges go across everything, so that only the cuts make a difference.
  const vectors = JSON.parse(readFileSync(golden("models", "gguf", "pre_tokenizers.json"), "utf8")) as {
    tokens: string[];
    merges: string[];
    texts: string[];
    ids: Record<string, number[][]>;
  };
  const open = (pre: string | null) => {
    const metadata = new Map<string, GgufValue>([
      ["tokenizer.ggml.model", "gpt2"],
      ["tokenizer.ggml.tokens", vectors.tokens],
      ["tokenizer.ggml.merges", vectors.merges],
    ]);
    if (pre !== null) metadata.set("tokenizer.ggml.pre", pre);
    return ggufTokenizer({ path: "made.gguf", version: 3, metadata, tensors: new Map() });
  };
  const others: Record<string, (string | null)[]> = {
    "gpt-2": ["default", "olmo", "phi-2", null],
    "llama-bpe": ["llama3", "llama-v3", "falcon3", "pixtral"],
    qwen2: ["deepseek-r1-qwen"],
  };
  for (const [kind, expected] of Object.entries(vectors.ids))
    test(kind, () => {
      for (const pre of [kind, ...(others[kind] ?? [])]) {
        const tokenizer = open(pre);
        for (const [i, text] of vectors.texts.entries()) {
          const tokens = tokenizer.encode(text);
          assert.deepEqual(
            tokens.map(({ id }) => id),
            expected[i],
            `${pre}: ${JSON.stringify(text)}`,
          );
          assert.equal(tokens.at(-1)?.end ?? 0, Buffer.byteLength(text), "bytes are covered to the end");
          assert.equal(tokenizer.decode(tokens.map(({ id }) => id)), text);
        }
      }
    });
  test("one that isn't known is refused by name, with those that are", () => {
    assert.throws(() => open("martian"), /tokenizer\.ggml\.pre: found martian, expected gpt-2, default, .*tekken/);
    assert.throws(() => open("constructor"), { name: "InputError" });
  });
});

const stories = sharedData("models", "stories260K", "stories260K-f32.gguf");
test("stories260k: SentencePiece by score, from the GGUF file", { skip: stories.skip }, async () => {
  const tokenizer = ggufTokenizer(await readGguf(stories.path));
  checkVectors(tokenizer, "stories260k");
  assert.deepEqual([tokenizer.bosId, tokenizer.eosId, [...tokenizer.specialIds].sort()], [1, 2, [0, 1, 2]]);
});

describe("a SentencePiece vocabulary that would take time or memory without bound is refused", () => {
  const open = (tokens: readonly string[]) =>
    ggufTokenizer({
      path: "made.gguf",
      version: 3,
      metadata: new Map<string, GgufValue>([
        ["tokenizer.ggml.model", "llama"],
        ["tokenizer.ggml.tokens", [...tokens]],
        ["tokenizer.ggml.scores", tokens.map(() => 0)],
      ]),
      tensors: new Map(),
    });
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
  test("a token that is long", () => {
    assert.throws(() => open(["<unk>", "a".repeat(257)]), {
      name: "InputError",
      where: "tokenizer.ggml.tokens, token 1",
      found: "257 characters",
    });
    assert.equal(open(["<unk>", "a", "a".repeat(256)]).vocabularySize, 3);
  });
  test("tokens of which any two join to a third", () => {
    // aⁱbʲ with i + j ≤ 200: every cut gives two of them.
    const tokens = upTo(201).flatMap((i) => upTo(201 - i).map((j) => "a".repeat(i) + "b".repeat(j)));
    assert.throws(() => open(tokens), { name: "InputError", found: /more than 2097152 pairs/ });
  });
});

const smollm2 = sharedData("models", "smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf");
test("smollm2-135m: byte-level BPE, from the GGUF file", { skip: smollm2.skip }, async () => {
  const tokenizer = ggufTokenizer(await readGguf(smollm2.path));
  checkVectors(tokenizer, "smollm2-135m");
  assert.deepEqual([tokenizer.bosId, tokenizer.eosId, tokenizer.specialIds.size], [1, 2, 17]);
});
