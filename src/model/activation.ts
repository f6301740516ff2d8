// The activation functions of MLPs, by the names that configurations give them.
import type { GraphBuilder, Value } from "./graphBuilder.ts";

/** transformers' names, and TransformerLens'. "gelu" is exact; the others of its kind are the approximation by tanh. */
export const ACTIVATIONS = [
  "gelu",
  "gelu_new",
  "gelu_fast",
  "gelu_pytorch_tanh",
  "relu",
  "silu",
  "swish",
  "quick_gelu",
] as const;

export type Activation = (typeof ACTIVATIONS)[number];

export function activate(graph: GraphBuilder, name: Activation, x: Value): Value {
  switch (name) {
    case "gelu":
      return graph.op("Gelu", [x], { approximate: { string: "none" } });
    case "gelu_new":
    case "gelu_fast":
    case "gelu_pytorch_tanh":
      return graph.op("Gelu", [x], { approximate: { string: "tanh" } });
    case "relu":
      return graph.op("Relu", [x]);
    case "silu":
    case "swish":
      // QuickGelu with alpha 1 is silu, in one pass.
      return graph.op("com.microsoft.QuickGelu", [x], { alpha: { float: 1 } });
    case "quick_gelu":
      return graph.op("com.microsoft.QuickGelu", [x], { alpha: { float: 1.702 } });
  }
}
