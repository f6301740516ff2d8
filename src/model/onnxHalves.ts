// Halves of a decoder run by onnxruntime, piece by piece, with keys and values kept in memory that each run reads and extends in place.
import * as ort from "onnxruntime-node";
import { RESULT } from "./decoderGraphs.ts";
import { type HalfGraph, HOOK_VALUES, LOGPROBS, RANKS, TARGETS, WANTED } from "./halfGraphs.ts";
import { type Continued, type HookContinuation, type HookReader, stepEnds, type Wanted } from "./hookedSequence.ts";

/** What a half needs of its model. */
export interface HalfRunner {
  readonly contextSize: number;
  /** Of the values at the hook where the halves meet. */
  readonly width: number;
  readonly dVocab: number;
  readonly graph: HalfGraph;
  /** Inputs that say where tokens `from`…`to` − 1 of a single row stand. */
  places(from: number, to: number): Readonly<Record<string, ort.Tensor>>;
  /** Inputs that the graph doesn't have are left out. */
  run(
    inputs: Readonly<Record<string, ort.Tensor>>,
    outputs: Readonly<Record<string, ort.Tensor | null>>,
  ): Promise<Readonly<Record<string, ort.Tensor>>>;
}

/** Tokens that the memory of a row is first made for. */
const FIRST_CAPACITY = 128;

/** Keys and values of one row. */
class KeptRow {
  length = 0;
  private capacity = 0;
  private memory: ReadonlyMap<string, Float32Array> = new Map();
  private readonly runner: HalfRunner;

  constructor(runner: HalfRunner) {
    this.runner = runner;
  }

  /** Runs tokens `length`…`to` − 1 and keeps theirs. */
  async step(
    to: number,
    inputs: Readonly<Record<string, ort.Tensor>>,
    outputs: readonly string[],
  ): Promise<Readonly<Record<string, ort.Tensor>>> {
    this.reserve(to);
    const feeds: Record<string, ort.Tensor> = { ...this.runner.places(this.length, to), ...inputs };
    const fetches: Record<string, ort.Tensor | null> = Object.fromEntries(outputs.map((name) => [name, null]));
    for (const { past, present, kvHeads, width } of this.runner.graph.caches.values()) {
      const kept = new ort.Tensor("float32", this.memory.get(past)!, [1, kvHeads, this.capacity, width]);
      feeds[past] = kept;
      fetches[present] = kept;
    }
    const results = await this.runner.run(feeds, fetches);
    this.length = to;
    return results;
  }

  copy(): KeptRow {
    const copy = new KeptRow(this.runner);
    copy.length = this.length;
    copy.capacity = this.capacity;
    copy.memory = new Map(Array.from(this.memory, ([name, values]) => [name, values.slice()]));
    return copy;
  }

  private reserve(tokens: number): void {
    if (tokens <= this.capacity) return;
    const capacity = Math.min(
      this.runner.contextSize,
      Math.max(FIRST_CAPACITY, 2 ** Math.ceil(Math.log2(Math.max(1, tokens)))),
    );
    const memory = new Map<string, Float32Array>();
    for (const { past, kvHeads, width } of this.runner.graph.caches.values()) {
      const values = new Float32Array(kvHeads * capacity * width);
      const before = this.memory.get(past);
      for (let head = 0; before && head < kvHeads; head++) {
        const start = head * this.capacity * width;
        values.set(before.subarray(start, start + this.length * width), head * capacity * width);
      }
      memory.set(past, values);
    }
    this.memory = memory;
    this.capacity = capacity;
  }
}

abstract class Half {
  protected readonly runner: HalfRunner;
  protected readonly row: KeptRow;

  constructor(runner: HalfRunner, row = new KeptRow(runner)) {
    this.runner = runner;
    this.row = row;
  }

  get length(): number {
    return this.row.length;
  }

  truncate(length: number): void {
    if (!(length >= 0 && length <= this.length)) throw new RangeError(`${length} of ${this.length} tokens`);
    this.row.length = length;
  }

  /** Runs `step` over pieces; if one fails or the signal comes between two, nothing has been read. */
  protected async inSteps(
    ids: Int32Array,
    signal: AbortSignal | undefined,
    step: (from: number, to: number) => Promise<void>,
  ): Promise<void> {
    const before = this.length;
    const { contextSize, dVocab } = this.runner;
    if (before + ids.length > contextSize)
      throw new RangeError(`a row of ${before + ids.length} tokens, the model's context is ${contextSize}`);
    const wrong = ids.find((id) => !(id >= 0 && id < dVocab));
    if (wrong !== undefined) throw new RangeError(`token id ${wrong}: the vocabulary has ${dVocab}`);
    try {
      let from = before;
      for (const to of stepEnds(before, ids.length)) {
        signal?.throwIfAborted();
        await step(from - before, to - before);
        from = to;
      }
    } catch (error) {
      this.row.length = before;
      throw error;
    }
  }
}

export class OnnxHookReader extends Half implements HookReader {
  async append(ids: Int32Array, signal?: AbortSignal): Promise<Float32Array> {
    const { width } = this.runner;
    const values = new Float32Array(ids.length * width);
    await this.inSteps(ids, signal, async (from, to) => {
      const part = ids.slice(from, to);
      const results = await this.row.step(
        this.row.length + part.length,
        { ids: new ort.Tensor("int32", part, [part.length]) },
        [RESULT],
      );
      values.set(results[RESULT]!.data as Float32Array, from * width);
    });
    return values;
  }

  fork(): HookReader {
    return new OnnxHookReader(this.runner, this.row.copy());
  }
}

export class OnnxHookContinuation extends Half implements HookContinuation {
  async append(ids: Int32Array, values: Float32Array, wanted: Wanted, signal?: AbortSignal): Promise<Continued> {
    const { width } = this.runner;
    if (values.length !== ids.length * width)
      throw new RangeError(`${values.length} values at the hook for ${ids.length} tokens of width ${width}`);
    const { targets } = wanted;
    if (targets && targets.length !== ids.length)
      throw new RangeError(`${targets.length} targets for ${ids.length} tokens`);
    const logprobs = new Float32Array(targets ? ids.length : 0).fill(Number.NaN);
    const ranks = new Float32Array(targets ? ids.length : 0).fill(Number.NaN);
    let logits = new Float32Array(0);
    await this.inSteps(ids, signal, async (from, to) => {
      const n = to - from;
      const rows = wanted.logits && to === ids.length ? [n - 1] : [];
      const following = Array.from({ length: n }, (_, i) => Math.max(0, targets?.[from + i] ?? 0));
      const results = await this.row.step(
        this.row.length + n,
        {
          ids: new ort.Tensor("int32", ids.slice(from, to), [n]),
          [HOOK_VALUES]: new ort.Tensor("float32", values.slice(from * width, to * width), [n, width]),
          [TARGETS]: new ort.Tensor("int64", BigInt64Array.from(following, BigInt), [n, 1]),
          [WANTED]: new ort.Tensor("int64", BigInt64Array.from(rows, BigInt), [rows.length]),
        },
        [RESULT, LOGPROBS, RANKS],
      );
      if (rows.length > 0) logits = (results[RESULT]!.data as Float32Array<ArrayBuffer>).slice();
      for (let i = 0; targets && i < n; i++) {
        if (targets[from + i]! < 0) continue;
        logprobs[from + i] = (results[LOGPROBS]!.data as Float32Array)[i]!;
        ranks[from + i] = (results[RANKS]!.data as Float32Array)[i]!;
      }
    });
    return { logprobs, ranks, logits };
  }

  fork(): HookContinuation {
    return new OnnxHookContinuation(this.runner, this.row.copy());
  }
}
