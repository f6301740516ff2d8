// Where onnxruntime can run a language model, by its own names.

/** webgpu comes with onnxruntime (dml and coreml on their systems); cuda where the user's onnxruntime has it. */
export const modelDevices = ["cpu", "webgpu", "cuda", "dml", "coreml"] as const;
export type ModelDevice = (typeof modelDevices)[number];
