// Pooled activations and codes of labelled texts for ensembles of a run: computed once, in one pass over the texts for all ensembles that lack them, and kept beside each ensemble under a key of what made them. Whoever stops it loses the part it was at.
import { createHash } from "node:crypto";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Encoder, Engine } from "../engine/engine.ts";
import { entries } from "../engine/engine.ts";
import { hookWidth } from "../model/hookPoints.ts";
import type { LanguageModel, TokenBatch, Tokenizer } from "../model/languageModel.ts";
import { inActivationUnits } from "../probing/activationUnits.ts";
import { type PooledTexts, TextPooler } from "../probing/pool.ts";
import { loadPooled, savePooled } from "../probing/pooledFile.ts";
import { joinPooled } from "../probing/pooledTexts.ts";
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";

export interface PoolRequest {
  readonly texts: readonly string[];
  /** Ensembles of one hook, each with its folder. */
  readonly ensembles: readonly { readonly folder: string; readonly ensemble: Ensemble }[];
  readonly hookName: string;
  readonly contextSize: number;
  /** BOS goes in front and is left out of the mean, as every special token. */
  readonly prependBos: boolean;
  /** Path of the model, which is part of the key. */
  readonly modelPath: string;
  /** Opened only where something has to be computed. */
  readonly model: () => Promise<LanguageModel>;
  readonly engine: () => Promise<Engine>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PoolOutcome {
  /** One an ensemble, in the order asked for; row t is text t. */
  readonly pooled: readonly PooledTexts[];
  /** Where each is kept. */
  readonly files: readonly string[];
  /** Ensembles for which it was there already. */
  readonly kept: number;
}

/** Texts captured at a time. */
const TEXTS_AT_A_TIME = 16;
/** Texts of a part that is kept by itself until all are there. */
const TEXTS_A_PART = 16 * TEXTS_AT_A_TIME;

/** Longer texts than the context are cut to it. A text of no token but special ones has no mean (TextPooler). */
export async function pooledTexts(request: PoolRequest): Promise<PoolOutcome> {
  const { ensembles, texts, signal, onProgress } = request;
  const common = commonKey(request);
  const files = ensembles.map(({ folder, ensemble }) => {
    const madeFrom = createHash("sha256").update(common).update(ensembleKey(ensemble)).digest("hex");
    return { path: join(folder, "pooled", `${madeFrom.slice(0, 16)}.safetensors`), madeFrom };
  });
  const found = await Promise.all(files.map(({ path, madeFrom }) => loadPooled(path, madeFrom)));
  const lacking = ensembles.flatMap(({ ensemble }, at) => (found[at] ? [] : [{ at, ensemble }]));
  const paths = files.map(({ path }) => path);
  if (lacking.length === 0) return { pooled: found as PooledTexts[], files: paths, kept: ensembles.length };
  const model = await request.model();
  const engine = await request.engine();
  const encoders: Encoder[] = [];
  try {
    for (const { ensemble } of lacking)
      encoders.push(inActivationUnits(ensemble, await engine.createEncoder(ensemble)));
    const parts = lacking.map((): PooledTexts[] => []);
    for (let first = 0; first < texts.length; first += TEXTS_A_PART) {
      const end = Math.min(texts.length, first + TEXTS_A_PART);
      const kept = await Promise.all(
        lacking.map(({ at }) => loadPooled(partFile(files[at]!.path, first), files[at]!.madeFrom)),
      );
      const poolers = lacking.map(({ ensemble }, position) =>
        kept[position]
          ? null
          : new TextPooler(encoders[position]!, hookWidth(model.info, request.hookName), ensembleWidth(ensemble)),
      );
      if (poolers.some((pooler) => pooler !== null))
        for (let from = first; from < end; from += TEXTS_AT_A_TIME) {
          signal?.throwIfAborted();
          const { x, lengths } = await captureTexts(request, model, from, Math.min(end, from + TEXTS_AT_A_TIME));
          for (const pooler of poolers) await pooler?.add(x, lengths);
          onProgress?.(Math.min(end, from + TEXTS_AT_A_TIME), texts.length);
        }
      for (const [position, { at }] of lacking.entries()) {
        const part = kept[position] ?? poolers[position]!.result();
        parts[position]!.push(part);
        if (!kept[position] && end < texts.length)
          await savePooled(partFile(files[at]!.path, first), part, files[at]!.madeFrom);
      }
    }
    for (const [position, { at }] of lacking.entries()) {
      const result = joinPooled(parts[position]!);
      await savePooled(files[at]!.path, result, files[at]!.madeFrom);
      rmSync(partsFolder(files[at]!.path), { recursive: true, force: true });
      found[at] = result;
    }
  } finally {
    for (const encoder of encoders) await encoder.close();
  }
  return { pooled: found as PooledTexts[], files: paths, kept: ensembles.length - lacking.length };
}

const partsFolder = (path: string): string => path.replace(/\.safetensors$/, ".parts");
const partFile = (path: string, first: number): string => join(partsFolder(path), `${first}.safetensors`);

/** Ids of a text as it is read: cut to the context, BOS in front where it is wanted and there is one. */
export function textIds(
  text: string,
  tokenizer: Tokenizer,
  { contextSize, prependBos }: Pick<PoolRequest, "contextSize" | "prependBos">,
): number[] {
  const bos = prependBos && tokenizer.bosId !== null ? [tokenizer.bosId] : [];
  const own = tokenizer.encode(text).map(({ id }) => id);
  return [...bos, ...own.slice(0, contextSize - bos.length)];
}

/** Activations of the texts' own tokens, one text after the other. */
async function captureTexts(request: PoolRequest, model: LanguageModel, from: number, to: number) {
  const { texts, hookName } = request;
  const { tokenizer, info } = model;
  const all = texts.slice(from, to).map((text) => textIds(text, tokenizer, request));
  const own = (ids: readonly number[]): number => ids.filter((id) => !tokenizer.specialIds.has(id)).length;
  const lengths = all.map(own);
  const rows = all.filter((_, at) => lengths[at]! > 0);
  if (rows.length === 0) return { x: new Float32Array(), lengths };
  const length = Math.max(...rows.map((ids) => ids.length));
  const batch: TokenBatch = {
    rows: rows.length,
    length,
    ids: Int32Array.from(rows.flatMap((ids) => [...ids, ...new Array<number>(length - ids.length).fill(0)])),
    lengths: Int32Array.from(rows, (ids) => ids.length),
  };
  const values = await model.capture(batch, hookName);
  const d = hookWidth(info, hookName);
  const x = new Float32Array(values.length);
  let kept = 0;
  for (const [row, ids] of rows.entries())
    for (const [t, id] of ids.entries()) {
      if (tokenizer.specialIds.has(id)) continue;
      const at = (row * length + t) * d;
      x.set(values.subarray(at, at + d), kept++ * d);
    }
  return { x: x.subarray(0, kept * d), lengths };
}

/** Everything but the ensemble. A model that was only copied counts as another one: then it is computed once more. */
function commonKey({ texts, hookName, contextSize, prependBos, modelPath }: PoolRequest): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(JSON.stringify(text));
  return JSON.stringify({
    format: 1,
    texts: hash.digest("hex"),
    hookName,
    contextSize,
    prependBos,
    model: modelFiles(modelPath),
  });
}

function modelFiles(path: string): unknown {
  const stamp = (file: string): [number, number] => {
    const { size, mtimeMs } = statSync(file);
    return [size, mtimeMs];
  };
  if (!statSync(path).isDirectory()) return [path, stamp(path)];
  const names = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile());
  return [path, names.map(({ name }) => [name, ...stamp(join(path, name))]).sort()];
}

function ensembleKey({ method, weights, members }: Ensemble): Buffer {
  const hash = createHash("sha256").update(JSON.stringify([method, weights]));
  for (const { config, weights: own } of members) {
    const { metadata: _, ...rest } = config;
    hash.update(JSON.stringify(rest));
    for (const [name, values] of entries(own)) hash.update(name).update(values);
  }
  return hash.digest();
}
