// What the model loses when it runs on reconstructions: cross-entropy and KL recovered, streamed over batches of tokens.
import type { Encoder } from "../engine/engine.ts";
import { hookWidth } from "../model/hookPoints.ts";
import type { LanguageModel, TokenBatch } from "../model/languageModel.ts";
import { type Metric, metric, unavailable } from "./metric.ts";
import { crossEntropy, divergence, logSumExp } from "./nextTokenLosses.ts";

/**
 * Which tokens count.
 * "input_and_target": positions whose token and next token are both real and not special; the default, for CE and KL alike.
 * "input": every position whose token is real and not special; CE where a real token follows, be it special (an end of text
 * counts as a target, as in SAELens and SAEBench with ignore_tokens, but padding never does).
 */
export type CountedTokens = "input_and_target" | "input";

export interface ModelMetricsOptions {
  readonly counted?: CountedTokens;
  /** Windows are taken until so many tokens count, the last one whole; all if left out. */
  readonly tokens?: number;
  /** Most bytes of logits held at once for one condition; batches are cut into rows to fit. */
  readonly logitsMemory?: number;
  readonly signal?: AbortSignal;
  /** Tokens that count so far. */
  readonly onProgress?: (tokens: number) => void;
}

export const LOGITS_MEMORY = 2 ** 28;

export interface ModelMetrics {
  readonly counted: CountedTokens;
  /** Positions that the cross-entropies are averaged over. */
  readonly ce_tokens: number;
  /** Positions that the divergences are averaged over. */
  readonly kl_tokens: number;
  /** Mean cross-entropy in nats: of the model, with the reconstruction at the hook, with zero at the hook. */
  readonly ce_loss_without_sae: Metric;
  readonly ce_loss_with_sae: Metric;
  readonly ce_loss_with_ablation: Metric;
  /** Mean KL(model ‖ ·) in nats. */
  readonly kl_div_with_sae: Metric;
  readonly kl_div_with_ablation: Metric;
  /** (CE_zero − CE_sae)/(CE_zero − CE_orig) */
  readonly ce_loss_score: Metric;
  /** (KL_zero − KL_sae)/KL_zero */
  readonly kl_div_score: Metric;
}

/**
 * One result for each encoder; the model's own logits and those of the zero condition are computed once for all.
 * With an SAE, special positions keep their own activation; in the zero condition the hook is 0 at every position.
 */
export async function modelMetrics(
  model: LanguageModel,
  hookName: string,
  encoders: readonly Encoder[],
  batches: AsyncIterable<TokenBatch> | Iterable<TokenBatch>,
  options: ModelMetricsOptions = {},
): Promise<ModelMetrics[]> {
  const counted = options.counted ?? "input_and_target";
  const { dVocab } = model.info;
  const d = hookWidth(model.info, hookName);
  const { specialIds } = model.tokenizer;
  const original = new LossSums();
  const ablated = new LossSums();
  const reconstructed = encoders.map(() => new LossSums());
  const wanted = options.tokens ?? Number.POSITIVE_INFINITY;
  let tokens = 0;
  for await (const whole of batches) {
    const needed = someRows(whole, 0, rowsNeeded(whole, specialIds, counted, wanted - tokens));
    const rowsThatFit = Math.floor((options.logitsMemory ?? LOGITS_MEMORY) / (4 * whole.length * dVocab));
    for (const batch of inParts(needed, Math.max(1, rowsThatFit))) {
      options.signal?.throwIfAborted();
      const positions = countedPositions(batch, specialIds, counted);
      const acts = await model.capture(batch, hookName);
      // By the graph that takes a delta: one without would be another session, with all of the model's weights once more.
      const unchanged = { hookName, delta: new Float32Array(acts.length) };
      const reference = new Reference(await model.logits(batch, unchanged), dVocab, positions);
      original.add(reference, reference.logits);
      const zero = acts.map((value) => -value);
      ablated.add(reference, await model.logits(batch, { hookName, delta: zero }));
      const replaced = realPositions(batch, specialIds);
      const x = gather(acts, replaced, d);
      for (const [e, encoder] of encoders.entries()) {
        const delta = new Float32Array(acts.length);
        const { reconstruction } =
          replaced.length > 0 ? await encoder.encode(x, replaced.length) : { reconstruction: x };
        replaced.forEach((position, r) => {
          for (let j = 0; j < d; j++) delta[position * d + j] = reconstruction[r * d + j]! - x[r * d + j]!;
        });
        reconstructed[e]!.add(reference, await model.logits(batch, { hookName, delta }));
      }
      tokens += positions.length;
      options.onProgress?.(tokens);
    }
    if (tokens >= wanted) break;
  }
  return reconstructed.map((sae) => scores(counted, original, sae, ablated));
}

/** A position that counts; target is the next token's id, or −1 where only the divergence counts. */
interface CountedPosition {
  /** row·T + t */
  readonly position: number;
  readonly target: number;
}

function countedPositions(batch: TokenBatch, special: ReadonlySet<number>, counted: CountedTokens): CountedPosition[] {
  const positions: CountedPosition[] = [];
  for (let row = 0; row < batch.rows; row++) {
    const length = batch.lengths[row]!;
    for (let t = 0; t < length; t++) {
      const position = row * batch.length + t;
      if (special.has(batch.ids[position]!)) continue;
      const target = t + 1 < length ? batch.ids[position + 1]! : -1;
      if (counted === "input" || (target >= 0 && !special.has(target))) positions.push({ position, target });
    }
  }
  return positions;
}

/** How many of the batch's rows it takes until so many tokens count; all where they are too few. */
function rowsNeeded(batch: TokenBatch, special: ReadonlySet<number>, counted: CountedTokens, tokens: number): number {
  const last = countedPositions(batch, special, counted)[tokens - 1];
  return last === undefined ? batch.rows : Math.floor(last.position / batch.length) + 1;
}

function realPositions(batch: TokenBatch, special: ReadonlySet<number>): number[] {
  const positions: number[] = [];
  for (let row = 0; row < batch.rows; row++) {
    for (let t = 0; t < batch.lengths[row]!; t++) {
      const position = row * batch.length + t;
      if (!special.has(batch.ids[position]!)) positions.push(position);
    }
  }
  return positions;
}

function gather(acts: Float32Array, positions: readonly number[], d: number): Float32Array {
  const x = new Float32Array(positions.length * d);
  positions.forEach((position, r) => {
    x.set(acts.subarray(position * d, (position + 1) * d), r * d);
  });
  return x;
}

function* inParts(batch: TokenBatch, rows: number): Generator<TokenBatch> {
  for (let row = 0; row < batch.rows; row += rows) {
    yield someRows(batch, row, Math.min(batch.rows, row + rows));
  }
}

function someRows({ length, ids, lengths }: TokenBatch, from: number, to: number): TokenBatch {
  return { rows: to - from, length, ids: ids.slice(from * length, to * length), lengths: lengths.slice(from, to) };
}

/** The model's own logits of one part of a batch, with their normalisers at the positions that count. */
class Reference {
  readonly logits: Float32Array;
  readonly dVocab: number;
  readonly positions: readonly CountedPosition[];
  readonly logNormalisers: Float64Array;

  constructor(logits: Float32Array, dVocab: number, positions: readonly CountedPosition[]) {
    this.logits = logits;
    this.dVocab = dVocab;
    this.positions = positions;
    this.logNormalisers = Float64Array.from(positions, ({ position }) => logSumExp(logits, position * dVocab, dVocab));
  }
}

class LossSums {
  private ce = 0;
  private kl = 0;
  ceTokens = 0;
  klTokens = 0;

  add(reference: Reference, logits: Float32Array): void {
    const { dVocab, positions, logNormalisers } = reference;
    const same = logits === reference.logits;
    for (const [i, { position, target }] of positions.entries()) {
      const at = position * dVocab;
      const logNormaliser = same ? logNormalisers[i]! : logSumExp(logits, at, dVocab);
      if (target >= 0) {
        this.ce += crossEntropy(logits, at, logNormaliser, target);
        this.ceTokens++;
      }
      if (!same) {
        const own = { logits: reference.logits, at, logNormaliser: logNormalisers[i]! };
        this.kl += divergence(own, { logits, at, logNormaliser }, dVocab);
      }
      this.klTokens++;
    }
  }

  meanCe(): number {
    return this.ce / this.ceTokens;
  }

  meanKl(): number {
    return this.kl / this.klTokens;
  }
}

function scores(counted: CountedTokens, original: LossSums, sae: LossSums, zero: LossSums): ModelMetrics {
  const missing =
    original.klTokens === 0
      ? "no token counts: each is special, padding or followed by one that is"
      : "logits not finite";
  const [ceOrig, ceSae, ceZero] = [original.meanCe(), sae.meanCe(), zero.meanCe()];
  const [klSae, klZero] = [sae.meanKl(), zero.meanKl()];
  return {
    counted,
    ce_tokens: original.ceTokens,
    kl_tokens: original.klTokens,
    ce_loss_without_sae: metric(ceOrig, missing),
    ce_loss_with_sae: metric(ceSae, missing),
    ce_loss_with_ablation: metric(ceZero, missing),
    kl_div_with_sae: metric(klSae, missing),
    kl_div_with_ablation: metric(klZero, missing),
    ce_loss_score:
      ceZero <= ceOrig
        ? unavailable("zero at the hook doesn't raise the cross-entropy: there is no loss to recover")
        : metric((ceZero - ceSae) / (ceZero - ceOrig), missing),
    kl_div_score:
      klZero <= 0
        ? unavailable("zero at the hook doesn't change the model's distribution: there is no divergence to recover")
        : metric((klZero - klSae) / klZero, missing),
  };
}
