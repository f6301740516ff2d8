// What exported decoders ask for besides token ids: masks, positions, a past that is empty. One function for each, by the exporters' names.
import * as ort from "onnxruntime-node";
import { InputError } from "../formats/inputError.ts";
import type { OnnxFileValue } from "../formats/onnxFile.ts";
import type { RowRun } from "./rowRuns.ts";

export interface FileInput {
  readonly name: string;
  /** Its value for rows that go through together, padded on the right. */
  tensor(run: RowRun): ort.Tensor;
}

/** ONNX' numbers of the types that occur. */
const TYPES: Readonly<Record<number, "float32" | "int32" | "int64" | "bool" | "float16">> = {
  1: "float32",
  6: "int32",
  7: "int64",
  9: "bool",
  10: "float16",
};

/** Throws InputError for an input that isn't known here, by its name. */
export function fileInput(path: string, { name, dataType, shape }: OnnxFileValue): FileInput {
  const type = TYPES[dataType];
  const refuse = (found: string, expected: string): never => {
    throw new InputError({ file: path, where: `input ${name}`, found, expected });
  };
  if (!type) return refuse(`data type ${dataType}`, "float32, float16, int32, int64 or bool");
  const whole = (run: RowRun, value: (row: number, position: number) => number) => {
    const all = Int32Array.from({ length: run.rows * run.length }, (_, i) =>
      value(Math.floor(i / run.length), i % run.length),
    );
    return numbers(type, all, [run.rows, run.length]);
  };
  if (name === "input_ids")
    return { name, tensor: (run) => whole(run, (row, t) => run.ids[run.padded[row * run.length + t]!]!) };
  if (name === "attention_mask")
    return { name, tensor: (run) => whole(run, (row, t) => (t <= run.last[row]! ? 1 : 0)) };
  if (name === "position_ids") return { name, tensor: (run) => whole(run, (_, t) => t) };
  if (name === "token_type_ids") return { name, tensor: (run) => whole(run, () => 0) };
  if (name === "use_cache_branch") return { name, tensor: () => new ort.Tensor("bool", Uint8Array.of(0), [1]) };
  // 0 asks for the logits of all positions.
  if (name === "num_logits_to_keep" || name === "logits_to_keep")
    return { name, tensor: () => numbers(type, Int32Array.of(0), shape.length === 0 ? [] : [1]) };
  if (/past/.test(name) && (type === "float32" || type === "float16")) {
    // The first dimension is the rows; what has another name than a number is the length of the past.
    const dimensions = (run: RowRun) => shape.map((n, i) => (i === 0 ? run.rows : typeof n === "number" ? n : 0));
    const empty = type === "float32" ? new Float32Array(0) : new Uint16Array(0);
    if (!shape.slice(1).some((n) => typeof n === "string"))
      return refuse(`shape [${shape}]`, "a past whose length is free");
    return { name, tensor: (run) => new ort.Tensor(type, empty as Float32Array, dimensions(run)) };
  }
  return refuse(
    "an input that isn't known here",
    "input_ids, attention_mask, position_ids, past_key_values.…, use_cache_branch",
  );
}

function numbers(type: string, values: Int32Array, shape: number[]): ort.Tensor {
  switch (type) {
    case "int64":
      return new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
    case "int32":
      return new ort.Tensor("int32", values, shape);
    case "bool":
      return new ort.Tensor("bool", Uint8Array.from(values), shape);
    default:
      return new ort.Tensor("float32", Float32Array.from(values), shape);
  }
}
