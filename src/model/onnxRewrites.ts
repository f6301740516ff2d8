// Rewrites an exported graph before it is read: merged decoders become the branch without a cache, fused skip-norms become the additions and norms that they are, token ids and logits get the names that they nearly always have.
import { type OnnxAttribute, onnxDataType } from "../formats/onnx.ts";
import {
  floatAttribute,
  type OnnxFileGraph,
  type OnnxFileNode,
  onnxFileNode,
  onnxFileValue,
  subgraph,
} from "../formats/onnxFile.ts";
import { carriedFrom, embeddingNode, IDS } from "./residualStream.ts";

/** What the output of logits is called. */
export const LOGITS = "logits";

/** Input of merged decoders that says whether the past is used. */
const USE_CACHE = "use_cache_branch";

/** The graph with all rewrites done; the same values under the same names. */
export function plainGraph(path: string, graph: OnnxFileGraph): OnnxFileGraph {
  const inlined = withoutBranches(path, graph);
  return withLogits(withIds({ ...inlined, nodes: inlined.nodes.flatMap(splitSkipNorm) }));
}

/** Inputs of whole numbers that aren't token ids, though some take a table's rows too. */
const OTHER_IDS = /^(attention_mask|position_ids|token_type_ids)$/;

/** Token ids by another name are the only other input that takes a table's rows. */
function withIds(graph: OnnxFileGraph): OnnxFileGraph {
  if (graph.inputs.some(({ name }) => name === IDS) || isMade(graph, IDS)) return graph;
  const found = graph.inputs.filter(
    ({ name }) => !OTHER_IDS.test(name) && embeddingNode(graph, carriedFrom(graph, name)) !== undefined,
  );
  const ids = found[0];
  if (!ids || found.length > 1) return graph;
  const dtype = ids.dataType === onnxDataType("I32") ? "I32" : "I64";
  const input = onnxFileValue({ name: IDS, dtype, shape: ids.shape });
  const alias = onnxFileNode({ opType: "Identity", inputs: [IDS], outputs: [ids.name] });
  return {
    ...graph,
    inputs: graph.inputs.map((each) => (each === ids ? input : each)),
    nodes: [alias, ...graph.nodes],
  };
}

/** Logits by another name are the only output [rows, length, a row of the embedding's table each]. */
function withLogits(graph: OnnxFileGraph): OnnxFileGraph {
  if (graph.outputs.some(({ name }) => name === LOGITS) || isMade(graph, LOGITS)) return graph;
  const table = embeddingNode(graph, carriedFrom(graph, IDS))?.inputs[0];
  const vocabulary = graph.tensors.find(({ name }) => name === table)?.shape[0];
  const found = graph.outputs.filter(({ shape }) => shape.length === 3 && shape[2] === vocabulary);
  const logits = found[0];
  if (!logits || found.length > 1) return graph;
  const dtype = logits.dataType === onnxDataType("F16") ? "F16" : "F32";
  const output = onnxFileValue({ name: LOGITS, dtype, shape: logits.shape });
  const alias = onnxFileNode({ opType: "Identity", inputs: [logits.name], outputs: [LOGITS] });
  return {
    ...graph,
    outputs: graph.outputs.map((each) => (each === logits ? output : each)),
    nodes: [...graph.nodes, alias],
  };
}

function isMade({ nodes }: OnnxFileGraph, value: string): boolean {
  return nodes.some(({ outputs }) => outputs.includes(value));
}

/** optimum's merged decoders: one If between "with past" and "without". What the file shares among them are its own tensors. */
function withoutBranches(path: string, graph: OnnxFileGraph): OnnxFileGraph {
  const nodes: OnnxFileNode[] = [];
  const tensors = [...graph.tensors];
  for (const node of graph.nodes) {
    const branch = node.opType === "If" && node.inputs[0] === USE_CACHE ? subgraph(path, node, "else_branch") : null;
    if (!branch) {
      nodes.push(node);
      continue;
    }
    nodes.push(...branch.nodes);
    tensors.push(...branch.tensors);
    for (const [i, { name }] of branch.outputs.entries()) {
      const output = node.outputs[i];
      if (output && output !== name)
        nodes.push(onnxFileNode({ opType: "Identity", inputs: [name], outputs: [output] }));
    }
  }
  return { ...graph, nodes, tensors };
}

/**
 * onnxruntime's SkipLayerNormalization (input, skip, gamma, beta, bias) gives the norm and, if asked, the sum that it read. A
 * hook on that sum must come before the norm, so the two are taken apart.
 */
function splitSkipNorm(node: OnnxFileNode): OnnxFileNode[] {
  const simplified = node.opType === "SkipSimplifiedLayerNormalization";
  if (!simplified && node.opType !== "SkipLayerNormalization") return [node];
  const [input, skip, gamma] = node.inputs as [string, string, string];
  const [beta, bias] = simplified ? ["", node.inputs[3] ?? ""] : [node.inputs[3] ?? "", node.inputs[4] ?? ""];
  const [normed] = node.outputs as [string];
  const sum = node.outputs[3] || `${normed}_sum`;
  const biased = `${normed}_biased`;
  const made = (opType: string, inputs: string[], output: string, attributes: Record<string, OnnxAttribute> = {}) =>
    onnxFileNode({ opType, name: output, inputs, outputs: [output], attributes });
  return [
    ...(bias === "" ? [] : [made("Add", [input, bias], biased)]),
    made("Add", [bias === "" ? input : biased, skip], sum),
    made(
      simplified ? "SimplifiedLayerNormalization" : "LayerNormalization",
      beta === "" ? [sum, gamma] : [sum, gamma, beta],
      normed,
      { axis: { int: -1 }, epsilon: { float: floatAttribute(node, "epsilon", 1e-12) } },
    ),
  ];
}
