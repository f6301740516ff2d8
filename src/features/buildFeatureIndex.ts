// Builds a feature index from rows of tokens: runs model and encoder over them, then cosines and logits, and writes one SQLite file.
import { mkdir, open, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setImmediate as eventLoopTurn } from "node:timers/promises";
import type { Encoder, SparseCodes } from "../engine/engine.ts";
import { removePatiently, renamePatiently } from "../formats/filesInUse.ts";
import type { LanguageModel, TokenBatch } from "../model/languageModel.ts";
import { type Ensemble, ensembleWidth } from "../sae/ensemble.ts";
import { CodeJournal } from "./codeJournal.ts";
import { CorpusPass } from "./corpusPass.ts";
import { memberRanges } from "./decoderRows.ts";
import { checkedIndexOptions, type FeatureIndexOptions } from "./featureIndexOptions.ts";
import type { IndexRow } from "./indexWindows.ts";
import { IndexWriter } from "./indexWriter.ts";
import { logitAttributions } from "./logitAttribution.ts";
import { nearestFeatures } from "./nearestFeatures.ts";

export interface FeatureIndexProgress {
  readonly stage: "activations" | "features" | "nearest" | "logits" | "contexts";
  readonly done: number;
  /** null while unknown. */
  readonly total: number | null;
  readonly unit: "tokens" | "features" | "windows";
}

export interface FeatureIndexBuild {
  /** The index's file; replaced when the new one is complete, untouched until then. */
  readonly path: string;
  readonly ensemble: Ensemble;
  /** Of the same ensemble. */
  readonly encoder: Encoder;
  readonly model: Pick<LanguageModel, "info" | "tokenizer" | "capture" | "unembed">;
  /** The text, tokenized as the ensemble was trained (contexts, BOS); ends when enough is seen. */
  readonly rows: AsyncIterable<IndexRow>;
  /** Left out of everything but contexts; default the tokenizer's special tokens. */
  readonly excludedIds?: ReadonlySet<number>;
  /** What the rows come from, to be found in the index's info; JSON. */
  readonly source?: Readonly<Record<string, unknown>>;
  /** For progress. */
  readonly totalTokens?: number;
  readonly options?: Partial<FeatureIndexOptions>;
  /**
   * What rows and codes depend on (text, ensemble, model, engine), JSON; asked for behind the first codes, which an engine may need to
   * choose a device. With it the codes are kept on disk while the index is built, and a build that was interrupted goes on behind the
   * last of them, to the same index.
   */
  readonly identity?: () => unknown;
  /** Told once, before the first codes are computed: tokens whose codes were there already, 0 in a new build. */
  readonly onBegun?: (tokens: number) => void;
  readonly onProgress?: (progress: FeatureIndexProgress) => void;
  readonly signal?: AbortSignal;
}

const JOURNAL = "codes.journal";

/**
 * One pass over the rows in bounded memory; the result depends on rows, ensemble and options alone, not on batches. A build that is aborted or fails
 * leaves the codes that it has computed, if it was given an identity, and otherwise nothing; one that is killed leaves a folder
 * `.NAME.building`, of which the next build of the same file uses the codes and clears away the rest. Two builds of one file at a
 * time are not provided for.
 */
export async function buildFeatureIndex(build: FeatureIndexBuild): Promise<void> {
  const options = checkedIndexOptions(build.options);
  const folder = join(dirname(build.path), `.${basename(build.path)}.building`);
  const resumable = build.identity !== undefined;
  await clear(folder, resumable);
  await mkdir(folder, { recursive: true });
  const finished = join(folder, "index.sqlite");
  const { ensemble, model, signal } = build;
  const writer = new IndexWriter(finished, join(folder, "windows.sqlite"), memberRanges(ensemble), options);
  let journal: CodeJournal | undefined;
  const openJournal = (): CodeJournal | undefined => {
    const identity = JSON.stringify({ identity: build.identity?.(), options });
    if (resumable) journal = new CodeJournal(join(folder, JOURNAL), identity, ensembleWidth(ensemble));
    return journal;
  };
  let pass: CorpusPass | undefined;
  let done = false;
  try {
    const { tokenizer } = model;
    pass = new CorpusPass({
      features: ensembleWidth(ensemble),
      vocabularySize: Math.max(tokenizer.vocabularySize, model.info.dVocab),
      excludedIds: build.excludedIds ?? tokenizer.specialIds,
      windowTokens: options.windowTokens,
      leadTokens: options.leadTokens,
      top: options.topSequences,
      sample: options.sampledSequences,
      seed: options.seed,
      chunkActivations: options.chunkActivations,
      maxPairs: options.maxPairs,
      folder,
      onWindow: (number, row, window) => writer.window(number, row, window, tokenizer),
    });
    await runCorpus(build, options, pass, openJournal);
    await writer.features(pass, tokenizer, (done) => report(build, "features", done), signal);
    const nearest = nearestFeatures(ensemble, {
      perMember: options.nearestPerMember,
      onProgress: (done) => report(build, "nearest", done),
      ...(signal ? { signal } : {}),
    });
    for await (const { feature, nearest: lists } of nearest) writer.nearest(feature, lists);
    const logits = logitAttributions(ensemble, model, {
      count: options.logits,
      onProgress: (done) => report(build, "logits", done),
      ...(signal ? { signal } : {}),
    });
    for await (const { feature, top, bottom } of logits) writer.logits(feature, top, bottom);
    await writer.contexts(
      (done, total) => build.onProgress?.({ stage: "contexts", done, total, unit: "windows" }),
      signal,
    );
    writer.finish({
      method: ensemble.method,
      hook: ensemble.hook,
      modelName: model.info.modelName,
      tokens: pass.counted,
      source: { ...build.source },
    });
    await flushed(finished);
    // Whoever browses the index of before has it open.
    await renamePatiently(finished, build.path, { ask: dirname(build.path) });
    done = true;
  } finally {
    pass?.close();
    writer.close();
    journal?.close();
    await clear(folder, resumable && !done);
  }
}

/** Removes the folder of a build, or all of it but the codes. */
async function clear(folder: string, keepCodes: boolean): Promise<void> {
  if (!keepCodes) return removePatiently(folder);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (name !== JOURNAL) await removePatiently(join(folder, name));
}

/** SQLite was told not to wait for the disk; the finished file must be on it before it takes the old one's place. */
async function flushed(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function report(build: FeatureIndexBuild, stage: "features" | "nearest" | "logits", done: number): void {
  build.onProgress?.({ stage, done, total: ensembleWidth(build.ensemble), unit: "features" });
}

/** Rows in batches through model and encoder, or their codes from the journal; left-out tokens are not encoded. */
async function runCorpus(
  build: FeatureIndexBuild,
  options: FeatureIndexOptions,
  pass: CorpusPass,
  openJournal: () => CodeJournal | undefined,
): Promise<void> {
  const excluded = build.excludedIds ?? build.model.tokenizer.specialIds;
  let batch: IndexRow[] = [];
  let tokens = 0;
  let begun = false;
  const begin = (): void => {
    if (!begun) build.onBegun?.(pass.counted);
    begun = true;
  };
  const compute = async (): Promise<SparseCodes> => {
    const tokenBatch = padded(batch);
    const captured = await build.model.capture(tokenBatch, build.ensemble.hook);
    const { x, rows } = withoutExcluded(captured, tokenBatch, excluded);
    return build.encoder.codes(x, rows);
  };
  let journal: CodeJournal | undefined;
  let opened = false;
  const codesOfBatch = async (): Promise<{ codes: SparseCodes; kept: boolean }> => {
    // The first batch is computed also where its codes are kept: it may choose the device, and codes of another one are not gone on with.
    const computed = opened ? undefined : await compute();
    if (!opened) journal = openJournal();
    opened = true;
    const kept = journal?.next(countedTokens(batch, excluded));
    if (kept) return { codes: kept, kept: true };
    begin();
    return { codes: computed ?? (await compute()), kept: false };
  };
  const run = async () => {
    build.signal?.throwIfAborted();
    const { codes, kept } = await codesOfBatch();
    let code = 0;
    for (const row of batch) code += pass.add(row, codes, code);
    // Behind what refuses codes that are no numbers: kept, they would be refused in every later build as well.
    if (!kept) journal?.put(codes);
    batch = [];
    tokens = 0;
    build.onProgress?.({ stage: "activations", done: pass.counted, total: build.totalTokens ?? null, unit: "tokens" });
    // Signals and timers get their turn even where model and encoder never wait.
    await eventLoopTurn();
  };
  for await (const row of build.rows) {
    if (row.ids.length === 0) continue;
    batch.push(row);
    tokens += row.ids.length;
    if (tokens >= options.batchTokens) await run();
  }
  if (batch.length > 0) await run();
  begin();
  build.signal?.throwIfAborted();
  pass.flush();
}

function countedTokens(rows: readonly IndexRow[], excluded: ReadonlySet<number>): number {
  let counted = 0;
  for (const { ids } of rows) for (const id of ids) if (!excluded.has(id)) counted++;
  return counted;
}

function padded(rows: readonly IndexRow[]): TokenBatch {
  const lengths = Int32Array.from(rows, (row) => row.ids.length);
  const length = lengths.reduce((longest, n) => Math.max(longest, n), 0);
  const ids = new Int32Array(rows.length * length);
  rows.forEach((row, r) => {
    ids.set(row.ids, r * length);
  });
  return { rows: rows.length, length, ids, lengths };
}

/** Rows of x for the counted tokens, one after the other. */
function withoutExcluded(x: Float32Array, batch: TokenBatch, excluded: ReadonlySet<number>) {
  const d = x.length / (batch.rows * batch.length);
  const kept = new Float32Array(x.length);
  let rows = 0;
  for (let r = 0; r < batch.rows; r++) {
    for (let t = 0; t < batch.lengths[r]!; t++) {
      const position = r * batch.length + t;
      if (excluded.has(batch.ids[position]!)) continue;
      kept.set(x.subarray(position * d, (position + 1) * d), rows++ * d);
    }
  }
  return { x: kept.subarray(0, rows * d), rows };
}
