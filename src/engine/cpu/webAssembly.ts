// WebAssembly as far as the engine uses it: TypeScript declares it only together with a browser's whole DOM.

/** Shared linear memory of at most 65536 pages of 64 KiB. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  /** By pages; views made before keep their length. */
  grow(pages: number): number;
}

/** A compiled module; may be sent to worker threads. */
export interface WasmModule {
  readonly compiled?: never;
}

interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => WasmMemory;
  readonly Instance: new (module: WasmModule, imports: unknown) => { readonly exports: unknown };
}

export const wasm = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;
