// The graphs that an exported ONNX model gives once its residual stream is known: up to a hook, to the logits with a delta at a hook, and the unembedding. Weights stay bytes.
import { InputError } from "../formats/inputError.ts";
import { onnxDataType } from "../formats/onnx.ts";
import {
  encodeOnnxFile,
  type OnnxFile,
  type OnnxFileGraph,
  type OnnxFileNode,
  type OnnxFileTensor,
  type OnnxFileValue,
  onnxFileNode,
  onnxFileValue,
} from "../formats/onnxFile.ts";
import { LOGITS, plainGraph } from "./onnxRewrites.ts";
import { carriedFrom, findResidualStream, gathers, IDS, type ResidualStream } from "./residualStream.ts";

type Model = Uint8Array<ArrayBuffer>;

export const FILE_RESULT = "sae_result";
export const FILE_DELTA = "sae_delta";
export const FILE_DIRECTIONS = "sae_directions";

const FLOAT = onnxDataType("F32");
const LAYER_NORMS = new Set(["LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"]);

export class OnnxFileGraphs {
  readonly stream: ResidualStream;
  readonly graph: OnnxFileGraph;
  private readonly file: OnnxFile;
  private readonly tensors: ReadonlyMap<string, OnnxFileTensor>;
  /** The operator that makes a value. */
  private readonly producers: ReadonlyMap<string, OnnxFileNode>;
  /** ONNX' data type of the residual stream, so far as the embedding says it. */
  private readonly dataType: number;

  /** Throws InputError where the file is no decoder with a residual stream. A graph that is plain already stays as it is. */
  constructor(file: OnnxFile) {
    this.file = file;
    this.graph = plainGraph(file.path, file.graph);
    const { nodes, tensors, inputs, outputs } = this.graph;
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.producers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
    const refuse = (found: string, expected = "a decoder-only language model"): never => {
      throw new InputError({ file: file.path, found, expected });
    };
    const listed = (values: readonly OnnxFileValue[]) => values.map(({ name }) => name).join(", ");
    if (!inputs.some(({ name }) => name === IDS)) refuse(`inputs ${listed(inputs)}`, `token ids, by the name ${IDS}`);
    if (!outputs.some(({ name }) => name === LOGITS))
      refuse(`outputs ${listed(outputs)}`, `logits of a decoder-only language model, by the name ${LOGITS}`);
    const wrong = disorder(this.graph);
    if (wrong !== null) refuse(wrong);
    const stream = findResidualStream(this.graph, LOGITS);
    this.stream = typeof stream === "string" ? refuse(stream) : stream;
    this.dataType = this.tensor(this.stream.embedding)?.dataType === onnxDataType("F16") ? onnxDataType("F16") : FLOAT;
  }

  /** The tensor of a weight's value, through what merely rearranges or converts it. */
  tensor(value: string): OnnxFileTensor | undefined {
    for (let name = value; ; ) {
      const node = this.producers.get(name);
      if (!node || !["Identity", "Cast", "Transpose", "DequantizeLinear"].includes(node.opType))
        return this.tensors.get(name);
      name = node.inputs[0]!;
    }
  }

  /** Rows of the smallest table of learned positions: what is added to the embedding by anything but ids; null where there is none. */
  positions(): number | null {
    const width = this.tensor(this.stream.embedding)?.shape[1];
    const ofIds = [IDS, "token_type_ids"].map((input) => carriedFrom(this.graph, input));
    const tables = gathers(this.graph)
      .filter(({ inputs: [, index = ""] }) => !ofIds.some((ids) => ids.has(index)))
      .map(({ inputs: [table = ""] }) => this.tensor(table)?.shape ?? [])
      .filter((shape) => shape.length === 2 && shape[1] === width);
    return tables.length === 0 ? null : Math.min(...tables.map(([rows]) => rows!));
  }

  /** FILE_RESULT: the hook's values, [rows, length, d]. Nothing behind them is in it. */
  capture(hookName: string): Model {
    return this.model(this.graph.nodes, this.stream.hooks.get(hookName)!, null);
  }

  /** FILE_RESULT: logits [rows, length, V]; FILE_DELTA [rows, length, d] is added at the hook, if one is named. */
  logits(hookName: string | null): Model {
    if (hookName === null) return this.model(this.graph.nodes, LOGITS, null);
    const value = this.stream.hooks.get(hookName)!;
    const edited = `${value}_with_delta`;
    const nodes: OnnxFileNode[] = [];
    for (const node of this.graph.nodes) {
      nodes.push({ ...node, inputs: node.inputs.map((input) => (input === value ? edited : input)) });
      if (!node.outputs.includes(value)) continue;
      const delta = this.converted(FILE_DELTA, this.dataType, nodes);
      nodes.push(onnxFileNode({ opType: "Add", inputs: [value, delta], outputs: [edited] }));
    }
    return this.model(nodes, LOGITS, FILE_DELTA);
  }

  /**
   * FILE_RESULT: logits [n, V] of FILE_DIRECTIONS [n, d] through the final norm's weight and the unembedding, whatever
   * constant the unembedding adds included. Throws InputError where the norm's weight can't be told.
   */
  unembed(): Model {
    const { head } = this.stream;
    const nodes: OnnxFileNode[] = [];
    let directions = this.converted(FILE_DIRECTIONS, this.dataType, nodes);
    const weight = this.finalNormWeight();
    nodes.push(...this.graph.nodes.filter((node) => node !== head));
    if (weight !== null) {
      const scaled = "sae_scaled_directions";
      nodes.push(onnxFileNode({ opType: "Mul", inputs: [directions, weight], outputs: [scaled] }));
      directions = scaled;
    }
    nodes.push({ ...head, inputs: [directions, ...head.inputs.slice(1)] });
    return this.model(nodes, head.outputs[0]!, FILE_DIRECTIONS, 2);
  }

  /** Of the norm between the stream's end and the unembedding: LayerNormalization's scale, or what RMSNorm written out multiplies with; null where exporters have put it into the unembedding. */
  private finalNormWeight(): string | null {
    const { head, last } = this.stream;
    const carried = new Set([last]);
    for (const { inputs, outputs } of this.graph.nodes)
      if (inputs.some((input) => carried.has(input))) for (const output of outputs) carried.add(output);
    for (let value = head.inputs[0]!; value !== last; ) {
      const node = this.producers.get(value);
      if (!node) break;
      if (LAYER_NORMS.has(node.opType)) return node.inputs[1]!;
      const constants = node.inputs.filter((input) => input !== "" && !carried.has(input));
      const ofStream = node.inputs.filter((input) => carried.has(input));
      if (node.opType === "Mul" && constants.length === 1) return constants[0]!;
      // The norm's own product of the stream and its scale: nothing was multiplied behind it.
      if (ofStream.length !== 1) return null;
      value = ofStream[0]!;
    }
    const found = `no norm before ${head.outputs[0]}`;
    throw new InputError({ file: this.file.path, found, expected: "a final norm" });
  }

  private converted(value: string, dataType: number, nodes: OnnxFileNode[]): string {
    if (dataType === FLOAT) return value;
    const output = `${value}_converted`;
    nodes.push(
      onnxFileNode({ opType: "Cast", inputs: [value], outputs: [output], attributes: { to: { int: dataType } } }),
    );
    return output;
  }

  /** What the value needs and nothing else; our own inputs and the result are float32 and have one shape but for its numbers. */
  private model(nodes: readonly OnnxFileNode[], value: string, ownInput: string | null, rank = 3): Model {
    const needed = new Set([value]);
    const kept: OnnxFileNode[] = [];
    for (const node of nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue;
      for (const input of node.inputs) needed.add(input);
      // Branches of an If see all values around them.
      if (node.opType === "If" || node.opType === "Loop" || node.opType === "Scan") {
        const found = `the operator ${node.opType}`;
        throw new InputError({ file: this.file.path, found, expected: "a graph without branches" });
      }
      kept.push(node);
    }
    kept.reverse();
    kept.push(
      onnxFileNode({ opType: "Cast", inputs: [value], outputs: [FILE_RESULT], attributes: { to: { int: FLOAT } } }),
    );
    return encodeOnnxFile(this.file, {
      nodes: kept,
      tensors: this.graph.tensors.filter(({ name }) => needed.has(name)),
      inputs: [
        ...this.graph.inputs.filter(({ name }) => needed.has(name)),
        ...(ownInput === null ? [] : [floats(ownInput, rank)]),
      ],
      outputs: [floats(FILE_RESULT, rank)],
    });
  }
}

/** A float32 input or output of so many dimensions, all of them free. */
function floats(name: string, rank: number): OnnxFileValue {
  return onnxFileValue({ name, dtype: "F32", shape: Array.from({ length: rank }, (_, i) => `${name}_${i}`) });
}

/** What breaks the order of execution: a value that is made twice, or used before it is made. Null: nothing, and so there are no loops. */
function disorder({ nodes, inputs, tensors }: OnnxFileGraph): string | null {
  const known = new Set(["", ...inputs.map(({ name }) => name), ...tensors.map(({ name }) => name)]);
  for (const node of nodes) {
    const unknown = node.inputs.find((input) => !known.has(input));
    if (unknown !== undefined) return `value ${unknown} used before it is made`;
    for (const output of node.outputs) {
      if (output !== "" && known.has(output)) return `value ${output} made twice`;
      known.add(output);
    }
  }
  return null;
}
