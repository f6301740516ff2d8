// Causal attention over rows of different lengths, grouped queries and sliding windows included.
import type { DecoderInputs } from "./decoder.ts";
import type { GraphBuilder, Value } from "./graphBuilder.ts";

export interface AttentionShape {
  readonly heads: number;
  /** Divides heads; each serves heads / kvHeads neighbouring query heads. */
  readonly kvHeads: number;
  readonly headWidth: number;
  /** Whether queries and keys are rotated by their positions first, over the whole head. */
  readonly rotary: boolean;
  /** A token sees itself and this many − 1 before it; null: all. */
  readonly window: number | null;
}

/** Queries [tokens, heads·width], keys and values [tokens, kvHeads·width] → [tokens, heads·width]. Scores are scaled by 1/√width. */
export function causalAttention(
  graph: GraphBuilder,
  inputs: DecoderInputs,
  { query, key, value }: { query: Value; key: Value; value: Value },
  shape: AttentionShape,
): Value {
  const inRows = (x: Value) => graph.op("Gather", [x, inputs.padded], { axis: { int: 0 } });
  // Position 0 alone stands for "count from 0 in every row".
  const rotated = (x: Value, heads: number) =>
    shape.rotary
      ? graph.op("com.microsoft.RotaryEmbedding", [x, graph.ints([0]), inputs.cos, inputs.sin], {
          num_heads: { int: heads },
        })
      : x;
  const [rows] = graph.operator(
    "com.microsoft.GroupQueryAttention",
    [
      rotated(inRows(query), shape.heads),
      rotated(inRows(key), shape.kvHeads),
      inRows(value),
      null,
      null,
      inputs.last,
      inputs.length,
    ],
    3,
    {
      num_heads: { int: shape.heads },
      kv_num_heads: { int: shape.kvHeads },
      scale: { float: 1 / Math.sqrt(shape.headWidth) },
      local_window_size: { int: shape.window ?? -1 },
    },
  );
  const flat = graph.op("Reshape", [rows!, graph.ints([-1, shape.heads * shape.headWidth])]);
  return graph.op("Gather", [flat, inputs.places], { axis: { int: 0 } });
}
