// Graphs of a decoder over whole batches: up to a hook, to the logits with a delta at a hook, and the unembedding. Halves that keep keys and values are in halfGraphs.ts.
import type { Checkpoint } from "./checkpoint.ts";
import type { Decoder, DecoderInputs } from "./decoder.ts";
import { GraphBuilder } from "./graphBuilder.ts";
import { hookWidth } from "./hookPoints.ts";

type Model = Uint8Array<ArrayBuffer>;

/** Input of `logitsGraph`, [tokens, width of the hook]. */
export const DELTA = "delta";
/** Input of `unembedGraph`, [n, width of the hook]. */
export const DIRECTIONS = "directions";
/** The only output of every graph. */
export const RESULT = "result";

/** Ends at the hook: no later layer is in it. */
export function captureGraph(decoder: Decoder, checkpoint: Checkpoint, hookName: string): Model {
  const graph = new GraphBuilder(checkpoint);
  let captured = "";
  decoder.logits(graph, decoderInputs(graph, decoder), (name, value) => {
    if (name === hookName) captured = value;
    return value;
  });
  return graph.finish([{ name: RESULT, value: captured, shape: ["tokens", hookWidth(decoder.info, hookName)] }]);
}

/** Logits; `delta` is added to the hook's value, if one is named. */
export function logitsGraph(decoder: Decoder, checkpoint: Checkpoint, hookName: string | null): Model {
  const graph = new GraphBuilder(checkpoint);
  const logits = decoder.logits(graph, decoderInputs(graph, decoder), (name, value) => {
    if (name !== hookName) return value;
    return graph.op("Add", [value, graph.input(DELTA, "F32", ["tokens", hookWidth(decoder.info, hookName)])]);
  });
  return graph.finish([{ name: RESULT, value: logits, shape: ["tokens", decoder.info.dVocab] }]);
}

/** Tensors of the checkpoint that the whole model makes no use of. Throws InputError for one that is missing or misshapen. */
export function unusedTensors(decoder: Decoder, checkpoint: Checkpoint): string[] {
  const graph = new GraphBuilder(checkpoint);
  decoder.logits(graph, decoderInputs(graph, decoder), (_, value) => value);
  const used = graph.usedWeights;
  return [...checkpoint.tensors.keys()].filter((name) => !used.has(name));
}

/** Directions at the hook to logits. */
export function unembedGraph(decoder: Decoder, checkpoint: Checkpoint, hookName: string): Model {
  const graph = new GraphBuilder(checkpoint);
  const directions = graph.input(DIRECTIONS, "F32", ["rows", hookWidth(decoder.info, hookName)]);
  const logits = decoder.unembed(graph, decoder.toStream(graph, directions, hookName));
  return graph.finish([{ name: RESULT, value: logits, shape: ["rows", decoder.info.dVocab] }]);
}

export function decoderInputs(graph: GraphBuilder, decoder: Decoder): DecoderInputs {
  const pairs = (decoder.rotary?.width ?? 0) / 2;
  return {
    ids: graph.input("ids", "I32", ["tokens"]),
    positions: graph.input("positions", "I32", ["tokens"]),
    padded: graph.input("padded", "I32", ["rows", "length"]),
    places: graph.input("places", "I32", ["tokens"]),
    last: graph.input("last", "I32", ["rows"]),
    length: graph.input("length", "I32", []),
    first: graph.ints([0]),
    kept: null,
    cos: graph.input("cos", "F32", ["positions", pairs]),
    sin: graph.input("sin", "F32", ["positions", pairs]),
  };
}
