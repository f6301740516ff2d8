// Where a model's folder, here or on the hub, has its .onnx file.

const NAMES = ["model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx"];

/** The first of these that there is, in a folder without safetensors: in the folder itself, or in onnx/ as the hub has it. */
export const ONNX_PLACES: readonly string[] = ["", "onnx/"].flatMap((inner) => NAMES.map((name) => `${inner}${name}`));
