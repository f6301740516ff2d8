// A language model in Hugging Face's form: config.json, tokenizer.json, and safetensors in one file or in shards with an index.
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { InputError } from "../formats/inputError.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import type { Tokenizer } from "./languageModel.ts";
import { TokenizerJson } from "./tokenizerJson.ts";

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

const specialToken = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();

const tokenizerConfigSchema = z.looseObject({
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

/** The weights: the index' shards, or model.safetensors. */
export async function openWeights(folder: string): Promise<Checkpoint> {
  const index = join(folder, "model.safetensors.index.json");
  const map = await readJson(index, indexSchema, "an index of shards").catch((error: unknown) => {
    if (error instanceof InputError && error.found === MISSING) return null;
    throw error;
  });
  if (!map) {
    const path = join(folder, "model.safetensors");
    return openCheckpoint(path, [path]);
  }
  const shards = [...new Set(Object.values(map.weight_map))];
  for (const shard of shards) {
    if (basename(shard) !== shard || shard.startsWith(".")) {
      throw new InputError({
        file: index,
        where: "weight_map",
        found: shard,
        expected: "a file's name in the same folder",
      });
    }
  }
  const checkpoint = await openCheckpoint(
    index,
    shards.map((shard) => join(folder, shard)),
  );
  for (const [tensor, shard] of Object.entries(map.weight_map)) {
    if (checkpoint.tensors.has(tensor)) continue;
    throw new InputError({
      file: join(folder, shard),
      found: `no tensor ${tensor}`,
      expected: "it, as the index says",
    });
  }
  return checkpoint;
}

/** tokenizer.json, with the special tokens of tokenizer_config.json or, where that is missing, of the model's configuration. */
export async function openTokenizer(folder: string, config: Readonly<Record<string, unknown>>): Promise<Tokenizer> {
  const path = join(folder, "tokenizer.json");
  const json = await readJson(path, z.record(z.string(), z.unknown()), "a tokenizer");
  const settings = await readJson(join(folder, "tokenizer_config.json"), tokenizerConfigSchema, "settings").catch(
    (error: unknown) => {
      if (error instanceof InputError && error.found === MISSING) return null;
      throw error;
    },
  );
  if (!settings) {
    return new TokenizerJson(json, path, {
      bos: firstId(config["bos_token_id"]),
      eos: firstId(config["eos_token_id"]),
      others: [],
    });
  }
  const name = (token: z.infer<typeof specialToken>) => (typeof token === "string" ? token : (token?.content ?? null));
  const others = [settings.unk_token, settings.pad_token].map(name).filter((token) => token !== null);
  return new TokenizerJson(json, path, { bos: name(settings.bos_token), eos: name(settings.eos_token), others });
}

/** An id, or the first of several. */
function firstId(value: unknown): number | null {
  const first = Array.isArray(value) ? value[0] : value;
  return typeof first === "number" ? first : null;
}

const MISSING = "no such file";

async function readJson<T>(path: string, schema: z.ZodType<T>, what: string): Promise<T> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new InputError({
      file: path,
      found: missing ? MISSING : (error as Error).message,
      expected: `${what} in JSON`,
    });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new InputError({ file: path, where: issue.path.join("."), found: issue.message, expected: what });
}
