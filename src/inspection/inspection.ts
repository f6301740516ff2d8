// Texts seen through a model and an ensemble of SAEs on one of its hooks: what fires on each token, and how likely the model held it. Reads again only what changed.
import type { Encoder } from "../engine/engine.ts";
import type { LanguageModel } from "../model/languageModel.ts";
import type { Ensemble } from "../sae/ensemble.ts";
import { type HookedRow, KeptRows, type ReadRow } from "./keptRows.ts";
import { type TextToken, textTokens } from "./textTokens.ts";

export interface InspectionParts {
  readonly model: LanguageModel;
  /** What people call the model; by default what its folder is called. */
  readonly modelName?: string;
  readonly ensemble: Ensemble;
  readonly encoder: Encoder;
  /** Whether the ensemble was trained on rows that begin with BOS. */
  readonly prependBos: boolean;
}

/** One token as it was read. */
export interface InspectedToken extends TextToken {
  /** BOS and its kind: no feature is shown on it, as none was trained on it. */
  readonly special: boolean;
  /** log p of this token, nats, after the tokens before; null where nothing stands before, and where it wasn't asked for. */
  readonly logprob: number | null;
  /** How many tokens the model held for more probable; null as above. */
  readonly rank: number | null;
  /** Features that fire, ascending, and their codes (α_j applied). */
  readonly features: Uint32Array;
  readonly values: Float32Array;
}

export interface InspectedText {
  readonly text: string;
  /** Whether log-probabilities and ranks were asked for. */
  readonly likelihoods: boolean;
  readonly tokens: readonly InspectedToken[];
}

/** Texts whose results are kept, so that cells and pages come back at once. */
const KEPT_TEXTS = 200;

export class Inspection {
  readonly model: LanguageModel;
  readonly modelName: string;
  readonly ensemble: Ensemble;
  readonly encoder: Encoder;
  /** Put before every row; empty where the ensemble was trained without. */
  readonly bos: readonly number[];
  /** Rows of documents, and of prompts up to a cursor: apart, since a cursor moves through a document. */
  readonly #documents: KeptRows;
  readonly #prompts: KeptRows;
  readonly #texts = new Map<string, InspectedText>();

  constructor({ model, modelName = model.info.modelName, ensemble, encoder, prependBos }: InspectionParts) {
    this.model = model;
    this.modelName = modelName;
    this.ensemble = ensemble;
    this.encoder = encoder;
    const { bosId } = model.tokenizer;
    this.bos = prependBos && bosId !== null ? [bosId] : [];
    this.#documents = new KeptRows(model, ensemble.hook, encoder);
    this.#prompts = new KeptRows(model, ensemble.hook, encoder);
  }

  /** Every token of a text; one longer than the model's context is read in rows that overlap by half. AbortError at a signal. */
  read(text: string, signal?: AbortSignal): Promise<InspectedText> {
    return this.#remembered(text, true, signal);
  }

  /** The same in less than half the time: which features fire, without log-probabilities and ranks where they aren't known already. */
  readFeatures(text: string, signal?: AbortSignal): Promise<InspectedText> {
    return this.#remembered(text, false, signal);
  }

  async #remembered(text: string, likelihoods: boolean, signal?: AbortSignal): Promise<InspectedText> {
    const known = this.#texts.get(text);
    const enough = known && (known.likelihoods || !likelihoods);
    const result = enough ? known : await this.#read(text, likelihoods, signal);
    this.#texts.delete(text);
    this.#texts.set(text, result);
    if (this.#texts.size > KEPT_TEXTS) this.#texts.delete(this.#texts.keys().next().value!);
    return result;
  }

  /** The row up to a cursor, as much of it as fits into the context with `room` tokens after it. */
  async readPrompt(text: string, room: number, signal?: AbortSignal): Promise<ReadRow> {
    const ids = textTokens(text, this.model.tokenizer).map(({ id }) => id);
    const fits = this.model.info.contextSize - this.bos.length - room;
    const row = Int32Array.from([...this.bos, ...ids.slice(Math.max(0, ids.length - fits))]);
    if (row.length === 0) throw new RangeError("there is no token before the cursor");
    return this.#prompts.read(row, signal, this.#documents);
  }

  async #read(text: string, likelihoods: boolean, signal?: AbortSignal): Promise<InspectedText> {
    const tokens = textTokens(text, this.model.tokenizer);
    const inspected: InspectedToken[] = [];
    const fits = this.model.info.contextSize - this.bos.length;
    const overlap = Math.floor(fits / 2);
    for (let first = 0; inspected.length < tokens.length; first += fits - overlap) {
      const part = tokens.slice(first, first + fits);
      const ids = Int32Array.from([...this.bos, ...part.map(({ id }) => id)]);
      const row = await (likelihoods ? this.#documents.read(ids, signal) : this.#documents.hooked(ids, signal));
      for (let t = inspected.length - first; t < part.length; t++) inspected.push(this.#token(part[t]!, row, t));
    }
    return { text, likelihoods, tokens: inspected };
  }

  #token(token: TextToken, row: HookedRow | ReadRow, t: number): InspectedToken {
    const at = t + this.bos.length;
    const special = this.model.tokenizer.specialIds.has(token.id);
    const [from, to] = special ? [0, 0] : [row.offsets[at]!, row.offsets[at + 1]!];
    return {
      ...token,
      special,
      logprob: at > 0 && "logprobs" in row ? row.logprobs[at - 1]! : null,
      rank: at > 0 && "ranks" in row ? row.ranks[at - 1]! : null,
      features: row.indices.slice(from, to),
      values: row.values.slice(from, to),
    };
  }
}

/** A token's strongest features, strongest first, ties by index. */
export function strongest(token: InspectedToken, count: number): { feature: number; value: number }[] {
  return Array.from(token.features, (feature, i) => ({ feature, value: token.values[i]! }))
    .sort((a, b) => b.value - a.value || a.feature - b.feature)
    .slice(0, count);
}
