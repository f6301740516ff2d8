// Rows of tokens that were read and are kept with the model's keys and values, so that a row that begins like one of them is read from where they part.
import type { Encoder, SparseCodes } from "../engine/engine.ts";
import { type HookContinuation, type HookReader, SEQUENCE_STEP } from "../model/hookedSequence.ts";
import type { LanguageModel } from "../model/languageModel.ts";

/** A row as it was read; its arrays must not be changed. */
export interface ReadRow {
  readonly ids: Int32Array;
  /** Values at the hook, [n, d]. */
  readonly x: Float32Array;
  /** [n]: log p of the token that follows, and its rank; NaN at the end. */
  readonly logprobs: Float32Array;
  readonly ranks: Float32Array;
  /** Logits after the last token, [V]. */
  readonly logits: Float32Array;
  /** Codes of each token as in SparseCodes, [n + 1] offsets. */
  readonly offsets: Uint32Array;
  readonly indices: Uint32Array;
  readonly values: Float32Array;
  /** Hold the row's keys and values: fork before use. */
  readonly reader: HookReader;
  readonly continuation: HookContinuation;
}

/** Rows kept at a time; each holds keys and values of the whole model. */
const KEPT_ROWS = 3;
/** A row that shares no more than this with one that is kept leaves that one alone. */
const WORTH_TAKING_OVER = SEQUENCE_STEP;

export class KeptRows {
  readonly #model: LanguageModel;
  readonly #hook: string;
  readonly #encoder: Encoder;
  /** The one used last at the end. */
  #rows: ReadRow[] = [];

  constructor(model: LanguageModel, hook: string, encoder: Encoder) {
    this.#model = model;
    this.#hook = hook;
    this.#encoder = encoder;
  }

  /** Reads a row. `others`: rows to begin from as well, which stay as they are. AbortError between two pieces of work. */
  async read(ids: Int32Array, signal?: AbortSignal, others?: KeptRows): Promise<ReadRow> {
    const { row: nearest, common } = this.#nearest(ids);
    if (nearest && common === ids.length && common === nearest.ids.length) {
      this.#keep(nearest, nearest);
      return nearest;
    }
    const foreign = others ? others.#nearest(ids) : undefined;
    const base = foreign && foreign.common > common ? foreign : { row: nearest, common };
    // Back to where a piece begins, and at least one token before the first new one: what follows it has changed.
    const from = base.row ? Math.floor(Math.max(0, base.common - 1) / SEQUENCE_STEP) * SEQUENCE_STEP : 0;
    const row = await this.#extend(ids, base.row, from, signal);
    this.#keep(row, base.row === nearest && common > WORTH_TAKING_OVER ? nearest : undefined);
    return row;
  }

  #nearest(ids: Int32Array): { row: ReadRow | undefined; common: number } {
    let best: { row: ReadRow | undefined; common: number } = { row: undefined, common: 0 };
    for (const row of this.#rows) {
      let common = 0;
      while (common < ids.length && common < row.ids.length && ids[common] === row.ids[common]) common++;
      if (common > best.common) best = { row, common };
    }
    return best;
  }

  #keep(row: ReadRow, instead: ReadRow | undefined): void {
    this.#rows = [...this.#rows.filter((kept) => kept !== instead), row].slice(-KEPT_ROWS);
  }

  /** `before` up to `from`, then the rest of `ids`. Forks, so that nothing is lost when it is cancelled. */
  async #extend(
    ids: Int32Array,
    before: ReadRow | undefined,
    from: number,
    signal: AbortSignal | undefined,
  ): Promise<ReadRow> {
    const d = this.#model.info.dModel;
    const reader = before && from > 0 ? before.reader.fork() : this.#model.readTo(this.#hook);
    const continuation = before && from > 0 ? before.continuation.fork() : this.#model.goOnFrom(this.#hook);
    reader.truncate(from);
    continuation.truncate(from);
    const rest = ids.slice(from);
    const x = await reader.append(rest, signal);
    const targets = Int32Array.from(rest, (_, t) => ids[from + t + 1] ?? -1);
    const [continued, { codes }] = await Promise.all([
      continuation.append(rest, x, { targets, logits: true }, signal),
      this.#encoder.encode(x, rest.length),
    ]);
    const old = before && from > 0 ? before : undefined;
    return {
      ids,
      x: joined(Float32Array, old?.x.subarray(0, from * d), x),
      logprobs: joined(Float32Array, old?.logprobs.subarray(0, from), continued.logprobs),
      ranks: joined(Float32Array, old?.ranks.subarray(0, from), continued.ranks),
      logits: continued.logits,
      ...joinedCodes(old, from, codes),
      reader,
      continuation,
    };
  }
}

function joined<A extends Float32Array | Uint32Array>(
  type: new (length: number) => A,
  first: A | undefined,
  rest: A,
): A {
  const all = new type((first?.length ?? 0) + rest.length);
  if (first) all.set(first);
  all.set(rest, first?.length ?? 0);
  return all;
}

function joinedCodes(
  old: ReadRow | undefined,
  from: number,
  codes: SparseCodes,
): Pick<ReadRow, "offsets" | "indices" | "values"> {
  if (!old) return codes;
  const kept = old.offsets[from]!;
  return {
    offsets: joined(
      Uint32Array,
      old.offsets.subarray(0, from),
      codes.offsets.map((offset) => kept + offset),
    ),
    indices: joined(Uint32Array, old.indices.subarray(0, kept), codes.indices),
    values: joined(Float32Array, old.values.subarray(0, kept), codes.values),
  };
}
