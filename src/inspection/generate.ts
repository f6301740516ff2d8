// Text that the model goes on with, with and without interventions, side by side: token by token, seeded, with keys and values kept.
import { SeededRandom } from "../data/seededRandom.ts";
import { drawToken } from "./distributions.ts";
import type { Inspection } from "./inspection.ts";
import { type Intervention, Interventions } from "./interventions.ts";
import type { ReadRow } from "./keptRows.ts";
import { continued } from "./nextToken.ts";

export interface GenerateOptions {
  /** Tokens of each side, at most; the end of the text ends a side. */
  readonly tokens: number;
  /** 0: always the most probable token. */
  readonly temperature: number;
  /** Both sides draw with the same random numbers. */
  readonly seed: number;
}

export interface Generated {
  readonly side: "original" | "changed";
  readonly id: number;
  /** Everything that this side has said so far; the token that ends a text is no part of it. */
  readonly text: string;
  /** Whether the model has ended the text with this token. */
  readonly ended: boolean;
}

/** Both sides in turns, one token each. Throws RangeError where the prompt leaves no room, AbortError at a signal. */
export async function* generate(
  inspection: Inspection,
  text: string,
  interventions: readonly Intervention[],
  { tokens, temperature, seed }: GenerateOptions,
  signal?: AbortSignal,
): AsyncGenerator<Generated> {
  const { tokenizer, info } = inspection.model;
  if (!(Number.isInteger(tokens) && tokens > 0 && tokens < info.contextSize - inspection.bos.length))
    throw new RangeError(`${tokens} tokens to generate, the model's context is ${info.contextSize}`);
  const row = await inspection.readPrompt(text, tokens, signal);
  const sides = [await Side.open("original", inspection, row, [], signal)];
  if (interventions.length > 0) sides.push(await Side.open("changed", inspection, row, interventions, signal));
  const draws = SeededRandom.derive(seed, "generate");
  for (let t = 0; t < tokens && sides.some((side) => !side.ended); t++) {
    const uniform = draws.uniform();
    for (const side of sides) {
      if (side.ended) continue;
      signal?.throwIfAborted();
      const id = drawToken(side.logits, temperature, uniform);
      side.ended = id === tokenizer.eosId;
      if (!side.ended) side.said.push(id);
      yield { side: side.name, id, text: tokenizer.decode(side.said), ended: side.ended };
      if (!side.ended && t + 1 < tokens) await side.advance(id, signal);
    }
  }
}

class Side {
  readonly name: Generated["side"];
  readonly said: number[] = [];
  ended = false;
  logits: Float32Array;
  readonly #inspection: Inspection;
  readonly #interventions: Interventions;
  readonly #reader: ReadRow["reader"];
  readonly #continuation: ReadRow["continuation"];

  private constructor(
    name: Generated["side"],
    inspection: Inspection,
    interventions: Interventions,
    parts: Pick<ReadRow, "reader" | "continuation" | "logits">,
  ) {
    this.name = name;
    this.#inspection = inspection;
    this.#interventions = interventions;
    this.#reader = parts.reader;
    this.#continuation = parts.continuation;
    this.logits = parts.logits;
  }

  static async open(
    name: Generated["side"],
    inspection: Inspection,
    row: ReadRow,
    list: readonly Intervention[],
    signal: AbortSignal | undefined,
  ): Promise<Side> {
    const interventions = new Interventions(inspection.ensemble, list, inspection.model.tokenizer.specialIds);
    const { x, firstChanged } = interventions.apply(row, row.ids.length - 1);
    const reader = row.reader.fork();
    const { continuation, logits } =
      firstChanged === row.ids.length
        ? { continuation: row.continuation.fork(), logits: row.logits }
        : await continued(row, x, firstChanged, signal);
    return new Side(name, inspection, interventions, { reader, continuation, logits });
  }

  async advance(id: number, signal: AbortSignal | undefined): Promise<void> {
    const ids = Int32Array.of(id);
    const own = await this.#reader.append(ids, signal);
    let x = own;
    if (!this.#interventions.empty) {
      const codes = await this.#inspection.encoder.codes(own, 1);
      x = this.#interventions.apply({ ids, x: own, ...codes }, 0).x;
    }
    ({ logits: this.logits } = await this.#continuation.append(ids, x, { logits: true }, signal));
  }
}
