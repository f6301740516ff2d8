// The contract of a language model with hook points. Families (llama.ts, …) build its graph; nothing here knows about SAEs.

import type { HookContinuation, HookReader } from "./hookedSequence.ts";
import type { BlockHooks } from "./hookPoints.ts";

/** Token ids in rows, right-padded. */
export interface TokenBatch {
  readonly rows: number;
  /** Longest row, T. */
  readonly length: number;
  /** [rows, T]; anything beyond a row's length is ignored. */
  readonly ids: Int32Array;
  /** Tokens of each row. */
  readonly lengths: Int32Array;
}

export interface LanguageModelInfo extends BlockHooks {
  readonly modelName: string;
  /** Model family, as config.json's model_type says it. */
  readonly family: string;
  readonly nLayers: number;
  readonly dVocab: number;
  readonly contextSize: number;
  /** What the files contradict each other in, where the model runs all the same: a sentence for a person. */
  readonly doubt?: string;
}

export interface HookDelta {
  readonly hookName: string;
  /** [rows, T, d], d being the hook's own width. */
  readonly delta: Float32Array;
}

export interface LanguageModel {
  readonly info: LanguageModelInfo;
  readonly tokenizer: Tokenizer;
  /** Every hook point by TransformerLens' name, in order of execution. */
  readonly hookNames: readonly string[];
  /** Values at a hook, [rows, T, d] float32, d being the hook's own width (hookWidth); padded positions hold zeros. Computes no layer beyond the hook. */
  capture(batch: TokenBatch, hookName: string): Promise<Float32Array>;
  /** Logits [rows, T, V], with a delta added at a hook if given. */
  logits(batch: TokenBatch, intervention?: HookDelta): Promise<Float32Array>;
  /**
   * Direct logit attribution's matrix: logits [rows, V] of directions [rows, d] at a hook, by the direct path alone. What isn't
   * in the residual stream yet is taken there first (attn.hook_z through W_O, mlp.hook_post through W_out); then follow the
   * final norm and the unembedding. Of norms on the way the weight counts and the scale, which depends on the token, is left out.
   */
  unembed(directions: Float32Array, rows: number, hookName: string): Promise<Float32Array>;
  /** A row of tokens read piece by piece up to a hook. A model that keeps no keys and values gives RecomputedReader. */
  readTo(hookName: string): HookReader;
  /** A row of tokens that goes on from a hook, piece by piece; or RecomputedContinuation. */
  goOnFrom(hookName: string): HookContinuation;
  close(): Promise<void>;
}

export interface Token {
  readonly id: number;
  /** Range of bytes in the UTF-8 text; empty for what has no text of its own (BOS). */
  readonly start: number;
  readonly end: number;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  /** Ids that are special: left out of training, means and metrics. */
  readonly specialIds: ReadonlySet<number>;
  /** Tokens of a text without special tokens added, each with its byte range. */
  encode(text: string): Token[];
  decode(ids: readonly number[]): string;
  /** The text of one token as it would stand inside a text (leading space kept); a lone byte as "⟨E2⟩". */
  tokenText(id: number): string;
}
