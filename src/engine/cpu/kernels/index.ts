// All kernels of the CPU engine, as one wasm module over one shared memory. Pointers are byte offsets; nothing is checked here.

export * from "./adam";
export * from "./gemm";
export * from "./gradient";
export * from "./rows";
export * from "./select";
export * from "./dense";
