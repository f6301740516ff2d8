// A language model in Hugging Face's form: config.json, tokenizer.json, and safetensors in one file or in shards with an index.
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { InputError, unreadable } from "../formats/inputError.ts";
import { schemaError } from "../formats/schemaError.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import type { Tokenizer } from "./languageModel.ts";
import { TokenizerJson } from "./tokenizerJson.ts";

export const SINGLE = "model.safetensors";
export const INDEX = "model.safetensors.index.json";

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

const specialToken = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();

const specialTokensSchema = z.object({
  bos_token: specialToken,
  eos_token: specialToken,
  unk_token: specialToken,
  pad_token: specialToken,
});

/** config.json, parsed; the family reads it. */
export async function readConfig(folder: string): Promise<{ path: string; config: Record<string, unknown> }> {
  const path = join(folder, "config.json");
  return { path, config: await readJson(path, z.record(z.string(), z.unknown()), "a model's configuration") };
}

/** Which weights are the model's, where a folder or a repository has both: the one file, as transformers takes them. Null: neither. */
export function weightsAmong(has: (name: string) => boolean): typeof SINGLE | typeof INDEX | null {
  return ([SINGLE, INDEX].find(has) as ReturnType<typeof weightsAmong> | undefined) ?? null;
}

/** Each tensor's shard, as the folder's index has them. `file`: what an error calls it. */
export function shardsByTensor(folder: string, file = join(folder, INDEX)): Readonly<Record<string, string>> {
  const expected = "an index of shards in JSON";
  const json = jsonIn(join(folder, INDEX), expected, file);
  const parsed = indexSchema.safeParse(json);
  if (!parsed.success) throw schemaError(file, json, parsed.error, expected);
  const { weight_map } = parsed.data;
  if (Object.keys(weight_map).length === 0) {
    const expected = "names of tensors, each with its file's";
    throw new InputError({ file, where: "weight_map", found: "an empty object", expected });
  }
  const outside = Object.values(weight_map).find((shard) => basename(shard) !== shard || shard.startsWith("."));
  if (outside !== undefined) {
    throw new InputError({ file, where: "weight_map", found: outside, expected: "a file's name in the same folder" });
  }
  return weight_map;
}

/** The weights: model.safetensors, or the index' shards. */
export async function openWeights(folder: string): Promise<Checkpoint> {
  if (weightsAmong((name) => existsSync(join(folder, name))) !== INDEX) {
    const path = join(folder, SINGLE);
    return openCheckpoint(path, [path]);
  }
  const map = shardsByTensor(folder);
  const shards = [...new Set(Object.values(map))].map((shard) => join(folder, shard));
  const checkpoint = await openCheckpoint(join(folder, INDEX), shards);
  for (const [tensor, shard] of Object.entries(map)) {
    if (checkpoint.tensors.has(tensor)) continue;
    throw new InputError({
      file: join(folder, shard),
      found: `no tensor ${tensor}`,
      expected: "it, as the index says",
    });
  }
  return checkpoint;
}

/**
 * tokenizer.json, with the special tokens of tokenizer_config.json; of what that doesn't speak of (null means that there is
 * none), those of special_tokens_map.json, then those of the model's configuration.
 */
export async function openTokenizer(folder: string, config: Readonly<Record<string, unknown>>): Promise<Tokenizer> {
  const path = join(folder, "tokenizer.json");
  const json = await readJson(path, z.record(z.string(), z.unknown()), "a tokenizer");
  const files = ["tokenizer_config.json", "special_tokens_map.json"].map((name) => specialTokens(join(folder, name)));
  const settings = await Promise.all(files);
  /** Undefined where no file speaks of it. */
  const given = (key: keyof z.infer<typeof specialTokensSchema>) => {
    const token = settings.map((file) => file[key]).find((value) => value !== undefined);
    return typeof token === "object" ? (token?.content ?? null) : token;
  };
  const special = (key: "bos_token" | "eos_token") => {
    const token = given(key);
    return token === undefined ? firstId(config[`${key}_id`]) : token;
  };
  const others = [given("unk_token"), given("pad_token")].filter((token) => typeof token === "string");
  return new TokenizerJson(json, path, { bos: special("bos_token"), eos: special("eos_token"), others });
}

/** Nothing where the file is missing. */
function specialTokens(path: string): Promise<z.infer<typeof specialTokensSchema>> {
  return readJson(path, specialTokensSchema, "special tokens").catch((error: unknown) => {
    if (error instanceof InputError && error.found === MISSING) return {};
    throw error;
  });
}

/** An id, or the first of several. */
function firstId(value: unknown): number | null {
  const first = Array.isArray(value) ? value[0] : value;
  return Number.isInteger(first) && (first as number) >= 0 ? (first as number) : null;
}

const MISSING = unreadable({ code: "ENOENT" });

/** `file`: what an error calls it. */
function jsonIn(path: string, expected: string, file = path): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new InputError({ file, found: code === undefined ? message : unreadable(error), expected });
  }
}

async function readJson<T>(path: string, schema: z.ZodType<T>, what: string): Promise<T> {
  const json = jsonIn(path, `${what} in JSON`);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw schemaError(path, json, parsed.error, what);
}
