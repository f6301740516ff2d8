// Builds an ONNX graph operator by operator: values are names, weights point into the checkpoint, dead nodes are dropped.
import { InputError } from "../formats/inputError.ts";
import {
  encodeOnnx,
  type OnnxAttribute,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  onnxDataType,
} from "../formats/onnx.ts";
import type { Dtype } from "../formats/safetensors.ts";
import { type Checkpoint, type CheckpointTensor, externalData } from "./checkpoint.ts";

/** The name of a value in the graph. */
export type Value = string;

const MICROSOFT = "com.microsoft";
const OPSETS = { "": 21, [MICROSOFT]: 1 };

export class GraphBuilder {
  private readonly checkpoint: Checkpoint;
  private readonly nodes: OnnxNode[] = [];
  private readonly initializers = new Map<Value, OnnxTensor>();
  private readonly inputs: OnnxValue[] = [];
  private readonly weights = new Map<string, Value>();
  private counter = 0;

  constructor(checkpoint: Checkpoint) {
    this.checkpoint = checkpoint;
  }

  input(name: string, dtype: Dtype, shape: readonly (number | string)[]): Value {
    this.inputs.push({ name, dtype, shape });
    return name;
  }

  /** One operator with one output. "com.microsoft." before the type takes it from onnxruntime's own set. */
  op(type: string, inputs: readonly (Value | null)[], attributes?: Readonly<Record<string, OnnxAttribute>>): Value {
    return this.operator(type, inputs, 1, attributes)[0]!;
  }

  /** The same with several outputs. */
  operator(
    type: string,
    inputs: readonly (Value | null)[],
    outputs: number,
    attributes?: Readonly<Record<string, OnnxAttribute>>,
  ): Value[] {
    const opType = type.slice(type.lastIndexOf(".") + 1);
    const names = Array.from({ length: outputs }, () => this.fresh(opType));
    this.nodes.push({
      opType,
      ...(opType === type ? {} : { domain: MICROSOFT }),
      name: names[0]!,
      inputs: inputs.map((input) => input ?? ""),
      outputs: names,
      ...(attributes ? { attributes } : {}),
    });
    return names;
  }

  /** A tensor of the checkpoint, which must have this shape, as float32. */
  weight(name: string, shape: readonly number[]): Value {
    const known = this.weights.get(name);
    if (known) return known;
    const tensor = this.tensor(name, shape);
    this.initializers.set(name, {
      name,
      dtype: tensor.dtype,
      shape,
      data: externalData(this.checkpoint, tensor),
    });
    const value = tensor.dtype === "F32" ? name : this.op("Cast", [name], { to: { int: onnxDataType("F32") } });
    this.weights.set(name, value);
    return value;
  }

  /** Names of the tensors that `weight` was asked for. */
  get usedWeights(): ReadonlySet<string> {
    return new Set(this.weights.keys());
  }

  hasWeight(name: string): boolean {
    return this.checkpoint.tensors.has(name);
  }

  private tensor(name: string, shape: readonly number[]): CheckpointTensor {
    const tensor = this.checkpoint.tensors.get(name);
    const called = this.checkpoint.nameOf?.(name) ?? name;
    if (!tensor)
      throw new InputError({ file: this.checkpoint.path, found: `no tensor ${called}`, expected: `[${shape}]` });
    const refuse = (found: string, expected: string) => {
      throw new InputError({ file: tensor.file.path, where: `tensor ${called}`, found, expected });
    };
    if (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i])) {
      refuse(`shape [${tensor.shape}]`, `[${shape}], as the configuration says`);
    }
    if (!["F32", "F16", "BF16", "F64"].includes(tensor.dtype)) refuse(`dtype ${tensor.dtype}`, "F32, F16, BF16 or F64");
    return tensor;
  }

  /** [values] int64 */
  ints(values: readonly number[]): Value {
    const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.constant({ dtype: "I64", shape: [values.length], data });
  }

  float(value: number): Value {
    return this.constant({ dtype: "F32", shape: [], data: new Uint8Array(Float32Array.of(value).buffer) });
  }

  private constant(tensor: Omit<OnnxTensor, "name">): Value {
    const name = this.fresh("constant");
    this.initializers.set(name, { name, ...tensor });
    return name;
  }

  private fresh(stem: string): Value {
    return `${stem}_${this.counter++}`;
  }

  /**
   * The model's bytes: what the outputs need and nothing else. A by-product is given out under its value's own name, and only
   * where the outputs need the operator that makes it.
   */
  finish(
    outputs: readonly { readonly name: string; readonly value: Value; readonly shape: OnnxValue["shape"] }[],
    byProducts: readonly { readonly value: Value; readonly shape: OnnxValue["shape"] }[] = [],
  ): Uint8Array<ArrayBuffer> {
    const needed = new Set(outputs.map(({ value }) => value));
    const nodes: OnnxNode[] = [];
    // Nodes stand in the order of execution, so one pass backwards finds all that matter.
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue;
      for (const input of node.inputs) needed.add(input);
      nodes.push(node);
    }
    nodes.reverse();
    const made = new Set(nodes.flatMap((node) => node.outputs));
    const besides = byProducts.filter(({ value }) => made.has(value));
    for (const { name, value } of outputs) nodes.push({ opType: "Identity", name, inputs: [value], outputs: [name] });
    return encodeOnnx({
      opsets: OPSETS,
      graph: {
        name: "language_model",
        nodes,
        initializers: [...this.initializers.values()].filter(({ name }) => needed.has(name)),
        inputs: this.inputs.filter(({ name }) => needed.has(name)),
        outputs: [
          ...outputs.map(({ name, shape }) => ({ name, dtype: "F32" as const, shape })),
          ...besides.map(({ value, shape }) => ({ name: value, dtype: "F32" as const, shape })),
        ],
      },
    });
  }
}
