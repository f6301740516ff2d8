// Texts as the rows of tokens that a model reads: documents packed into full windows as SAELens does it, or one text a row.
import type { Token, Tokenizer } from "./languageModel.ts";

export interface WindowOptions {
  /** Tokens of a row: exactly (packed) or at most. At least 2. */
  readonly contextSize: number;
  /** Whether each row begins with BOS. Nothing is put in front of a row that begins with it already, or where the tokenizer has none. */
  readonly prependBos: boolean;
  /**
   * packed: documents one after another with BOS between them, cut into full windows; what is left at the end is dropped
   * (SAELens' concat_and_batch_sequences with its default sequence_separator_token, "bos", whatever prependBos says).
   * one_text_per_row: each text alone, cut off at contextSize; empty texts are left out.
   */
  readonly packing: "packed" | "one_text_per_row";
}

/** One row; the four arrays have an entry a token. */
export interface TokenWindow {
  readonly ids: Int32Array;
  /** Number of the token's document in the order of the texts, from 0; −1 for a BOS that was put in. */
  readonly documents: Int32Array;
  /** Range of bytes in that document's UTF-8; empty for a BOS that was put in. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Rows in the order of the texts. Holds one document's tokens at a time. */
export async function* tokenWindows(
  texts: AsyncIterable<{ readonly text: string }> | Iterable<{ readonly text: string }>,
  tokenizer: Tokenizer,
  { contextSize, prependBos, packing }: WindowOptions,
): AsyncGenerator<TokenWindow> {
  if (!(Number.isInteger(contextSize) && contextSize >= 2)) throw new RangeError(`a context of ${contextSize} tokens`);
  const bos = tokenizer.bosId;
  let row = new Row(contextSize);
  let document = -1;
  for await (const { text } of texts) {
    document++;
    const tokens = tokenizer.encode(text);
    for (let next = 0; next < tokens.length; ) {
      const wanted = row.length === 0 ? prependBos : packing === "packed";
      if (wanted && bos !== null && tokens[next]!.id !== bos) row.add({ id: bos, start: 0, end: 0 }, -1);
      while (next < tokens.length && !row.full) row.add(tokens[next++]!, document);
      if (!row.full) break;
      yield row.window();
      row = new Row(contextSize);
      if (packing === "one_text_per_row") break;
    }
    if (packing === "one_text_per_row" && row.length > 0) {
      yield row.window();
      row = new Row(contextSize);
    }
  }
}

class Row {
  length = 0;
  private readonly size: number;
  private readonly ids: Int32Array;
  private readonly documents: Int32Array;
  private readonly starts: Int32Array;
  private readonly ends: Int32Array;

  constructor(size: number) {
    this.size = size;
    this.ids = new Int32Array(size);
    this.documents = new Int32Array(size);
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
  }

  get full(): boolean {
    return this.length === this.size;
  }

  add({ id, start, end }: Token, document: number): void {
    this.ids[this.length] = id;
    this.documents[this.length] = document;
    this.starts[this.length] = start;
    this.ends[this.length] = end;
    this.length++;
  }

  window(): TokenWindow {
    const cut = (values: Int32Array) => (this.full ? values : values.slice(0, this.length));
    return { ids: cut(this.ids), documents: cut(this.documents), starts: cut(this.starts), ends: cut(this.ends) };
  }
}
