// The layers that families are made of: linear maps as their files store them, the two norms, a soft cap.
import type { GraphBuilder, Value } from "./graphBuilder.ts";

/** x Wᵀ (+ b), W as PyTorch stores it, [out, in]. */
export function linear(graph: GraphBuilder, x: Value, name: string, shape: [number, number], bias: boolean): Value {
  const matrix = graph.weight(`${name}.weight`, shape);
  const inputs = bias ? [x, matrix, graph.weight(`${name}.bias`, [shape[0]])] : [x, matrix];
  return graph.op("Gemm", inputs, { transB: { int: 1 } });
}

/** (x − mean) / √(variance + ε) · weight + bias, over the last axis. */
export function layerNorm(graph: GraphBuilder, x: Value, name: string, width: number, epsilon: number): Value {
  const parameters = [graph.weight(`${name}.weight`, [width]), graph.weight(`${name}.bias`, [width])];
  return graph.op("LayerNormalization", [x, ...parameters], {
    axis: { int: -1 },
    epsilon: { float: epsilon },
    stash_type: { int: 1 },
  });
}

/** x / √(mean of squares + ε) · scale, over the last axis. */
export function rmsNorm(graph: GraphBuilder, x: Value, scale: Value, epsilon: number): Value {
  return graph.op("SimplifiedLayerNormalization", [x, scale], {
    axis: { int: -1 },
    epsilon: { float: epsilon },
    stash_type: { int: 1 },
  });
}

/** cap · tanh(x / cap) */
export function softCap(graph: GraphBuilder, x: Value, cap: number): Value {
  const bounded = graph.op("Tanh", [graph.op("Div", [x, graph.float(cap)])]);
  return graph.op("Mul", [bounded, graph.float(cap)]);
}
