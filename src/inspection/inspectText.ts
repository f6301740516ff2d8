// A text seen through an ensemble: its tokens, and the strongest features on each.
import type { Encoder } from "../engine/engine.ts";
import type { LanguageModel } from "../model/languageModel.ts";

export interface InspectedToken {
  /** The token as the tokenizer writes it. */
  readonly text: string;
  /** Strongest first; values are the ensemble's codes (α_j applied). */
  readonly features: readonly { readonly feature: number; readonly value: number }[];
}

export interface InspectOptions {
  readonly hook: string;
  readonly prependBos: boolean;
  /** Features kept a token. */
  readonly top: number;
}

/** Runs the model over a text (cut to its context) and encodes every token. A prepended BOS is left out of the answer. */
export async function inspectText(
  text: string,
  model: LanguageModel,
  encoder: Encoder,
  { hook, prependBos, top }: InspectOptions,
): Promise<InspectedToken[]> {
  const { bosId } = model.tokenizer;
  const bos = prependBos && bosId !== null ? [bosId] : [];
  const ids = Int32Array.from([...bos, ...model.tokenizer.encode(text).map(({ id }) => id)]).slice(
    0,
    model.info.contextSize,
  );
  if (ids.length === bos.length) return [];
  const x = await model.capture({ rows: 1, length: ids.length, ids, lengths: Int32Array.of(ids.length) }, hook);
  const { codes } = await encoder.encode(x, ids.length);
  const tokens: InspectedToken[] = [];
  for (let t = bos.length; t < ids.length; t++) {
    const features: { feature: number; value: number }[] = [];
    for (let p = codes.offsets[t]!; p < codes.offsets[t + 1]!; p++)
      features.push({ feature: codes.indices[p]!, value: codes.values[p]! });
    features.sort((a, b) => b.value - a.value || a.feature - b.feature);
    tokens.push({ text: model.tokenizer.tokenText(ids[t]!), features: features.slice(0, top) });
  }
  return tokens;
}
