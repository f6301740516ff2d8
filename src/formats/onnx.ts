// ONNX models as plain data, and their bytes (protobuf, onnx.proto). Knows no operators: a graph's meaning is its builder's.
import { PbfWriter } from "pbf";
import type { Dtype } from "./safetensors.ts";

export interface OnnxModel {
  /** Version of each operator set, "" for ONNX' own. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly graph: OnnxGraph;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxNode {
  readonly opType: string;
  /** Operator set; absent for ONNX' own. */
  readonly domain?: string;
  readonly name?: string;
  /** Names of values; "" for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** Tagged, as a JavaScript number doesn't say whether 1 is an integer. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: OnnxTensor };

/** An input or output; a dimension is a size or the name of one. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly (number | string)[];
}

export interface OnnxTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Bytes, little-endian; or where they lie: a file in the graph's own folder (or below it), from `offset` on. */
  readonly data: Uint8Array | ExternalData;
}

export interface ExternalData {
  /** File name relative to the graph's folder. onnxruntime refuses links that lead out of it. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** IR version that has every data type below; read by onnxruntime since 1.18. */
const IR_VERSION = 10;

const DATA_TYPES = {
  F32: 1,
  U8: 2,
  I8: 3,
  U16: 4,
  I16: 5,
  I32: 6,
  I64: 7,
  BOOL: 9,
  F16: 10,
  F64: 11,
  U32: 12,
  U64: 13,
  BF16: 16,
  F8_E4M3: 17,
  F8_E5M2: 19,
} as const satisfies Record<Dtype, number>;

/** ONNX' number of a data type, as Cast's `to` wants it. */
export function onnxDataType(dtype: Dtype): number {
  return DATA_TYPES[dtype];
}

/** Attribute types of onnx.proto. */
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;

/** The model as the bytes of an .onnx file. */
export function encodeOnnx(model: OnnxModel): Uint8Array<ArrayBuffer> {
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, IR_VERSION);
  pbf.writeStringField(2, "sae-ensembles");
  pbf.writeMessage(7, writeGraph, model.graph);
  for (const [domain, version] of Object.entries(model.opsets)) {
    pbf.writeMessage(
      8,
      (_, p) => {
        p.writeStringField(1, domain);
        p.writeVarintField(2, version);
      },
      null,
    );
  }
  return pbf.finish().slice();
}

/** One node's message, for graphs that are edited (onnxFile.ts). */
export function encodeOnnxNode(node: OnnxNode): Uint8Array {
  const pbf = new PbfWriter();
  writeNode(node, pbf);
  return pbf.finish().slice();
}

/** One input's or output's message. */
export function encodeOnnxValue(value: OnnxValue): Uint8Array {
  const pbf = new PbfWriter();
  writeValue(value, pbf);
  return pbf.finish().slice();
}

function writeGraph(graph: OnnxGraph, pbf: PbfWriter): void {
  for (const node of graph.nodes) pbf.writeMessage(1, writeNode, node);
  pbf.writeStringField(2, graph.name);
  for (const tensor of graph.initializers) pbf.writeMessage(5, writeTensor, tensor);
  for (const value of graph.inputs) pbf.writeMessage(11, writeValue, value);
  for (const value of graph.outputs) pbf.writeMessage(12, writeValue, value);
}

function writeNode(node: OnnxNode, pbf: PbfWriter): void {
  for (const input of node.inputs) pbf.writeStringField(1, input);
  for (const output of node.outputs) pbf.writeStringField(2, output);
  if (node.name) pbf.writeStringField(3, node.name);
  pbf.writeStringField(4, node.opType);
  for (const attribute of Object.entries(node.attributes ?? {})) pbf.writeMessage(5, writeAttribute, attribute);
  if (node.domain) pbf.writeStringField(7, node.domain);
}

function writeAttribute([name, value]: [string, OnnxAttribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if ("float" in value) pbf.writeFloatField(2, value.float);
  else if ("int" in value) pbf.writeVarintField(3, value.int);
  else if ("string" in value) pbf.writeStringField(4, value.string);
  else if ("tensor" in value) pbf.writeMessage(5, writeTensor, value.tensor);
  else if ("floats" in value) for (const x of value.floats) pbf.writeFloatField(7, x);
  else if ("ints" in value) for (const x of value.ints) pbf.writeVarintField(8, x);
  else for (const x of value.strings) pbf.writeStringField(9, x);
  const kind = Object.keys(value)[0] as keyof typeof ATTRIBUTE_TYPES;
  pbf.writeVarintField(20, ATTRIBUTE_TYPES[kind]);
}

function writeTensor(tensor: OnnxTensor, pbf: PbfWriter): void {
  for (const n of tensor.shape) pbf.writeVarintField(1, n);
  pbf.writeVarintField(2, DATA_TYPES[tensor.dtype]);
  pbf.writeStringField(8, tensor.name);
  if (tensor.data instanceof Uint8Array) {
    pbf.writeBytesField(9, tensor.data);
    return;
  }
  for (const [key, value] of Object.entries(tensor.data)) {
    pbf.writeMessage(
      13,
      (_, p) => {
        p.writeStringField(1, key);
        p.writeStringField(2, String(value));
      },
      null,
    );
  }
  pbf.writeVarintField(14, 1);
}

function writeValue(value: OnnxValue, pbf: PbfWriter): void {
  pbf.writeStringField(1, value.name);
  pbf.writeMessage(2, writeTensorType, value);
}

function writeTensorType(value: OnnxValue, pbf: PbfWriter): void {
  pbf.writeMessage(
    1,
    (_, tensor) => {
      tensor.writeVarintField(1, DATA_TYPES[value.dtype]);
      tensor.writeMessage(
        2,
        (shape, p) => {
          for (const n of shape) {
            p.writeMessage(
              1,
              (size, dimension) => {
                if (typeof size === "number") dimension.writeVarintField(1, size);
                else dimension.writeStringField(2, size);
              },
              n,
            );
          }
        },
        value.shape,
      );
    },
    null,
  );
}
