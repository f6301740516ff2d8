// A·Bᵀ in plain JavaScript, for machines without onnxruntime: slow but right.
import { setImmediate as eventLoopTurn } from "node:timers/promises";

/** Products between two looks at the signal: some tens of milliseconds. */
const PART = 2 ** 25;

/**
 * A [m, d] times the transpose of B [n, d], row-major [m, n]; summed in float64, rounded to float32 at the end.
 * Gives way to other events now and then. Throws the signal's reason.
 */
export async function plainProduct(
  a: Float32Array,
  b: Float32Array,
  { m, n, d }: { m: number; n: number; d: number },
  signal?: AbortSignal,
): Promise<Float32Array> {
  const product = new Float32Array(m * n);
  const rows = Math.max(4, Math.floor(PART / (n * d)));
  for (let from = 0; from < m; from += rows) {
    signal?.throwIfAborted();
    const to = Math.min(from + rows, m);
    // Four columns at a time: their rows of B stay in the cache while all of A's rows pass.
    let column = 0;
    for (; column + 4 <= n; column += 4) fourColumns(a, b, product, from, to, column, n, d);
    for (; column < n; column++) {
      for (let row = from; row < to; row++) {
        let sum = 0;
        for (let j = 0; j < d; j++) sum += a[row * d + j]! * b[column * d + j]!;
        product[row * n + column] = sum;
      }
    }
    await eventLoopTurn();
  }
  return product;
}

function fourColumns(
  a: Float32Array,
  b: Float32Array,
  product: Float32Array,
  from: number,
  to: number,
  column: number,
  n: number,
  d: number,
): void {
  const [b0, b1, b2, b3] = [column * d, (column + 1) * d, (column + 2) * d, (column + 3) * d];
  for (let row = from; row < to; row++) {
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    const at = row * d;
    for (let j = 0; j < d; j++) {
      const value = a[at + j]!;
      s0 += value * b[b0 + j]!;
      s1 += value * b[b1 + j]!;
      s2 += value * b[b2 + j]!;
      s3 += value * b[b3 + j]!;
    }
    const out = row * n + column;
    product[out] = s0;
    product[out + 1] = s1;
    product[out + 2] = s2;
    product[out + 3] = s3;
  }
}
