// Causal attention over rows of different lengths, grouped queries and sliding windows included.
import type { DecoderInputs } from "./decoder.ts";
import type { GraphBuilder, Value } from "./graphBuilder.ts";

export interface AttentionShape {
  readonly heads: number;
  /** Divides heads; each serves heads / kvHeads neighbouring query heads. */
  readonly kvHeads: number;
  readonly headWidth: number;
  /** Dimensions of a head, from its first on, that positions rotate in queries and keys; 0: none, headWidth: all. */
  readonly rotaryWidth: number;
  /** A token sees itself and this many − 1 before it; null: all. */
  readonly window: number | null;
  /** Scores are multiplied with this… */
  readonly scale: number;
  /** …and then bounded: cap · tanh(score / cap). Null: not. */
  readonly softCap: number | null;
}

/** onnxruntime's attention wants heads whose width is a multiple of this. */
const WIDTH_STEP = 8;

/** Queries [tokens, heads·width], keys and values [tokens, kvHeads·width] → [tokens, heads·width]. */
export function causalAttention(
  graph: GraphBuilder,
  inputs: DecoderInputs,
  { query, key, value }: { query: Value; key: Value; value: Value },
  { heads, kvHeads, headWidth, rotaryWidth, window, scale, softCap }: AttentionShape,
): Value {
  const inRows = (x: Value) => graph.op("Gather", [x, inputs.padded], { axis: { int: 0 } });
  const rotated = (x: Value, count: number) => (rotaryWidth > 0 ? rotate(graph, inputs, x, count, rotaryWidth) : x);
  const extra = -headWidth & (WIDTH_STEP - 1);
  const widened = (x: Value, count: number) => (extra > 0 ? widenHeads(graph, x, count, headWidth, extra) : x);
  const past = inputs.kept?.past(kvHeads, headWidth + extra);
  const [mixed, keys, values] = graph.operator(
    "com.microsoft.GroupQueryAttention",
    [
      widened(rotated(inRows(query), heads), heads),
      widened(rotated(inRows(key), kvHeads), kvHeads),
      widened(inRows(value), kvHeads),
      past?.key ?? null,
      past?.value ?? null,
      inputs.last,
      inputs.length,
    ],
    3,
    {
      num_heads: { int: heads },
      kv_num_heads: { int: kvHeads },
      scale: { float: scale },
      softcap: { float: softCap ?? 0 },
      local_window_size: { int: window ?? -1 },
    },
  );
  inputs.kept?.present(keys!, values!);
  const narrowed = extra > 0 ? narrowHeads(graph, mixed!, heads, headWidth, extra) : mixed!;
  const flat = graph.op("Reshape", [narrowed, graph.ints([-1, heads * headWidth])]);
  return graph.op("Gather", [flat, inputs.places], { axis: { int: 0 } });
}

/** Rotates [rows, length, heads·width]. One position alone stands for "count from there in every row". */
function rotate(graph: GraphBuilder, inputs: DecoderInputs, x: Value, heads: number, width: number): Value {
  const tables = [inputs.first, inputs.cos, inputs.sin];
  return graph.op("com.microsoft.RotaryEmbedding", [x, ...tables], {
    num_heads: { int: heads },
    rotary_embedding_dim: { int: width },
  });
}

/** Zeros behind every head change neither a score nor, once cut off again, what is mixed. */
function widenHeads(graph: GraphBuilder, x: Value, heads: number, width: number, extra: number): Value {
  const apart = graph.op("Reshape", [x, graph.ints([0, 0, heads, width])]);
  const padded = graph.op("Pad", [apart, graph.ints([0, 0, 0, 0, 0, 0, 0, extra])]);
  return graph.op("Reshape", [padded, graph.ints([0, 0, heads * (width + extra)])]);
}

function narrowHeads(graph: GraphBuilder, x: Value, heads: number, width: number, extra: number): Value {
  const apart = graph.op("Reshape", [x, graph.ints([0, 0, heads, width + extra])]);
  return graph.op("Slice", [apart, graph.ints([0]), graph.ints([width]), graph.ints([3])]);
}
