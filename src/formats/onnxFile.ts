// ONNX files read as graphs whose weights stay bytes: nodes and tensors can be taken out, put in and rewired, and the rest is written back as it was.
import { readFile, stat } from "node:fs/promises";
import { InputError } from "./inputError.ts";
import { encodeOnnxNode, encodeOnnxValue, type OnnxNode, type OnnxValue } from "./onnx.ts";

export interface OnnxFileNode {
  readonly opType: string;
  /** "" for ONNX' own operators. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Everything else of the node, as it stands in the file. */
  readonly rest: Uint8Array;
}

export interface OnnxFileTensor {
  readonly name: string;
  /** ONNX' number of the data type. */
  readonly dataType: number;
  readonly shape: readonly number[];
  /** Where the bytes lie, if not in the file: a path relative to its folder; `length` null where it isn't said. */
  readonly external: { readonly location: string; readonly offset: number; readonly length: number | null } | null;
  /** The whole tensor, as it stands in the file: with its bytes, or with where they lie. */
  readonly raw: Uint8Array;
}

export interface OnnxFileValue {
  readonly name: string;
  readonly dataType: number;
  readonly shape: readonly (number | string)[];
  readonly raw: Uint8Array;
}

export interface OnnxFileGraph {
  /** In the order of execution. */
  readonly nodes: readonly OnnxFileNode[];
  readonly tensors: readonly OnnxFileTensor[];
  readonly inputs: readonly OnnxFileValue[];
  readonly outputs: readonly OnnxFileValue[];
}

export interface OnnxFile {
  readonly path: string;
  readonly graph: OnnxFileGraph;
  /** The model's fields beside the graph: versions, operator sets, functions. */
  readonly rest: Uint8Array;
}

/** The format's own limit; larger models keep their weights in files beside. */
const LARGEST = 2 ** 31;

/** Reads the file whole; weights in files beside it are not touched. Throws InputError where it is damaged or something else. */
export async function readOnnx(path: string): Promise<OnnxFile> {
  const stats = await stat(path).catch(() => null);
  if (!stats?.isFile()) throw new InputError({ file: path, found: "no such file", expected: "an .onnx file" });
  if (stats.size > LARGEST) {
    throw new InputError({
      file: path,
      found: `${stats.size} bytes`,
      expected: `at most ${LARGEST}, the format's limit`,
    });
  }
  return decodeOnnx(path, await readFile(path));
}

/** The bytes of a file; `path` is what errors name. Throws InputError where they are damaged or something else. */
export function decodeOnnx(path: string, bytes: Uint8Array): OnnxFile {
  const refuse = (found: string): never => {
    throw new InputError({ file: path, found, expected: "an ONNX model" });
  };
  let graph: OnnxFileGraph | null = null;
  const rest: Uint8Array[] = [];
  for (const field of fieldsOf(bytes, refuse)) {
    if (field.number !== 7) rest.push(field.whole);
    else if (graph) refuse("two graphs");
    else graph = graphOf(field.bytes, refuse);
  }
  if (!graph || graph.nodes.length === 0 || graph.outputs.length === 0)
    return refuse("no graph with nodes and outputs");
  return { path, graph, rest: concatenated(rest) };
}

/** The bytes of a file with another graph. */
export function encodeOnnxFile(file: Pick<OnnxFile, "rest">, graph: OnnxFileGraph): Uint8Array<ArrayBuffer> {
  const parts = [
    ...graph.nodes.flatMap((node) => {
      const names = [
        ...node.inputs.map((name) => [1, name] as const),
        ...node.outputs.map((name) => [2, name] as const),
      ];
      return message(1, [...names.flatMap(([field, name]) => message(field, [Buffer.from(name)])), node.rest]);
    }),
    ...message(2, [Buffer.from("language_model")]),
    ...graph.tensors.flatMap(({ raw }) => message(5, [raw])),
    ...graph.inputs.flatMap(({ raw }) => message(11, [raw])),
    ...graph.outputs.flatMap(({ raw }) => message(12, [raw])),
  ];
  return concatenated([file.rest, ...message(7, parts)]);
}

/** A new node for a graph. */
export function onnxFileNode(node: OnnxNode): OnnxFileNode {
  return nodeOf(encodeOnnxNode(node), impossible);
}

/** The tensor with its bytes in another file; offset and length stay. */
export function relocated(tensor: OnnxFileTensor, location: string): OnnxFileTensor {
  const kept = [...fieldsOf(tensor.raw, impossible)].filter(
    ({ number, bytes }) => number !== EXTERNAL_DATA || entryOf(bytes, impossible)[0] !== "location",
  );
  const entry = [...message(1, [Buffer.from("location")]), ...message(2, [Buffer.from(location)])];
  const raw = concatenated([...kept.map(({ whole }) => whole), ...message(EXTERNAL_DATA, entry)]);
  return { ...tensor, external: { ...tensor.external!, location }, raw };
}

/** A new input or output for a graph. */
export function onnxFileValue(value: OnnxValue): OnnxFileValue {
  return valueInfo(encodeOnnxValue(value), impossible);
}

/** A graph that is an attribute of a node (If's branches); null where there is none of that name. */
export function subgraph(file: string, node: OnnxFileNode, name: string): OnnxFileGraph | null {
  const refuse = (found: string): never => {
    throw new InputError({ file, where: `${node.opType} ${node.outputs[0]}`, found, expected: "a graph" });
  };
  for (const { number, bytes } of fieldsOf(node.rest, refuse)) {
    if (number !== 5) continue;
    const fields = [...fieldsOf(bytes, refuse)];
    const called = fields.find((field) => field.number === 1);
    const graph = fields.find((field) => field.number === 6);
    if (called && text(called.bytes) === name && graph) return graphOf(graph.bytes, refuse);
  }
  return null;
}

/** A node's attribute that is one float; the fallback where it is not given. */
export function floatAttribute(node: OnnxFileNode, name: string, fallback: number): number {
  for (const { number, bytes } of fieldsOf(node.rest, impossible)) {
    if (number !== 5) continue;
    const fields = [...fieldsOf(bytes, impossible)];
    const value = fields.find((field) => field.number === 2)?.bytes;
    const called = fields.find((field) => field.number === 1);
    if (called && text(called.bytes) === name && value?.length === 4)
      return new DataView(value.buffer, value.byteOffset).getFloat32(0, true);
  }
  return fallback;
}

type Refuse = (found: string) => never;

function impossible(found: string): never {
  throw new Error(found);
}

function graphOf(bytes: Uint8Array, refuse: Refuse): OnnxFileGraph {
  const nodes: OnnxFileNode[] = [];
  const tensors: OnnxFileTensor[] = [];
  const inputs: OnnxFileValue[] = [];
  const outputs: OnnxFileValue[] = [];
  for (const { number, bytes: content } of fieldsOf(bytes, refuse)) {
    if (number === 1) nodes.push(nodeOf(content, refuse));
    else if (number === 5) tensors.push(tensorOf(content, refuse));
    else if (number === 11) inputs.push(valueInfo(content, refuse));
    else if (number === 12) outputs.push(valueInfo(content, refuse));
    else if (number === 15) refuse("sparse tensors");
    // What is known of inner values (13) is left out: it may not be true of an edited graph, and can be inferred.
  }
  return { nodes, tensors, inputs, outputs };
}

function nodeOf(bytes: Uint8Array, refuse: Refuse): OnnxFileNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const rest: Uint8Array[] = [];
  let opType = "";
  let domain = "";
  for (const { number, bytes: content, whole } of fieldsOf(bytes, refuse)) {
    if (number === 1) inputs.push(text(content));
    else if (number === 2) outputs.push(text(content));
    else rest.push(whole);
    if (number === 4) opType = text(content);
    if (number === 7) domain = text(content);
  }
  if (domain === "ai.onnx") domain = "";
  return { opType, domain, inputs, outputs, rest: concatenated(rest) };
}

/** TensorProto's data_location. */
const EXTERNAL = 1;
/** TensorProto's external_data: entries of a key and a value. */
const EXTERNAL_DATA = 13;

function tensorOf(raw: Uint8Array, refuse: Refuse): OnnxFileTensor {
  const shape: number[] = [];
  let name = "";
  let dataType = 0;
  let isExternal = false;
  const entries = new Map<string, string>();
  for (const field of fieldsOf(raw, refuse)) {
    if (field.number === 1) shape.push(...numbers(field, refuse));
    else if (field.number === 2) dataType = field.value;
    else if (field.number === 8) name = text(field.bytes);
    else if (field.number === 14) isExternal = field.value === EXTERNAL;
    else if (field.number === EXTERNAL_DATA) entries.set(...entryOf(field.bytes, refuse));
  }
  const length = entries.get("length");
  const external = {
    location: entries.get("location") ?? "",
    offset: Number(entries.get("offset") ?? 0),
    length: length === undefined ? null : Number(length),
  };
  return { name, dataType, shape, external: isExternal ? external : null, raw };
}

function entryOf(raw: Uint8Array, refuse: Refuse): [string, string] {
  const entry = new Map([...fieldsOf(raw, refuse)].map(({ number, bytes }) => [number, text(bytes)]));
  return [entry.get(1) ?? "", entry.get(2) ?? ""];
}

function valueInfo(raw: Uint8Array, refuse: Refuse): OnnxFileValue {
  const inner = (bytes: Uint8Array, number: number) =>
    [...fieldsOf(bytes, refuse)].find((field) => field.number === number)?.bytes ?? new Uint8Array(0);
  const type = inner(inner(raw, 2), 1);
  const dataType = [...fieldsOf(type, refuse)].find(({ number }) => number === 1)?.value ?? 0;
  const shape = [...fieldsOf(inner(type, 2), refuse)]
    .filter(({ number }) => number === 1)
    .map(({ bytes }) => {
      const size = [...fieldsOf(bytes, refuse)].find(({ number }) => number === 1 || number === 2);
      return !size ? "" : size.number === 1 ? size.value : text(size.bytes);
    });
  return { name: text(inner(raw, 1)), dataType, shape, raw };
}

/** One field of a protobuf message. */
interface Field {
  readonly number: number;
  /** Contents of a field that has a length; the four or eight bytes of a fixed one. */
  readonly bytes: Uint8Array;
  /** Of a varint. */
  readonly value: number;
  /** Tag, length and contents. */
  readonly whole: Uint8Array;
}

const NOTHING: Uint8Array = new Uint8Array(0);

function* fieldsOf(bytes: Uint8Array, refuse: Refuse): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63) return refuse("bytes that end inside a number");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    let content = NOTHING;
    let value = 0;
    if (number === 0) refuse("other bytes");
    if (wire === 0) value = varint();
    else if (wire === 1 || wire === 2 || wire === 5) {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : varint();
      if (length > bytes.length - at) refuse(`${length} bytes where ${bytes.length - at} are left`);
      content = bytes.subarray(at, at + length);
      at += length;
    } else refuse(`a field of wire type ${wire}`);
    yield { number, bytes: content, value, whole: bytes.subarray(start, at) };
  }
}

/** A repeated integer field, packed or not. */
function numbers(field: Field, refuse: Refuse): number[] {
  if (field.bytes.length === 0) return [field.value];
  const values: number[] = [];
  // Packed varints are fields without tags; a tag before each makes them readable.
  for (let at = 0; at < field.bytes.length; ) {
    let end = at;
    while (field.bytes[end]! >= 0x80) end++;
    const [one] = fieldsOf(concatenated([Uint8Array.of(8), field.bytes.subarray(at, end + 1)]), refuse);
    values.push(one!.value);
    at = end + 1;
  }
  return values;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

/** A field with contents: tag and length before them. */
function message(number: number, contents: readonly Uint8Array[]): Uint8Array[] {
  const length = contents.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return [Uint8Array.from([...varintBytes(number * 8 + 2), ...varintBytes(length)]), ...contents];
}

function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  return [...bytes, value];
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}
