// Answers about texts: the ensemble in use with its model, opened when first asked and closed after a while without use, and the documents that were read with it.
import { describeText } from "../inspection/describeText.ts";
import { compareFeatures, featuresHere } from "../inspection/featuresHere.ts";
import { generate } from "../inspection/generate.ts";
import { type InspectedToken, type Inspection, strongest } from "../inspection/inspection.ts";
import type { Intervention } from "../inspection/interventions.ts";
import { nextToken, pushingFeatures } from "../inspection/nextToken.ts";
import { piecesOf } from "../inspection/pieces.ts";
import { unknownShare } from "../inspection/textTokens.ts";
import { type OpenInspection, openInspection } from "../jobs/openInspection.ts";
import type * as shown from "../protocol/inspection.ts";
import type { inspectionRequests } from "../protocol/inspection.ts";
import type { Params, Result } from "../protocol/rpc.ts";
import { type OpenEnsemble, within } from "./openEnsembles.ts";

type Requests = { readonly requests: typeof inspectionRequests; readonly notifications: Record<never, never> };
type Question<K extends keyof typeof inspectionRequests> = Params<Requests, K>;
type Answer<K extends keyof typeof inspectionRequests> = Promise<Result<Requests, K>>;

/** Milliseconds after which an unused model gives its memory back. */
const patience = 5 * 60_000;
/** Features told of a token, for the hover. */
const tokenFeatures = 5;
/** Documents whose tokens are kept for questions about parts of them. */
const keptDocuments = 8;
/** Features named where a text is described in words. */
const describedFeatures = 20;

/** A token with its place in the document. */
interface PlacedToken extends InspectedToken {
  readonly documentStart: number;
  readonly documentEnd: number;
}

/** A document's tokens, as they were read with an ensemble. */
interface ReadDocument {
  readonly ensemble: string;
  readonly tokens: readonly PlacedToken[];
}

/** An ensemble with its model. Closed once it is no longer the current one and nobody uses it. */
interface InUse {
  readonly folder: string;
  readonly opened: Promise<OpenInspection>;
  users: number;
}

export class Inspections {
  readonly #index: (folder: string) => Promise<OpenEnsemble>;
  readonly #open: (folder: string) => Promise<OpenInspection>;
  #current: InUse | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Kept when their model is closed: they are numbers, and questions about them need no model. */
  readonly #documents = new Map<string, ReadDocument>();

  /** `index` gives an ensemble's open index; where that has been replaced, it lets `forget` know first. `open` opens an ensemble with its model. */
  constructor(
    index: (folder: string) => Promise<OpenEnsemble>,
    open: (folder: string) => Promise<OpenInspection> = openInspection,
  ) {
    this.#index = index;
    this.#open = open;
  }

  /** Closes the ensemble in use, and drops documents read with one, where it lies in a folder: it is replaced or gone. */
  async forget(above: string): Promise<void> {
    for (const [key, { ensemble }] of this.#documents) if (within(ensemble, above)) this.#documents.delete(key);
    if (this.#current && within(this.#current.folder, above)) await this.#leave();
  }

  async inspect(question: Question<"inspect">, signal: AbortSignal): Answer<"inspect"> {
    const { ensemble, document, kind, text, visible, pinned, likelihoods } = question;
    return this.#use(ensemble, async (inspection) => {
      const { tokenizer } = inspection.model;
      const tokens: PlacedToken[] = [];
      const read = { start: text.length, end: 0 };
      let [unknown, characters] = [0, 0];
      let complete = true;
      const seen = piecesOf(text, kind, visible);
      for (const piece of seen.pieces) {
        const reading = likelihoods ? inspection.read(piece.text, signal) : inspection.readFeatures(piece.text, signal);
        const inspected = await reading;
        complete &&= inspected.likelihoods;
        unknown += unknownShare(piece.text, inspected.tokens, tokenizer) * piece.text.length;
        characters += piece.text.length;
        read.start = Math.min(read.start, piece.places[0]!);
        read.end = Math.max(read.end, piece.places.at(-1)!);
        for (const token of inspected.tokens) {
          tokens.push({
            ...token,
            documentStart: piece.places[token.start]!,
            documentEnd: token.end > token.start ? piece.places[token.end]! : piece.places[token.start]!,
          });
        }
      }
      this.#keepDocument(key(ensemble, document), { ensemble, tokens });
      const features = tokens.map((token) => strongest(token, tokenFeatures));
      const named = new Set([...features.flat().map(({ feature }) => feature), ...pinned]);
      const index = await this.#index(ensemble);
      return {
        tokens: tokens.map((token, t) => ({
          start: token.documentStart,
          end: token.documentEnd,
          id: token.id,
          text: tokenizer.tokenText(token.id),
          special: token.special,
          logprob: token.logprob,
          rank: token.rank,
          features: features[t]!,
        })),
        likelihoods: complete,
        pinned: pinned.map((feature) => tokens.map((token) => codeOf(token, feature))),
        rows: index.named([...named]),
        read: read.end < read.start ? { start: 0, end: 0 } : read,
        wholeScreen: seen.whole,
        unknown: characters === 0 ? 0 : unknown / characters,
      };
    });
  }

  async featuresHere(question: Question<"featuresHere">): Answer<"featuresHere"> {
    const { ensemble, document, spans, ranking, limit } = question;
    const index = await this.#index(ensemble);
    const all = this.#documents.get(key(ensemble, document))?.tokens;
    if (!all) return null;
    const isIn = ({ documentStart, documentEnd }: PlacedToken) =>
      !spans || spans.some(({ start, end }) => documentStart < end && documentEnd > start);
    const tokens = all.filter(isIn);
    const features = featuresHere(tokens, ranking, {
      of: (feature) => index.index.statistics(feature),
      tokens: index.index.info.tokens,
    });
    const first = features.slice(0, limit);
    const rows = index.rows(first.map(({ feature }) => feature));
    return {
      features: first.map(({ feature: _, ...numbers }, i) => ({ row: rows[i]!, ...numbers })),
      total: features.length,
      tokens: tokens.filter(({ special }) => !special).length,
    };
  }

  async nextToken(question: Question<"nextToken">, signal: AbortSignal): Answer<"nextToken"> {
    const { ensemble, text, interventions, count } = question;
    return this.#use(ensemble, async (inspection) => {
      const index = await this.#index(ensemble);
      const list = resolved(interventions, index);
      const { tokenizer } = inspection.model;
      const named = <T extends { id: number }>(token: T) => ({ ...token, text: tokenizer.tokenText(token.id) });
      const { tokens, kl, gains, loses, context } = await nextToken(inspection, text, list, count, signal);
      return {
        tokens: tokens.map(named),
        kl,
        gains: gains && named(gains),
        loses: loses && named(loses),
        context,
        rows: index.rows([...new Set(interventions.flatMap(({ features }) => features))]),
        flagged: index.flagged().length,
      };
    });
  }

  async pushing({ ensemble, text, token, count }: Question<"pushing">, signal: AbortSignal): Answer<"pushing"> {
    return this.#use(ensemble, async (inspection) => {
      const { probability, features } = await pushingFeatures(inspection, text, token, count, signal);
      const rows = (await this.#index(ensemble)).rows(features.map(({ feature }) => feature));
      return { probability, features: features.map(({ feature: _, ...rest }, i) => ({ row: rows[i]!, ...rest })) };
    });
  }

  /** Tells every token through `tell`; ends when both sides have. */
  async generate(
    { ensemble, text, interventions, options }: Question<"generate">,
    tell: (generated: shown.Generated) => void,
    signal: AbortSignal,
  ): Answer<"generate"> {
    return this.#use(ensemble, async (inspection) => {
      const list = resolved(interventions, await this.#index(ensemble));
      for await (const { id: _, ...said } of generate(inspection, text, list, options, signal)) tell(said);
      return {};
    });
  }

  async compare({ ensemble, a, b, limit }: Question<"compare">, signal: AbortSignal): Answer<"compare"> {
    return this.#use(ensemble, async (inspection) => {
      // Texts and line ends as in a document that is inspected.
      const read = async ({ text, kind }: typeof a) => {
        const tokens = [];
        for (const piece of piecesOf(text, kind, { start: 0, end: text.length }).pieces)
          tokens.push(...(await inspection.readFeatures(piece.text, signal)).tokens);
        return tokens;
      };
      const differences = compareFeatures(await read(a), await read(b));
      const shownOnes = differences.slice(0, limit);
      const rows = (await this.#index(ensemble)).rows(shownOnes.map(({ feature }) => feature));
      return {
        features: shownOnes.map(({ a, b }, i) => ({ row: rows[i]!, a, b })),
        total: differences.length,
      };
    });
  }

  /** Tokens of a text with their strongest features. */
  async tokens(ensemble: string, text: string, count: number, signal: AbortSignal) {
    return this.#use(ensemble, async (inspection) => {
      const { tokens } = await inspection.readFeatures(text, signal);
      return tokens.map((token) => ({
        text: inspection.model.tokenizer.tokenText(token.id),
        features: strongest(token, count),
      }));
    });
  }

  async describe(ensemble: string, text: string, signal: AbortSignal): Promise<string> {
    return this.#use(ensemble, async (inspection) => {
      const { index } = await this.#index(ensemble);
      return describeText(
        inspection,
        index,
        text.replaceAll("\r\n", "\n"),
        { ranking: "specificity", count: describedFeatures },
        signal,
      );
    });
  }

  /** Runs on an ensemble, opened if it isn't; one at a time is kept open. */
  async #use<T>(folder: string, work: (inspection: Inspection) => Promise<T>): Promise<T> {
    // The index first: where it has been replaced, so have the weights, and those that are open are forgotten.
    await this.#index(folder);
    clearTimeout(this.#timer);
    let inUse = this.#current;
    if (inUse?.folder !== folder) {
      // The one before is closed first, for there may be no room for both; who asks meanwhile finds the new one.
      const opening = { folder, opened: this.#leave().then(() => this.#open(folder)), users: 0 };
      this.#current = opening;
      // What failed to open is tried anew next time.
      opening.opened.catch(() => {
        if (this.#current === opening) this.#current = undefined;
      });
      inUse = opening;
    }
    inUse.users++;
    try {
      return await work((await inUse.opened).inspection);
    } finally {
      inUse.users--;
      if (inUse !== this.#current) await close(inUse);
      else if (inUse.users === 0) {
        this.#timer = setTimeout(() => void this.#leave(), patience);
        this.#timer.unref();
      }
    }
  }

  async #leave(): Promise<void> {
    const left = this.#current;
    this.#current = undefined;
    if (left) await close(left);
  }

  #keepDocument(name: string, read: ReadDocument): void {
    this.#documents.delete(name);
    this.#documents.set(name, read);
    if (this.#documents.size > keptDocuments) this.#documents.delete(this.#documents.keys().next().value!);
  }
}

async function close({ opened, users }: InUse): Promise<void> {
  if (users === 0) await (await opened.catch(() => undefined))?.close();
}

function key(ensemble: string, document: string): string {
  return `${ensemble}\n${document}`;
}

function codeOf(token: InspectedToken, feature: number): number {
  const at = token.features.indexOf(feature);
  return at < 0 ? 0 : token.values[at]!;
}

function resolved(interventions: readonly shown.Intervention[], index: OpenEnsemble): Intervention[] {
  return interventions
    .map(({ flagged, features, ...rest }) => ({
      ...rest,
      features: flagged ? [...features, ...index.flagged()] : features,
    }))
    .filter(({ features }) => features.length > 0);
}
