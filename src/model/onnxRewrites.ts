// Rewrites an exported graph before it is read: merged decoders become the branch without a cache, fused skip-norms become the additions and norms that they are.
import type { OnnxAttribute } from "../formats/onnx.ts";
import { floatAttribute, type OnnxFileGraph, type OnnxFileNode, onnxFileNode, subgraph } from "../formats/onnxFile.ts";

/** Input of merged decoders that says whether the past is used. */
const USE_CACHE = "use_cache_branch";

/** The graph with all rewrites done; the same values under the same names. */
export function plainGraph(path: string, graph: OnnxFileGraph): OnnxFileGraph {
  const inlined = withoutBranches(path, graph);
  return { ...inlined, nodes: inlined.nodes.flatMap(splitSkipNorm) };
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
