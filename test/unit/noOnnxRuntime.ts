// For `node --import`: a machine where onnxruntime-node is not installed. Not a test.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (!/^onnxruntime-node(\/|$)/.test(specifier)) return nextResolve(specifier, context);
    throw Object.assign(new Error(`Cannot find package '${specifier}'`), { code: "ERR_MODULE_NOT_FOUND" });
  },
});
