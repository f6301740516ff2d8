// Texts → windows of tokens → activations at the hook, a batch of windows at a time; for the harvest and for training on the fly.
import type { ActivationProducer } from "../data/mixingBuffer.ts";
import { hookWidth } from "../model/hookPoints.ts";
import type { LanguageModel, TokenBatch, Tokenizer } from "../model/languageModel.ts";
import { type TokenWindow, tokenWindows } from "../model/windows.ts";
import { type Experiment, experimentError } from "./experiment.ts";
import { experimentTexts, type TextPart } from "./experimentTexts.ts";

export interface CapturedChunk {
  /** [rows, d] */
  readonly x: Float32Array;
  readonly rows: number;
  /** Windows read so far, those of this chunk included. */
  readonly windows: number;
}

/** The windows of a part of the experiment's texts. */
export function experimentWindows(
  experiment: Experiment,
  part: TextPart,
  model: LanguageModel,
): AsyncGenerator<TokenWindow> {
  const { context_size, prepend_bos, packing } = experiment.settings;
  return tokenWindows(experimentTexts(experiment, part), model.tokenizer, {
    contextSize: context_size,
    prependBos: prepend_bos,
    packing,
  });
}

/** Activations of a part from window `skip` on, in order; chunks without a row are left out. Special tokens as the experiment says; never for "test". */
export async function* captureWindows(
  experiment: Experiment,
  part: "train" | "test",
  model: LanguageModel,
  skip = 0,
): AsyncGenerator<CapturedChunk> {
  const { settings } = experiment;
  const excluded = excludedIds(experiment, part, model.tokenizer);
  const d = hookWidth(model.info, settings.hook_name);
  let windows = 0;
  for await (const batch of windowBatches(
    experimentWindows(experiment, part, model),
    settings.store_batch_size_prompts,
  )) {
    windows += batch.rows;
    if (windows <= skip) continue;
    const values = await model.capture(batch, settings.hook_name);
    const chunk = keptRows(batch, values, d, excluded);
    if (chunk.rows > 0) yield { ...chunk, windows };
  }
}

function excludedIds(
  { settings, file }: Experiment,
  part: "train" | "test",
  tokenizer: Tokenizer,
): ReadonlySet<number> {
  const { exclude_special_tokens: wanted } = settings;
  if (part === "test" || wanted === true) return tokenizer.specialIds;
  if (wanted === false) return new Set();
  const { vocabularySize } = tokenizer;
  const beyond = wanted.findIndex((id) => id >= vocabularySize);
  if (beyond >= 0)
    throw experimentError(
      file,
      `exclude_special_tokens.${beyond}`,
      `${wanted[beyond]}`,
      `a token's id, below ${vocabularySize}`,
    );
  return new Set(wanted);
}

/** The training part as a producer for a mixing buffer, over and over again. Its cursor is the window in the texts. */
export async function openWindowProducer(
  experiment: Experiment,
  model: LanguageModel,
  cursor: unknown,
): Promise<ActivationProducer> {
  let windows = (cursor as { windows: number } | null)?.windows ?? 0;
  let chunks = captureWindows(experiment, "train", model, windows);
  return {
    async next() {
      for (;;) {
        const { value, done } = await chunks.next();
        if (!done) {
          windows = value.windows;
          return { x: value.x, rows: value.rows };
        }
        // A whole pass without a row would never end.
        if (windows === 0) return null;
        windows = 0;
        chunks = captureWindows(experiment, "train", model);
      }
    },
    cursor: () => ({ windows }),
    close: async () => void (await chunks.return(undefined)),
  };
}

/** Rows at which the mixing buffer of a training on the fly counts as full. */
export function mixingRows(settings: Experiment["settings"]): number {
  return settings.n_batches_in_buffer * settings.store_batch_size_prompts * settings.context_size;
}

/** Windows in batches of `size`; the last may be smaller. */
export async function* windowBatches(windows: AsyncIterable<TokenWindow>, size: number): AsyncGenerator<TokenBatch> {
  let rows: TokenWindow[] = [];
  for await (const window of windows) {
    rows.push(window);
    if (rows.length < size) continue;
    yield tokenBatch(rows);
    rows = [];
  }
  if (rows.length > 0) yield tokenBatch(rows);
}

function tokenBatch(windows: readonly TokenWindow[]): TokenBatch {
  const lengths = Int32Array.from(windows, (window) => window.ids.length);
  const length = Math.max(...lengths);
  const ids = new Int32Array(windows.length * length);
  for (const [row, window] of windows.entries()) ids.set(window.ids, row * length);
  return { rows: windows.length, length, ids, lengths };
}

/** Rows of real tokens that are not excluded, side by side. */
function keptRows(batch: TokenBatch, values: Float32Array, d: number, excluded: ReadonlySet<number>) {
  const x = new Float32Array(values.length);
  let rows = 0;
  for (let row = 0; row < batch.rows; row++) {
    for (let t = 0; t < batch.lengths[row]!; t++) {
      const position = row * batch.length + t;
      if (excluded.has(batch.ids[position]!)) continue;
      x.set(values.subarray(position * d, (position + 1) * d), rows * d);
      rows++;
    }
  }
  return { x: x.subarray(0, rows * d), rows };
}
