// The halves of a model that keeps no keys and values: every append goes through the whole row anew. Slow, and right for any model with hooks.
import type { Continued, HookContinuation, HookReader, Wanted } from "./hookedSequence.ts";
import { hookWidth } from "./hookPoints.ts";
import type { LanguageModel, TokenBatch } from "./languageModel.ts";

type Model = Pick<LanguageModel, "info" | "capture" | "logits">;

export class RecomputedReader implements HookReader {
  private readonly model: Model;
  private readonly hookName: string;
  private ids: Int32Array;

  constructor(model: Model, hookName: string, ids: Int32Array = new Int32Array(0)) {
    this.model = model;
    this.hookName = hookName;
    this.ids = ids;
  }

  get length(): number {
    return this.ids.length;
  }

  async append(ids: Int32Array, signal?: AbortSignal): Promise<Float32Array> {
    signal?.throwIfAborted();
    if (ids.length === 0) return new Float32Array(0);
    const all = Int32Array.of(...this.ids, ...ids);
    const values = await this.model.capture(oneRow(all), this.hookName);
    const before = this.ids.length;
    this.ids = all;
    return values.slice(before * hookWidth(this.model.info, this.hookName));
  }

  truncate(length: number): void {
    this.ids = shortened(this.ids, length);
  }

  fork(): HookReader {
    return new RecomputedReader(this.model, this.hookName, this.ids);
  }
}

export class RecomputedContinuation implements HookContinuation {
  private readonly model: Model;
  private readonly hookName: string;
  private ids: Int32Array;
  /** At least [length, d]. */
  private values: Float32Array;

  constructor(
    model: Model,
    hookName: string,
    ids: Int32Array = new Int32Array(0),
    values: Float32Array = new Float32Array(0),
  ) {
    this.model = model;
    this.hookName = hookName;
    this.ids = ids;
    this.values = values;
  }

  get length(): number {
    return this.ids.length;
  }

  async append(ids: Int32Array, values: Float32Array, wanted: Wanted, signal?: AbortSignal): Promise<Continued> {
    const { dVocab } = this.model.info;
    const d = hookWidth(this.model.info, this.hookName);
    const { targets } = wanted;
    if (values.length !== ids.length * d)
      throw new RangeError(`${values.length} values at the hook for ${ids.length} tokens of width ${d}`);
    if (targets && targets.length !== ids.length)
      throw new RangeError(`${targets.length} targets for ${ids.length} tokens`);
    signal?.throwIfAborted();
    const before = this.ids.length;
    const allIds = Int32Array.of(...this.ids, ...ids);
    const all = new Float32Array(allIds.length * d);
    all.set(this.values.subarray(0, before * d));
    all.set(values, before * d);
    const logprobs = new Float32Array(targets ? ids.length : 0).fill(Number.NaN);
    const ranks = new Float32Array(targets ? ids.length : 0).fill(Number.NaN);
    let last = new Float32Array(0);
    if (ids.length > 0 && (wanted.logits || targets?.some((target) => target >= 0))) {
      const batch = oneRow(allIds);
      const own = await this.model.capture(batch, this.hookName);
      const delta = all.map((value, at) => value - own[at]!);
      const logits = await this.model.logits(batch, { hookName: this.hookName, delta });
      for (const [i, target] of (targets ?? []).entries()) {
        if (target < 0) continue;
        const row = logits.subarray((before + i) * dVocab, (before + i + 1) * dVocab);
        logprobs[i] = logprobOf(row, target);
        ranks[i] = row.reduce((better, logit) => better + Number(logit > row[target]!), 0);
      }
      if (wanted.logits) last = logits.slice((allIds.length - 1) * dVocab);
    }
    this.ids = allIds;
    this.values = all;
    return { logprobs, ranks, logits: last };
  }

  truncate(length: number): void {
    this.ids = shortened(this.ids, length);
  }

  fork(): HookContinuation {
    return new RecomputedContinuation(this.model, this.hookName, this.ids, this.values);
  }
}

function oneRow(ids: Int32Array): TokenBatch {
  return { rows: 1, length: ids.length, ids, lengths: Int32Array.of(ids.length) };
}

function shortened(ids: Int32Array, length: number): Int32Array {
  if (!(length >= 0 && length <= ids.length)) throw new RangeError(`${length} of ${ids.length} tokens`);
  return ids.slice(0, length);
}

function logprobOf(logits: Float32Array, token: number): number {
  const most = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
  return logits[token]! - most - Math.log(sum);
}
