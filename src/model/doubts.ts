// What a person should judge of a model that opens all the same: ids beyond the embedding are refused, an embedding far larger than the tokenizer is not.
import type { LanguageModel } from "./languageModel.ts";

/** Embeddings are padded to multiples of 64 to 512, or kept a little larger for tokens to come. */
const PADDING = 512;
/** Of the embedding. */
const SLACK = 0.01;

type Judged = Pick<LanguageModel, "tokenizer" | "info">;

/** A sentence each. */
export function modelDoubts(model: Judged): string[] {
  return [vocabularyDoubt(model), model.info.doubt ?? null].filter((doubt) => doubt !== null);
}

/** The tokenizer knows so few of the model's tokens that it may be another model's. */
function vocabularyDoubt({ tokenizer, info }: Judged): string | null {
  const unknown = info.dVocab - tokenizer.vocabularySize;
  if (unknown <= PADDING || unknown <= SLACK * info.dVocab) return null;
  const [known, all] = [tokenizer.vocabularySize, info.dVocab].map((n) => n.toLocaleString("en"));
  return `the tokenizer has ${known} tokens and the model embeds ${all}, more than padding explains: is tokenizer.json of another model?`;
}
