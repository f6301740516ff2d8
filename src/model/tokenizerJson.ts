// A tokenizer as its tokenizer.json says (the tokenizers library's form), with byte ranges and readable token texts.
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import { type AlignedText, type NormalizerConfig, normalizerOf, prepend, replace } from "./alignedText.ts";
import type { Token, Tokenizer } from "./languageModel.ts";
import { readableText, type TokenSpelling, tokenBytes } from "./tokenBytes.ts";
import { type RangeRules, tokenRanges } from "./tokenRanges.ts";

type Part = { readonly type: string; readonly [key: string]: unknown };

const part: z.ZodType<Part> = z.looseObject({ type: z.string() });

/** Model files count tokens with 32 bits, and so do batches of ids here. */
const LARGEST_ID = 2 ** 31 - 1;
const ID = `a whole number from 0 to ${LARGEST_ID}`;

const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z.int().nonnegative().max(LARGEST_ID),
        content: z.string().min(1),
        special: z.boolean().default(false),
        lstrip: z.boolean().default(false),
        rstrip: z.boolean().default(false),
      }),
    )
    .default([]),
  normalizer: part.nullish(),
  pre_tokenizer: part.nullish(),
  post_processor: part.nullish(),
  decoder: part.nullish(),
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: z
      .custom<Record<string, number>>(isObject, "tokens with their ids")
      .superRefine((vocab, context) => refuseFirst(context, Object.keys(vocab), (token) => isId(vocab[token]), ID)),
    merges: z
      .custom<(string | [string, string])[]>(Array.isArray, "pairs of tokens")
      .superRefine((merges, context) =>
        refuseFirst(
          context,
          [...merges.keys()],
          (at) => typeof merges[at] === "string" || isPair(merges[at]),
          "a pair of tokens",
        ),
      ),
    unk_token: z.string().nullish(),
    byte_fallback: z.boolean().nullish(),
  }),
});

export type TokenizerConfig = z.input<typeof tokenizerSchema>;

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(id: unknown): boolean {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) <= LARGEST_ID;
}

function isPair(merge: unknown): boolean {
  return Array.isArray(merge) && merge.length === 2 && merge.every((token) => typeof token === "string");
}

/** By one loop: a schema for each of a hundred thousand entries takes as long as everything else here. */
function refuseFirst<Key extends string | number>(
  context: z.RefinementCtx,
  keys: readonly Key[],
  isRight: (key: Key) => boolean,
  message: string,
): void {
  const wrong = keys.find((key) => !isRight(key));
  if (wrong !== undefined) context.addIssue({ code: "custom", path: [wrong], message });
}

/** Names of special tokens, from tokenizer_config.json; ids from elsewhere serve where a name is not given. */
export interface SpecialTokens {
  readonly bos: string | number | null;
  readonly eos: string | number | null;
  /** More that are special though no added token says so. */
  readonly others: readonly (string | number)[];
}

export class TokenizerJson implements Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly specialIds: ReadonlySet<number>;
  private readonly path: string;
  private readonly library: Library;
  private readonly rules: RangeRules;
  private readonly names: readonly (string | undefined)[];

  /** `path` is what errors name. Throws InputError for a file that isn't a BPE tokenizer of a kind known here. */
  constructor(json: unknown, path: string, special: SpecialTokens) {
    const parsed = tokenizerSchema.safeParse(json);
    if (!parsed.success) throw schemaError(path, json, parsed.error, "a BPE tokenizer.json");
    const config = parsed.data;
    this.path = path;
    try {
      this.rules = rangeRules(config, path);
      this.library = new Library(
        { decoder: null, post_processor: null, normalizer: null, ...config, pre_tokenizer: preTokenizer(config) },
        { clean_up_tokenization_spaces: false },
      );
    } catch (error) {
      throw this.refusal(error);
    }
    keepByteOrderMarks(this.library.decoder);
    const names: string[] = [];
    for (const [name, id] of Object.entries(config.model.vocab)) names[id] = name;
    for (const { id, content } of config.added_tokens) names[id] = content;
    this.names = names;
    this.vocabularySize = names.length;
    const idOf = (token: string | number | null): number | null =>
      typeof token === "string" ? (this.library.token_to_id(token) ?? null) : token;
    this.bosId = idOf(special.bos);
    this.eosId = idOf(special.eos);
    const unknown = config.model.unk_token ?? null;
    const ids = [this.bosId, this.eosId, idOf(unknown), ...special.others.map(idOf)];
    for (const { id, special } of config.added_tokens) if (special) ids.push(id);
    this.specialIds = new Set(ids.filter((id) => id !== null));
  }

  encode(text: string): Token[] {
    try {
      const { ids, tokens } = this.library.encode(text, { add_special_tokens: false }) as {
        ids: number[];
        tokens: string[];
      };
      const ranges = tokenRanges(text, tokens, this.rules);
      return ids.map((id, i) => ({ id, ...ranges[i]! }));
    } catch (error) {
      throw this.refusal(error);
    }
  }

  /** Parts of a tokenizer are of many kinds, and what is wrong with one may show only where it meets a text. */
  private refusal(error: unknown): InputError {
    if (error instanceof InputError) return error;
    return new InputError({
      file: this.path,
      found: (error as Error).message,
      expected: "a tokenizer whose parts go together",
    });
  }

  decode(ids: readonly number[]): string {
    const known = ids.filter((id) => this.names[id] !== undefined);
    return known.length === 0 ? "" : this.library.decode(known);
  }

  tokenText(id: number): string {
    const name = this.names[id];
    // A model's vocabulary may be padded past its tokenizer's.
    if (name === undefined) return `⟨${id}⟩`;
    if (this.rules.added.has(name)) return name;
    if (this.specialIds.has(id)) return name;
    const bytes = tokenBytes(name, this.rules.spelling);
    if (!bytes) return name;
    const text = readableText(bytes);
    return this.rules.spelling === "sentence_piece" ? text.replaceAll("▁", " ") : text;
  }
}

/** The library's Digits knows 0 to 9 only; the original takes every numeric character, "½" for one. */
function preTokenizer(config: z.output<typeof tokenizerSchema>): Part | null {
  const pretokenizers = partsOf(config.pre_tokenizer, "pretokenizers").map((part) =>
    part.type === "Digits"
      ? {
          type: "Split",
          pattern: { Regex: part["individual_digits"] === true ? "\\p{N}" : "\\p{N}+" },
          behavior: "Isolated",
          invert: false,
        }
      : part,
  );
  return pretokenizers.length > 1 ? { type: "Sequence", pretokenizers } : (pretokenizers[0] ?? null);
}

/** The library's byte fallback decodes with a TextDecoder that swallows U+FEFF. */
function keepByteOrderMarks(decoder: object | null): void {
  const { decoders = [decoder] } = (decoder ?? {}) as { decoders?: (object | null)[] };
  for (const part of decoders) {
    if (part && "text_decoder" in part) part.text_decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  }
}

function rangeRules(config: z.output<typeof tokenizerSchema>, path: string): RangeRules {
  const normalize = normalizerOf(config.normalizer as NormalizerConfig | null);
  if (!normalize) {
    throw new InputError({
      file: path,
      where: "normalizer",
      found: JSON.stringify(config.normalizer).slice(0, 200),
      expected: "Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD or Lowercase",
    });
  }
  const preparations = partsOf(config.pre_tokenizer, "pretokenizers").map(preparationOf);
  const spelling: TokenSpelling = partsOf(config.pre_tokenizer, "pretokenizers").some(
    ({ type }) => type === "ByteLevel",
  )
    ? "byte_level"
    : "sentence_piece";
  // trim_offsets is true where a post-processor doesn't say.
  const byteLevel = partsOf(config.post_processor, "processors").find(({ type }) => type === "ByteLevel");
  return {
    spelling,
    prepare: (piece, first) => preparations.reduce((text, prepare) => prepare(text, first), normalize(piece)),
    added: new Map(config.added_tokens.map((token) => [token.content, token])),
    unknown: config.model.unk_token ?? null,
    trim: byteLevel !== undefined && byteLevel["trim_offsets"] !== false,
  };
}

/** A Sequence's parts, or the part itself. */
function partsOf(config: Part | null | undefined, key: string): Part[] {
  if (!config) return [];
  return config.type === "Sequence" ? (config[key] as Part[]) : [config];
}

/** What a pre-tokenizer does to the characters, its cuts left out. */
function preparationOf(config: Part): (piece: AlignedText, first: boolean) => AlignedText {
  if (config.type === "ByteLevel" && config["add_prefix_space"] === true) {
    return (piece) => (/^\s/.test(piece.text) ? piece : prepend(piece, " "));
  }
  if (config.type !== "Metaspace") return (piece) => piece;
  const mark = (config["replacement"] as string | undefined) ?? "▁";
  const scheme =
    (config["prepend_scheme"] as string | undefined) ?? (config["add_prefix_space"] === false ? "never" : "always");
  return (piece, first) => {
    const marked = replace(piece, " ", mark);
    const wanted = scheme === "always" || (scheme === "first" && first);
    return wanted && !marked.text.startsWith(mark) ? prepend(marked, mark) : marked;
  };
}
