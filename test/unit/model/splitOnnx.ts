// An .onnx file taken apart as exporters do it for large models: the graph, and its weights in a file beside it.
import { PbfReader, PbfWriter } from "pbf";
import { encodeOnnxFile, type OnnxFile, type OnnxFileTensor } from "../../../src/formats/onnxFile.ts";

/** TensorProto's fields. */
const RAW_DATA = 9;

/** The graph with its matrices in `location`, and that file. */
export function splitOnnx(file: OnnxFile, location: string): { graph: Buffer; weights: Buffer } {
  const weights: Uint8Array[] = [];
  let offset = 0;
  const moved = (tensor: OnnxFileTensor): OnnxFileTensor => {
    const data = tensor.shape.length === 2 ? rawData(tensor) : null;
    if (!data) return tensor;
    const raw = externalTensor(tensor, { location, offset: String(offset), length: String(data.length) });
    weights.push(data);
    offset += data.length;
    return { ...tensor, raw };
  };
  const tensors = file.graph.tensors.map(moved);
  return { graph: Buffer.from(encodeOnnxFile(file, { ...file.graph, tensors })), weights: Buffer.concat(weights) };
}

/** The tensor's message with its bytes elsewhere, as `place` has it. */
export function externalTensor(
  { name, dataType, shape }: OnnxFileTensor,
  place: Readonly<Record<string, string>>,
): Uint8Array {
  const pbf = new PbfWriter();
  for (const size of shape) pbf.writeVarintField(1, size);
  pbf.writeVarintField(2, dataType);
  pbf.writeStringField(8, name);
  const writeEntry = ([key, value]: readonly [string, string], to: PbfWriter) => {
    to.writeStringField(1, key);
    to.writeStringField(2, value);
  };
  for (const entry of Object.entries(place)) pbf.writeMessage(13, writeEntry, entry);
  pbf.writeVarintField(14, 1);
  return pbf.finish().slice();
}

function rawData({ raw }: OnnxFileTensor): Uint8Array | null {
  const read = (tag: number, found: { data: Uint8Array | null }, pbf: PbfReader) => {
    if (tag === RAW_DATA) found.data = pbf.readBytes();
  };
  return new PbfReader(raw).readFields(read, { data: null as Uint8Array | null }).data;
}
