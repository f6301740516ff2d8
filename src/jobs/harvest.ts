// The harvest: texts through the language model up to the hook, activations to the run folder; once for all methods. Goes on behind the last shard that is on disk.

import { readActivationManifest } from "../data/activationManifest.ts";
import { createActivationWriter } from "../data/activationWriter.ts";
import { dataFormat } from "../data/records.ts";
import { removePatiently } from "../formats/filesInUse.ts";
import { InputError } from "../formats/inputError.ts";
import { hookWidth } from "../model/hookPoints.ts";
import type { Tokenizer } from "../model/languageModel.ts";
import { captureWindows } from "./captureWindows.ts";
import { type Experiment, isImported } from "./experiment.ts";
import { experimentTexts, SEPARATORS } from "./experimentTexts.ts";
import { wholeState } from "./fileStates.ts";
import type { JobContext } from "./job.ts";
import { identity } from "./runFolder.ts";

const MOST_SHARD_BYTES = 64 * 2 ** 20;
const LEAST_SHARD_ROWS = 1024;
/** What a stop may lose is the model's work for one shard, so there are this many where they are not too large or too small. */
const SHARDS = 64;
/** Of the held-out part: metrics are of what the model computes, not of what a store makes of it. */
const HELD_OUT_DTYPE = "float32";

export async function harvest(context: JobContext): Promise<void> {
  const { settings } = context.experiment;
  // The small part first: what is wrong with it is known before the long one.
  await harvestHeldOut(context);
  if (settings.activations.store === "disk" && !isImported(context.experiment))
    await harvestPart(context, "train", settings.activations.tokens ?? settings.training_tokens);
}

/** The activations that the metrics are computed on. Made anew where the evaluation's settings have changed. */
export function harvestHeldOut(context: JobContext): Promise<void> {
  return harvestPart(context, "test", context.experiment.settings.evaluation.test_tokens);
}

/** What a harvested part depends on. */
export function harvestIdentity(experiment: Experiment, part: "train" | "test"): unknown {
  const { settings, paths } = experiment;
  const { evaluation } = settings;
  return part === "train"
    ? identity(settings)
    : {
        ...identity(settings),
        file: wholeState(paths.testDataset ?? paths.dataset),
        test: [evaluation.dataset_path ?? null, evaluation.column ?? null, evaluation.test_tokens],
        // It was activations.dtype before.
        dtype: HELD_OUT_DTYPE,
      };
}

async function harvestPart(context: JobContext, part: "train" | "test", tokens: number): Promise<void> {
  const { experiment, run } = context;
  const { settings } = experiment;
  const stage = part === "train" ? "harvest" : "harvest held-out";
  const done = harvestIdentity(experiment, part);
  if (run.isFinished(stage, done)) return;
  const model = await context.model();
  const d_in = hookWidth(model.info, settings.hook_name);
  const dtype = part === "test" ? HELD_OUT_DTYPE : settings.activations.dtype;
  const folder = part === "train" ? run.paths.trainActivations : run.paths.testActivations;
  const options = {
    d_in,
    dtype,
    shardRows: shardRows(tokens, d_in * (dtype === "float16" ? 2 : 4)),
    provenance: {
      model_name: settings.model_name,
      hook_name: settings.hook_name,
      dataset_path:
        part === "test" && settings.evaluation.dataset_path ? settings.evaluation.dataset_path : settings.dataset_path,
      context_size: settings.context_size,
      prepend_bos: settings.prepend_bos,
      // Metrics leave special tokens out whatever the training does.
      exclude_special_tokens: part === "test" || settings.exclude_special_tokens,
      packing: settings.packing,
      part,
      tokens,
      // The run folder keeps to what the training part depends on; the held-out part's may change from job to job.
      ...(part === "test" && { identity: done }),
    },
  };
  const writer = await createActivationWriter(folder, options).catch(async (error) => {
    // The part that is trained on belongs to the run; the held-out part only to its evaluation.
    if (part === "train" || !(error instanceof InputError)) throw error;
    await removePatiently(folder);
    return createActivationWriter(folder, options);
  });
  if (!writer.complete) {
    const cursor = writer.cursor as HarvestCursor | null;
    let windows = cursor?.windows ?? 0;
    let rows = writer.manifest.rows;
    if (windows > 0) context.log("info", `${stage}: goes on after ${rows.toLocaleString("en")} tokens`);
    context.progress(stage, rows, tokens, "tokens");
    for await (const chunk of captureWindows(experiment, part, model, windows)) {
      context.signal.throwIfAborted();
      const kept = Math.min(chunk.rows, tokens - rows);
      windows = chunk.windows;
      await writer.append(chunk.x.subarray(0, kept * d_in), kept, { cursor: { windows } satisfies HarvestCursor });
      rows += kept;
      if (rows >= tokens) break;
      context.progress(stage, rows, tokens, "tokens");
    }
    if (rows === 0) throw await nothingHarvested(experiment, part, model.tokenizer);
    await writer.finish();
    if (rows < tokens) {
      const fewer = `the text has ${rows.toLocaleString("en")} tokens, fewer than the ${tokens.toLocaleString("en")} asked for`;
      const so = part === "train" ? "training reads them several times" : "metrics are over those";
      context.log("info", `${stage}: ${fewer}; ${so}`);
    }
    context.progress(stage, rows, rows, "tokens");
  }
  await run.finishStage(stage, done);
}

function shardRows(tokens: number, rowBytes: number): number {
  const wanted = Math.max(LEAST_SHARD_ROWS, Math.ceil(tokens / SHARDS));
  return Math.max(1, Math.min(wanted, Math.floor(MOST_SHARD_BYTES / rowBytes)));
}

interface HarvestCursor {
  /** Windows whose activations are on disk. */
  readonly windows: number;
}

/** There are texts (see checkTexts), but no window of theirs has a token to keep. */
async function nothingHarvested(
  experiment: Experiment,
  part: "train" | "test",
  tokenizer: Tokenizer,
): Promise<InputError> {
  const { settings, paths } = experiment;
  const file = part === "test" ? (paths.testDataset ?? paths.dataset) : paths.dataset;
  let [documents, tokens] = [0, 0];
  for await (const { text } of experimentTexts(experiment, part)) {
    documents++;
    tokens += tokenizer.encode(text).length;
  }
  const { context_size } = settings;
  if (settings.packing === "one_text_per_row" || tokens > context_size)
    return new InputError({ file, found: "no tokens but special ones", expected: "text" });
  const shared = part === "test" && paths.testDataset === undefined;
  const more = [
    `more text${shared ? `, a larger evaluation.test_share than ${settings.evaluation.test_share}` : ""}`,
    'a smaller context_size or packing "one_text_per_row"',
    ...(dataFormat(file) === "txt" && shared ? [`more documents: ${SEPARATORS}`] : []),
  ];
  return new InputError({
    file,
    found: `${part === "test" ? "held-out " : ""}text of ${tokens} tokens in ${documents === 1 ? "1 document" : `${documents} documents`}, which fills no window of context_size ${context_size}`,
    expected: more.join("; or "),
  });
}

/** Tokens that were harvested for training. */
export async function harvestedTokens(context: JobContext): Promise<number> {
  const manifest = await readActivationManifest(context.run.paths.trainActivations);
  if (!manifest?.complete)
    throw new InputError({
      file: context.run.paths.trainActivations,
      found: "no complete harvest",
      expected: "one: run harvest first",
    });
  return manifest.rows;
}
