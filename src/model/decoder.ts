// The contract of a model family: what it says of one decoder-only model. Each family (llama.ts, …) is a file that makes one of these.
import type { Checkpoint } from "./checkpoint.ts";
import type { GraphBuilder, Value } from "./graphBuilder.ts";
import type { LanguageModelInfo } from "./languageModel.ts";
import type { ConfigFile } from "./modelConfig.ts";
import type { OutputLayer } from "./outputLayer.ts";
import type { Rotary } from "./rotary.ts";

export interface Decoder {
  readonly info: Omit<LanguageModelInfo, "modelName">;
  readonly output: OutputLayer;
  /** TransformerLens' names, in the order of execution. */
  readonly hookNames: readonly string[];
  /** What the tables `cos` and `sin` of the inputs hold; null for a model without rotary positions. */
  readonly rotary: Rotary | null;
  /** Adds the model to the graph; `hook` is called with every hook point's value [tokens, width of the hook] and returns what to go on with. Logits [tokens, V]. */
  logits(graph: GraphBuilder, inputs: DecoderInputs, hook: (name: string, value: Value) => Value): Value;
  /**
   * Adds what lies between a hook and the residual stream: directions [n, width of the hook] to [n, d]. Without biases, and of a
   * norm the weight alone. Nothing where the hook is in the stream, or what is added to it.
   */
  toStream(graph: GraphBuilder, directions: Value, hookName: string): Value;
  /** Adds final norm weight and unembedding: directions [n, d] of the residual stream to logits [n, V]. */
  unembed(graph: GraphBuilder, directions: Value): Value;
}

/**
 * Real tokens of all rows stand one after another, so that padding costs no arithmetic; only attention wants rows of one length.
 */
export interface DecoderInputs {
  /** [tokens] int32 */
  readonly ids: Value;
  /** [tokens] int32: each token's place in its own row, from 0, kept ones before it counted. */
  readonly positions: Value;
  /** [rows, length] int32: which token stands there; padded places repeat any. */
  readonly padded: Value;
  /** [tokens] int32: where each token stands in the flattened padded rows. */
  readonly places: Value;
  /** [rows] int32: index of each row's last token, kept ones before it counted. */
  readonly last: Value;
  /** int32 scalar: length of the padded rows, kept tokens before them counted. */
  readonly length: Value;
  /** [1] int64: position of the rows' first token; 0 where nothing is kept before it. */
  readonly first: Value;
  /** Where attention keeps keys and values for later tokens; null: nowhere. */
  readonly kept: KeptAttention | null;
  /** [at least length, rotary width / 2] */
  readonly cos: Value;
  readonly sin: Value;
}

/** Keys and values of the tokens before, [1, kvHeads, capacity, width] each. Every attention of a graph asks once, in the order of execution. */
export interface KeptAttention {
  past(kvHeads: number, width: number): { readonly key: Value; readonly value: Value };
  /** The same with the new tokens behind them. */
  present(key: Value, value: Value): void;
}

/** Reads a configuration (config.json, parsed) of a family. Throws InputError for what it can't do, by the field's name. */
export interface ModelFamily {
  readonly modelTypes: readonly string[];
  open(config: Readonly<Record<string, unknown>>, file: ConfigFile, checkpoint: Checkpoint): Promise<Decoder>;
}
