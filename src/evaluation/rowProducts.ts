// Products of rows, A·Bᵀ, tile by tile through onnxruntime's GEMM; the whole matrix (17 GB for 65,536²) never exists.
import { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeOnnx } from "../formats/onnx.ts";

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

/**
 * Calls `visit` for every tile of A·Bᵀ in a fixed order. With `upperTriangle` (A and B the same) only tiles on and above the
 * diagonal come. The tile's array is its own.
 */
export async function forEachTile(
  a: Rows,
  b: Rows,
  options: { upperTriangle?: boolean; threads?: number; signal?: AbortSignal },
  visit: (tile: Tile) => void,
): Promise<void> {
  if (a.d !== b.d) throw new RangeError(`rows of ${a.d} and of ${b.d} values`);
  const threads = options.threads === undefined ? {} : { intraOpNumThreads: options.threads };
  const session = await InferenceSession.create(gemmGraph(a.d), { ...threads, logSeverityLevel: 3 });
  try {
    for (let row = 0; row < a.n; row += TILE) {
      const rows = Math.min(TILE, a.n - row);
      const left = new Tensor("float32", a.values.subarray(row * a.d, (row + rows) * a.d), [rows, a.d]);
      for (let column = options.upperTriangle ? row : 0; column < b.n; column += TILE) {
        options.signal?.throwIfAborted();
        const columns = Math.min(TILE, b.n - column);
        const right = new Tensor("float32", b.values.subarray(column * b.d, (column + columns) * b.d), [columns, b.d]);
        const { Y } = await session.run({ A: left, B: right });
        visit({ values: Y!.data as Float32Array, row, rows, column, columns });
      }
    }
  } finally {
    await session.release();
  }
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
