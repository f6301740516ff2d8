// Finds the residual stream in any decoder's ONNX graph by its structure, and names its hook points as TransformerLens does. Value names are the exporter's own and mean nothing here.
import type { OnnxFileGraph, OnnxFileNode } from "../formats/onnxFile.ts";

export interface ResidualStream {
  /** Hook name → value, in the order of execution. A block's hook_resid_post and the next one's hook_resid_pre are one value, or one a mere cast of the other. */
  readonly hooks: ReadonlyMap<string, string>;
  readonly nLayers: number;
  /** The token embedding: what Gather takes rows from. */
  readonly embedding: string;
  /** The value after the last block: what the final norm reads. */
  readonly last: string;
  /** The operator that makes logits of the normed stream; what it reads is its first input. */
  readonly head: OnnxFileNode;
}

/** Operators that carry sizes on, and no values. */
const SIZES = new Set(["Shape", "Size"]);
/** What the input of token ids is called. */
export const IDS = "input_ids";

/** Operators through which token ids may come to the embedding. */
const ID_STEPS = new Set(["Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Flatten"]);
const GATHERS = new Set(["Gather", "GatherBlockQuantized"]);
/** An operator that only attention has, as exporters write it out or onnxruntime fuses it. */
const ATTENTION = new Set(["Softmax", "Attention", "MultiHeadAttention", "GroupQueryAttention", "PagedAttention"]);
const PRODUCTS = new Set(["MatMul", "Gemm", "MatMulNBits", "MatMulInteger", "DynamicQuantizeMatMul", "FusedMatMul"]);

/**
 * The stream's values are those that every path from embedding to logits goes through (each block reads them all and adds to
 * them), so they dominate the logits; its steps are the additions among them of two values that both come from the
 * embedding. A step with attention in it is an attention block's, one without an MLP's, one with both a parallel block's.
 * Returns what is wrong where the graph isn't so.
 */
export function findResidualStream(graph: OnnxFileGraph, logits: string): ResidualStream | string {
  const producers = new Map<string, OnnxFileNode>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output) producers.set(output, node);
  const root = embeddingNode(graph, carriedFrom(graph, IDS));
  if (!root) return `no Gather of token embeddings by ${IDS}`;
  const end = producers.get(logits);
  if (!end) return `no operator that gives ${logits}`;
  const carrying = reachable(graph, root);
  const before = (node: OnnxFileNode) =>
    [...new Set(node.inputs.map((input) => producers.get(input)))].filter(
      (from) => from && carrying.has(from),
    ) as OnnxFileNode[];
  if (!carrying.has(end)) return "logits that don't depend on the token embedding";
  const chain = dominators(carrying, before, root, end);
  const steps: Step[] = [];
  for (const [i, node] of chain.entries()) {
    if (i === 0 || !isSum(node, before)) continue;
    const step = stepOf(node, chain[i - 1]!, producers, before);
    if (typeof step === "string") return step;
    if (step) steps.push(step);
  }
  if (steps.length === 0) return "no residual stream from embedding to logits";
  const blocks = blocksOf(steps);
  if (typeof blocks === "string") return blocks;
  const last = steps.at(-1)!.node;
  const head = chain.slice(chain.indexOf(last)).find(({ opType }) => PRODUCTS.has(opType));
  if (!head) return "no product with an unembedding after the last block";
  return { hooks: hooksOf(blocks), nLayers: blocks.length, embedding: root.inputs[0]!, last: last.outputs[0]!, head };
}

/** One addition to the stream. */
interface Step {
  readonly node: OnnxFileNode;
  /** The stream before it. */
  readonly from: string;
  readonly attention: string | null;
  readonly mlp: string | null;
}

/** Values that are an input's own: through operators that convert or rearrange it and no more. */
export function carriedFrom({ nodes }: OnnxFileGraph, input: string): Set<string> {
  const values = new Set([input]);
  // Nodes stand in the order of execution.
  for (const { opType, inputs, outputs } of nodes)
    if (ID_STEPS.has(opType) && values.has(inputs[0] ?? "")) for (const output of outputs) values.add(output);
  return values;
}

/** The operator that takes an embedding's rows by these ids. */
export function embeddingNode(graph: OnnxFileGraph, ids: ReadonlySet<string>): OnnxFileNode | undefined {
  return gathers(graph).find(({ inputs: [table = "", index = ""] }) => ids.has(index) && !ids.has(table));
}

/** Operators that take rows of a table (their first input) by indices (their second). */
export function gathers({ nodes }: OnnxFileGraph): OnnxFileNode[] {
  return nodes.filter(({ opType }) => GATHERS.has(opType));
}

/** Nodes whose values depend on the root's, sizes left aside. */
function reachable({ nodes }: OnnxFileGraph, root: OnnxFileNode): Set<OnnxFileNode> {
  const values = new Set(root.outputs);
  const reached = new Set([root]);
  for (const node of nodes) {
    if (SIZES.has(node.opType) || !node.inputs.some((input) => input !== "" && values.has(input))) continue;
    reached.add(node);
    for (const output of node.outputs) values.add(output);
  }
  return reached;
}

/** Nodes on every path from root to end, both included, in order (Cooper, Harvey and Kennedy's algorithm; one pass, as there are no loops). */
function dominators(
  inOrder: ReadonlySet<OnnxFileNode>,
  before: (node: OnnxFileNode) => OnnxFileNode[],
  root: OnnxFileNode,
  end: OnnxFileNode,
): OnnxFileNode[] {
  const number = new Map(Array.from(inOrder, (node, i) => [node, i]));
  const immediate = new Map<OnnxFileNode, OnnxFileNode>();
  const meet = (a: OnnxFileNode, b: OnnxFileNode): OnnxFileNode => {
    while (a !== b) {
      if (number.get(a)! > number.get(b)!) a = immediate.get(a)!;
      else b = immediate.get(b)!;
    }
    return a;
  };
  for (const node of inOrder) if (node !== root) immediate.set(node, before(node).reduce(meet));
  const chain = [end];
  while (chain[0] !== root) chain.unshift(immediate.get(chain[0]!)!);
  return chain;
}

/** An addition of values that both come from the embedding. */
function isSum(node: OnnxFileNode, before: (node: OnnxFileNode) => OnnxFileNode[]): boolean {
  return node.opType === "Add" && before(node).length === 2;
}

function stepOf(
  node: OnnxFileNode,
  previous: OnnxFileNode,
  producers: ReadonlyMap<string, OnnxFileNode>,
  before: (node: OnnxFileNode) => OnnxFileNode[],
): Step | string | null {
  const from = previous.outputs[0]!;
  const added: string[] = [];
  let kept = 0;
  const sums = new Set<OnnxFileNode>();
  const open = node.inputs.toReversed();
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const producer = producers.get(value)!;
    if (producer === previous) kept++;
    else if (!isSum(producer, before)) added.push(value);
    else {
      // A sum of itself keeps nothing as it is either, and may hold itself as often as 2^n times.
      if (sums.has(producer)) return null;
      sums.add(producer);
      open.push(...producer.inputs.toReversed());
    }
  }
  // An addition inside a norm, say, which keeps nothing as it is.
  if (kept !== 1) return null;
  const attends = added.map((value) => hasAttention(producers.get(value)!, previous, before));
  const [first, second] = added;
  if (added.length === 1)
    return attends[0] ? { node, from, attention: first!, mlp: null } : { node, from, attention: null, mlp: first! };
  if (added.length !== 2 || attends[0] === attends[1])
    return `${added.length} values added to the residual stream at once, at ${node.outputs[0]}`;
  const [attention, mlp] = attends[0] ? [first!, second!] : [second!, first!];
  return { node, from, attention, mlp };
}

/** Whether attention lies between the stream and a value that is added to it. */
function hasAttention(
  value: OnnxFileNode,
  stream: OnnxFileNode,
  before: (node: OnnxFileNode) => OnnxFileNode[],
): boolean {
  const seen = new Set([stream]);
  const open = [value];
  for (let node = open.pop(); node; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (ATTENTION.has(node.opType)) return true;
    open.push(...before(node));
  }
  return false;
}

type Block = { readonly pre: string; readonly post: string; readonly mid: string | null } & Pick<
  Step,
  "attention" | "mlp"
>;

function blocksOf(steps: readonly Step[]): Block[] | string {
  const blocks: Block[] = [];
  for (let i = 0; i < steps.length; i++) {
    const { node, from, attention, mlp } = steps[i]!;
    const out = node.outputs[0]!;
    if (attention !== null && mlp !== null) {
      blocks.push({ pre: from, attention, mid: null, mlp, post: out });
      continue;
    }
    const next = steps[i + 1];
    if (attention === null) return `an MLP without attention before it, at ${out}`;
    if (next && next.attention === null) {
      blocks.push({ pre: from, attention, mid: out, mlp: next.mlp, post: next.node.outputs[0]! });
      i++;
    } else blocks.push({ pre: from, attention, mid: null, mlp: null, post: out });
  }
  return blocks;
}

function hooksOf(blocks: readonly Block[]): Map<string, string> {
  const hooks = new Map<string, string>();
  for (const [layer, { pre, attention, mid, mlp, post }] of blocks.entries()) {
    const named = [
      ["hook_resid_pre", pre],
      ["hook_attn_out", attention],
      ["hook_resid_mid", mid],
      ["hook_mlp_out", mlp],
      ["hook_resid_post", post],
    ] as const;
    for (const [hook, value] of named) if (value !== null) hooks.set(`blocks.${layer}.${hook}`, value);
  }
  return hooks;
}
