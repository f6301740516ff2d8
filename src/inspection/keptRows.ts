// Rows of tokens that were read and are kept with the model's keys and values, so that a row that begins like one of them is read from where they part.
import type { Encoder, SparseCodes } from "../engine/engine.ts";
import { type HookContinuation, type HookReader, restartAt, SEQUENCE_STEP } from "../model/hookedSequence.ts";
import { hookWidth } from "../model/hookPoints.ts";
import type { LanguageModel } from "../model/languageModel.ts";

/** A row read up to the hook; its arrays must not be changed. */
export interface HookedRow {
  readonly ids: Int32Array;
  /** Values at the hook, [n, d]. */
  readonly x: Float32Array;
  /** Codes of each token as in SparseCodes, [n + 1] offsets. */
  readonly offsets: Uint32Array;
  readonly indices: Uint32Array;
  readonly values: Float32Array;
  /** Holds the row's keys and values: fork before use. */
  readonly reader: HookReader;
}

/** A row read to its end: what the model makes of it. */
export interface ReadRow extends HookedRow {
  /** [n]: log p of the token that follows, and its rank; NaN at the end. */
  readonly logprobs: Float32Array;
  readonly ranks: Float32Array;
  /** Logits after the last token, [V]. */
  readonly logits: Float32Array;
  /** As `reader`, from the hook on. */
  readonly continuation: HookContinuation;
}

/** A row that is kept: which features fire is known first, what the model makes of it once somebody asks. */
interface Kept {
  readonly hooked: HookedRow;
  read: ReadRow | null;
  /** A row that was read to its end and begins with as many of the same tokens; null where there is none, or no more need of it. */
  before: { readonly row: ReadRow; readonly common: number } | null;
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
  #rows: Kept[] = [];

  constructor(model: LanguageModel, hook: string, encoder: Encoder) {
    this.#model = model;
    this.#hook = hook;
    this.#encoder = encoder;
  }

  /** Reads a row up to the hook. `others`: rows to begin from as well, which stay as they are. AbortError between two pieces of work. */
  async hooked(ids: Int32Array, signal?: AbortSignal, others?: KeptRows): Promise<HookedRow> {
    return (await this.#hookedRow(ids, signal, others)).hooked;
  }

  /** Reads it to its end. */
  async read(ids: Int32Array, signal?: AbortSignal, others?: KeptRows): Promise<ReadRow> {
    const kept = await this.#hookedRow(ids, signal, others);
    kept.read ??= await this.#continue(kept, signal);
    kept.before = null;
    return kept.read;
  }

  async #hookedRow(ids: Int32Array, signal?: AbortSignal, others?: KeptRows): Promise<Kept> {
    const { kept: nearest, common } = this.#nearest(ids);
    if (nearest && common === ids.length && common === nearest.hooked.ids.length) {
      this.#keep(nearest, nearest);
      return nearest;
    }
    const foreign = others ? others.#nearest(ids) : undefined;
    const base = foreign && foreign.common > common ? foreign : { kept: nearest, common };
    const before = base.kept?.read ? { row: base.kept.read, common: base.common } : base.kept?.before;
    const kept: Kept = {
      hooked: await this.#extend(ids, base.kept?.hooked, goOnAt(base.common, ids.length), signal),
      read: null,
      before: before ? { row: before.row, common: Math.min(before.common, base.common) } : null,
    };
    this.#keep(kept, base.kept === nearest && common > WORTH_TAKING_OVER ? nearest : undefined);
    return kept;
  }

  #nearest(ids: Int32Array): { kept: Kept | undefined; common: number } {
    let best: { kept: Kept | undefined; common: number } = { kept: undefined, common: 0 };
    for (const kept of this.#rows) {
      const row = kept.hooked.ids;
      let common = 0;
      while (common < ids.length && common < row.length && ids[common] === row[common]) common++;
      if (common > best.common) best = { kept, common };
    }
    return best;
  }

  #keep(kept: Kept, instead: Kept | undefined): void {
    this.#rows = [...this.#rows.filter((one) => one !== instead), kept].slice(-KEPT_ROWS);
  }

  /** `before` up to `from`, then the rest of `ids`. Forks, so that nothing is lost when it is cancelled. */
  async #extend(
    ids: Int32Array,
    before: HookedRow | undefined,
    from: number,
    signal: AbortSignal | undefined,
  ): Promise<HookedRow> {
    const d = hookWidth(this.#model.info, this.#hook);
    const old = before && from > 0 ? before : undefined;
    const reader = old ? old.reader.fork() : this.#model.readTo(this.#hook);
    reader.truncate(from);
    const x = await reader.append(ids.slice(from), signal);
    const codes = await this.#encoder.codes(x, ids.length - from);
    return {
      ids,
      x: joined(Float32Array, old?.x.subarray(0, from * d), x),
      ...joinedCodes(old, from, codes),
      reader,
    };
  }

  /** From the hook on, as far as that isn't known of the row before. */
  async #continue({ hooked, before }: Kept, signal: AbortSignal | undefined): Promise<ReadRow> {
    const { ids, x } = hooked;
    const from = before ? goOnAt(before.common, ids.length) : 0;
    const old = before && from > 0 ? before.row : undefined;
    const continuation = old ? old.continuation.fork() : this.#model.goOnFrom(this.#hook);
    continuation.truncate(from);
    const rest = ids.slice(from);
    const targets = Int32Array.from(rest, (_, t) => ids[from + t + 1] ?? -1);
    const values = x.slice(from * hookWidth(this.#model.info, this.#hook));
    const { logprobs, ranks, logits } = await continuation.append(rest, values, { targets, logits: true }, signal);
    return {
      ...hooked,
      logprobs: joined(Float32Array, old?.logprobs.subarray(0, from), logprobs),
      ranks: joined(Float32Array, old?.ranks.subarray(0, from), ranks),
      logits,
      continuation,
    };
  }
}

/** At least one token before the first new one is read again: what follows it has changed. */
function goOnAt(common: number, n: number): number {
  return restartAt(Math.max(0, common - 1), n);
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
  old: HookedRow | undefined,
  from: number,
  codes: SparseCodes,
): Pick<HookedRow, "offsets" | "indices" | "values"> {
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
