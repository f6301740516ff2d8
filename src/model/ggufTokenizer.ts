// The vocabulary inside a GGUF file as a tokenizer: GPT-2's kind of BPE with named pre-tokenizers, or SentencePiece BPE by score.
import type { Gguf, GgufValue } from "../formats/gguf.ts";
import { InputError } from "../formats/inputError.ts";
import type { Tokenizer } from "./languageModel.ts";
import { type TokenizerConfig, TokenizerJson } from "./tokenizerJson.ts";

/** Types of a token in the file (llama.cpp's llama_token_type). */
const CONTROL = 3;
const USER_DEFINED = 4;

const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: true };

/** A regex of its own in place of GPT-2's. */
function splitBy(pattern: string): object {
  return {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
      { ...BYTE_LEVEL, use_regex: false },
    ],
  };
}

const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Mistral's since Nemo: words of one case or capitalised, single digits. */
const TEKKEN =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** What `tokenizer.ggml.pre` names. */
const PRE_TOKENIZERS: Readonly<Record<string, object>> = {
  "gpt-2": BYTE_LEVEL,
  default: BYTE_LEVEL,
  olmo: BYTE_LEVEL,
  "phi-2": BYTE_LEVEL,
  smollm: { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, BYTE_LEVEL] },
  "llama-bpe": splitBy(LLAMA3),
  llama3: splitBy(LLAMA3),
  "llama-v3": splitBy(LLAMA3),
  falcon3: splitBy(LLAMA3),
  pixtral: splitBy(LLAMA3),
  tekken: splitBy(TEKKEN),
  qwen2: splitBy(LLAMA3.replace("{1,3}", "")),
  "deepseek-r1-qwen": splitBy(LLAMA3.replace("{1,3}", "")),
};

/** Kinds whose vocabulary holds words that no merges lead to. */
const WHOLE_WORDS = /^(llama|tekken|falcon3|pixtral)/;

/** Characters of a token that is cut in two in all ways: the work grows with the square. SentencePiece itself makes 16 at most. */
const LONGEST_TOKEN = 256;

/** Pairs that join to a token; Gemma's 256,000 tokens have about 600,000. */
const MOST_MERGES = 1 << 21;

/** Throws InputError for a kind of vocabulary that isn't known here. */
export function ggufTokenizer(file: Gguf): Tokenizer {
  const kind = file.metadata.get("tokenizer.ggml.model");
  const json = kind === "gpt2" ? bytePairs(file) : kind === "llama" ? sentencePieces(file) : null;
  if (!json) return refuse(file, "tokenizer.ggml.model", String(kind ?? "nothing"), "gpt2 or llama");
  const id = (name: string): number | null => {
    const value = file.metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof value === "number" ? value : null;
  };
  const types = list(file, "token_type", "number", false);
  const controls = types.flatMap((type, i) => (type === CONTROL ? [i] : []));
  return new TokenizerJson(json, file.path, {
    bos: id("bos"),
    eos: id("eos"),
    others: [...controls, ...["unknown", "padding"].flatMap((name) => id(name) ?? [])],
  });
}

function bytePairs(file: Gguf): TokenizerConfig {
  const tokens = list(file, "tokens", "string");
  const types = list(file, "token_type", "number", false);
  const pre = file.metadata.get("tokenizer.ggml.pre") ?? "default";
  if (typeof pre !== "string" || !Object.hasOwn(PRE_TOKENIZERS, pre)) {
    return refuse(file, "tokenizer.ggml.pre", String(pre), Object.keys(PRE_TOKENIZERS).join(", "));
  }
  return {
    added_tokens: addedTokens(tokens, types, [CONTROL, USER_DEFINED]),
    pre_tokenizer: PRE_TOKENIZERS[pre] as { type: string },
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: list(file, "merges", "string"),
      ignore_merges: WHOLE_WORDS.test(pre),
    },
  };
}

/** Tokens that are found in a text before anything else. */
function addedTokens(tokens: readonly string[], types: readonly number[], wanted: readonly number[]) {
  return tokens.flatMap((content, id) =>
    wanted.includes(types[id]!) && content !== ""
      ? [{ id, content, special: types[id] === CONTROL, normalized: false }]
      : [],
  );
}

/**
 * SentencePiece joins the neighbours whose union has the best score. As a list of merges: every pair of tokens whose union is
 * a token, best first. Names of control tokens inside a text are text here, as in SentencePiece itself.
 */
function sentencePieces(file: Gguf): TokenizerConfig {
  const tokens = list(file, "tokens", "string");
  const scores = list(file, "scores", "number");
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: { pair: [string, string]; score: number; left: number; right: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if (token.length > LONGEST_TOKEN) {
      const where = `tokenizer.ggml.tokens, token ${id}`;
      return refuse(file, where, `${token.length} characters`, `at most ${LONGEST_TOKEN}`);
    }
    for (let cut = 1; cut < token.length; cut++) {
      const pair: [string, string] = [token.slice(0, cut), token.slice(cut)];
      const left = ids.get(pair[0]);
      const right = ids.get(pair[1]);
      if (left === undefined || right === undefined) continue;
      if (merges.length === MOST_MERGES) {
        const found = `more than ${MOST_MERGES} pairs that join to a token`;
        return refuse(file, "tokenizer.ggml.tokens", found, "fewer");
      }
      merges.push({ pair, score: scores[id]!, left, right });
    }
  }
  merges.sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right);
  const unknown = file.metadata.get("tokenizer.ggml.unknown_token_id") ?? 0;
  const mark = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const prefix = file.metadata.get("tokenizer.ggml.add_space_prefix") !== false;
  const strip = prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [];
  return {
    added_tokens: addedTokens(tokens, list(file, "token_type", "number", false), [USER_DEFINED]),
    normalizer: {
      type: "Sequence",
      normalizers: [...(prefix ? [{ type: "Prepend", prepend: "▁", owns_nothing: true }] : []), mark],
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...strip,
      ],
    },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(ids),
      merges: merges.map(({ pair }) => pair),
      unk_token: tokens[Number(unknown)] ?? null,
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

function list<T extends "string" | "number">(
  file: Gguf,
  name: string,
  type: T,
  required = true,
): (T extends "string" ? string : number)[] {
  const key = `tokenizer.ggml.${name}`;
  const values: GgufValue | undefined = file.metadata.get(key);
  if (values === undefined && !required) return [];
  if (Array.isArray(values) && values.every((value) => typeof value === type)) return values as never;
  return refuse(file, key, values === undefined ? "nothing" : "something else", `a list of ${type}s`);
}

function refuse(file: Gguf, where: string, found: string, expected: string): never {
  throw new InputError({ file: file.path, where, found, expected });
}
