// Products of rows, A·Bᵀ, tile by tile through onnxruntime's GEMM (plain where that is missing); the whole matrix (17 GB for 65,536²) never exists.
import { encodeOnnx } from "../formats/onnx.ts";
import { loadOnnxRuntime } from "../formats/onnxRuntime.ts";
import { plainProduct } from "./plainProduct.ts";

/** Rows [n, d] of float32. */
export interface Rows {
  readonly values: Float32Array;
  readonly n: number;
  readonly d: number;
}

/** One tile of A·Bᵀ: rows from..from+rows of A by columns rows of B, row-major. */
export interface Tile {
  readonly values: Float32Array;
  readonly row: number;
  readonly rows: number;
  readonly column: number;
  readonly columns: number;
}

/** A side of a tile: 2,048² floats are 16 MiB, small beside the caches of the GEMM's packing, large enough for its full rate. */
const TILE = 2048;

export interface TileOptions {
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Tiles that are done, and all of them; at the beginning and after each. */
  readonly onTiles?: (done: number, of: number) => void;
}

/**
 * Calls `visit` for every tile of A·Bᵀ in a fixed order. With `upperTriangle` (A and B the same) only tiles on and above the
 * diagonal come. The tile's array is its own.
 */
export async function forEachTile(
  a: Rows,
  b: Rows,
  options: TileOptions & { readonly upperTriangle?: boolean },
  visit: (tile: Tile) => void,
): Promise<void> {
  if (a.d !== b.d) throw new RangeError(`rows of ${a.d} and of ${b.d} values`);
  const product = await openProduct(a.d, options);
  const [down, across] = [Math.ceil(a.n / TILE), Math.ceil(b.n / TILE)];
  const of = options.upperTriangle ? (down * (down + 1)) / 2 : down * across;
  let done = 0;
  options.onTiles?.(done, of);
  try {
    for (let row = 0; row < a.n; row += TILE) {
      const rows = Math.min(TILE, a.n - row);
      const left = a.values.subarray(row * a.d, (row + rows) * a.d);
      for (let column = options.upperTriangle ? row : 0; column < b.n; column += TILE) {
        options.signal?.throwIfAborted();
        const columns = Math.min(TILE, b.n - column);
        const right = b.values.subarray(column * b.d, (column + columns) * b.d);
        visit({ values: await product.of(left, rows, right, columns), row, rows, column, columns });
        options.onTiles?.(++done, of);
      }
    }
  } finally {
    await product.close();
  }
}

interface Product {
  /** [m, d] times the transpose of [n, d]. */
  of(a: Float32Array, m: number, b: Float32Array, n: number): Promise<Float32Array>;
  close(): Promise<void>;
}

async function openProduct(d: number, options: TileOptions): Promise<Product> {
  const ort = await loadOnnxRuntime();
  if (!ort) {
    return { of: (a, m, b, n) => plainProduct(a, b, { m, n, d }, options.signal), close: () => Promise.resolve() };
  }
  const threads = options.threads === undefined ? {} : { intraOpNumThreads: options.threads };
  const session = await ort.InferenceSession.create(gemmGraph(d), { ...threads, logSeverityLevel: 3 });
  return {
    of: async (a, m, b, n) => {
      const { Y } = await session.run({
        A: new ort.Tensor("float32", a, [m, d]),
        B: new ort.Tensor("float32", b, [n, d]),
      });
      return Y!.data as Float32Array;
    },
    close: () => session.release(),
  };
}

/** Y = A·Bᵀ of rows of d values. */
function gemmGraph(d: number): Uint8Array {
  return encodeOnnx({
    opsets: { "": 17 },
    graph: {
      name: "row_products",
      nodes: [{ opType: "Gemm", inputs: ["A", "B"], outputs: ["Y"], attributes: { transB: { int: 1 } } }],
      initializers: [],
      inputs: [
        { name: "A", dtype: "F32", shape: ["m", d] },
        { name: "B", dtype: "F32", shape: ["n", d] },
      ],
      outputs: [{ name: "Y", dtype: "F32", shape: ["m", "n"] }],
    },
  });
}
