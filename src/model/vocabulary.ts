// Whether a tokenizer and a model can be of one another: ids beyond the embedding are refused where a model is opened; an embedding far larger than the tokenizer is for a person to judge.
import type { LanguageModel } from "./languageModel.ts";

/** Embeddings are padded to multiples of 64 to 512, or kept a little larger for tokens to come. */
const PADDING = 512;
/** Of the embedding. */
const SLACK = 0.01;

/** A sentence where the tokenizer knows so few of the model's tokens that it may be another model's; null otherwise. */
export function vocabularyDoubt({ tokenizer, info }: Pick<LanguageModel, "tokenizer" | "info">): string | null {
  const unknown = info.dVocab - tokenizer.vocabularySize;
  if (unknown <= PADDING || unknown <= SLACK * info.dVocab) return null;
  const [known, all] = [tokenizer.vocabularySize, info.dVocab].map((n) => n.toLocaleString("en"));
  return `the tokenizer has ${known} tokens and the model embeds ${all}, more than padding explains: is tokenizer.json of another model?`;
}
