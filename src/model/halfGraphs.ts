// The two halves of a decoder that meet at a hook, each keeping keys and values: tokens to the hook, and from the hook to the next token.
import { onnxDataType } from "../formats/onnx.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Decoder, DecoderInputs, KeptAttention } from "./decoder.ts";
import { decoderInputs, RESULT } from "./decoderGraphs.ts";
import { GraphBuilder, type Value } from "./graphBuilder.ts";
import { hookWidth } from "./hookPoints.ts";

/** Keys (or values) of one attention, kept as [1, kvHeads, capacity, width]. */
export interface CacheShape {
  /** Names of the graph's input and output: the same memory serves for both. */
  readonly past: Value;
  readonly present: Value;
  readonly kvHeads: number;
  readonly width: number;
}

export interface HalfGraph {
  readonly model: Uint8Array<ArrayBuffer>;
  /** By input name; a graph's own inputs say which of them it has. */
  readonly caches: ReadonlyMap<string, CacheShape>;
}

/** Inputs of the second half. */
export const HOOK_VALUES = "hook_values";
export const TARGETS = "targets";
export const WANTED = "wanted";
/** Outputs of the second half, beside RESULT: the logits of the rows WANTED. */
export const LOGPROBS = "logprobs";
export const RANKS = "ranks";

/** Ids to the hook's values, RESULT [tokens, width of the hook]. No later layer is in it. */
export function lowerHalf(decoder: Decoder, checkpoint: Checkpoint, hookName: string): HalfGraph {
  const graph = new GraphBuilder(checkpoint);
  const kept = new Caches(graph);
  let captured = "";
  decoder.logits(graph, halfInputs(graph, decoder, kept), (name, value) => {
    if (name === hookName) captured = value;
    return value;
  });
  return kept.finish([{ name: RESULT, value: captured, shape: ["tokens", hookWidth(decoder.info, hookName)] }]);
}

/**
 * The hook's values to what follows. Where the hook is not the residual stream itself, layers before it lead past it, and are
 * in this half as well.
 */
export function upperHalf(decoder: Decoder, checkpoint: Checkpoint, hookName: string): HalfGraph {
  const graph = new GraphBuilder(checkpoint);
  const kept = new Caches(graph);
  const { dVocab } = decoder.info;
  const width = hookWidth(decoder.info, hookName);
  const logits = decoder.logits(graph, halfInputs(graph, decoder, kept), (name, value) =>
    name === hookName ? graph.input(HOOK_VALUES, "F32", ["tokens", width]) : value,
  );
  const targets = graph.input(TARGETS, "I64", ["tokens", 1]);
  const ofTarget = (values: Value) => graph.op("GatherElements", [values, targets], { axis: { int: 1 } });
  const better = graph.op("Cast", [graph.op("Greater", [logits, ofTarget(logits)])], {
    to: { int: onnxDataType("F32") },
  });
  return kept.finish([
    {
      name: RESULT,
      value: graph.op("Gather", [logits, graph.input(WANTED, "I64", ["wanted"])], { axis: { int: 0 } }),
      shape: ["wanted", dVocab],
    },
    // LogSoftmax sums in many lanes; ReduceLogSumExp adds one after another, and is off by 3e-4 over 49,152 logits.
    {
      name: LOGPROBS,
      value: ofTarget(graph.op("LogSoftmax", [logits], { axis: { int: -1 } })),
      shape: ["tokens", 1],
    },
    {
      name: RANKS,
      value: graph.op("ReduceSum", [better, graph.ints([-1])], { keepdims: { int: 1 } }),
      shape: ["tokens", 1],
    },
  ]);
}

function halfInputs(graph: GraphBuilder, decoder: Decoder, kept: KeptAttention): DecoderInputs {
  return { ...decoderInputs(graph, decoder), first: graph.input("first", "I64", [1]), kept };
}

class Caches implements KeptAttention {
  private readonly graph: GraphBuilder;
  private readonly shapes: CacheShape[] = [];
  private asked: Omit<CacheShape, "present">[] = [];

  constructor(graph: GraphBuilder) {
    this.graph = graph;
  }

  past(kvHeads: number, width: number): { key: Value; value: Value } {
    const layer = this.shapes.length / 2;
    const [key, value] = ["key", "value"].map((kind) =>
      this.graph.input(`past_${kind}_${layer}`, "F32", [1, kvHeads, "capacity", width]),
    );
    this.asked = [key!, value!].map((past) => ({ past, kvHeads, width }));
    return { key: key!, value: value! };
  }

  present(...presents: [Value, Value]): void {
    for (const [i, present] of presents.entries()) this.shapes.push({ ...this.asked[i]!, present });
  }

  finish(outputs: Parameters<GraphBuilder["finish"]>[0]): HalfGraph {
    const model = this.graph.finish(
      outputs,
      this.shapes.map(({ present, kvHeads, width }) => ({ value: present, shape: [1, kvHeads, "capacity", width] })),
    );
    return { model, caches: new Map(this.shapes.map((shape) => [shape.past, shape])) };
  }
}
